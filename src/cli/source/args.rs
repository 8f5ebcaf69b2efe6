//! What can be typed after `source`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::catalog::source::events::TemplateStream;
use crate::cli::args::not_blank;

#[derive(Debug, Subcommand)]
pub enum SourceCommand {
    /// List sources: kind, owner, how far each has been read, how its last pull ended
    List,
    /// Show a source: its newest definition, its versions, its templates
    Show {
        /// Name of the source
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Check definitions without importing them [default: all that are configured]
    Check {
        /// Files NAME.toml
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Import the configured definitions; a changed one becomes a new version. `ingest`, `pull` and `nightly` also do this
    Import,
    /// Show what would become of the first records of a source; writes nothing
    Test {
        /// Name of the source
        #[arg(value_name = "NAME")]
        name: String,
        /// Read this file instead of the source itself
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Number of records, or of events, to show
        #[arg(long, value_name = "COUNT", default_value_t = 10)]
        limit: usize,
    },
    /// Disable a source: it is pulled no more, and its files in the drop folder are left
    Disable {
        /// Name of the source
        #[arg(value_name = "NAME")]
        name: String,
        /// The reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
    /// Enable a source again
    Enable {
        /// Name of the source
        #[arg(value_name = "NAME")]
        name: String,
        /// The reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
    /// Manage what events brought besides usage (the event, session ID and context): list, delete
    Payloads {
        #[command(subcommand)]
        command: PayloadsCommand,
    },
    /// Process kept events again with the templates of today; records that are known are duplicates, and expired days are refused
    Redrive {
        /// Name of the source
        #[arg(value_name = "NAME")]
        name: String,
        /// Only events with this session ID
        #[arg(long, value_name = "ID")]
        session: Option<String>,
        /// Only the events of this task
        #[arg(long, value_name = "ID")]
        task: Option<String>,
        /// Write nothing; show what would be taken and refused
        #[arg(long)]
        dry_run: bool,
    },
    /// Manage what the transcoding templates of a source make: add, list
    Template {
        #[command(subcommand)]
        command: TemplateCommand,
    },
}

#[derive(Debug, Subcommand)]
pub enum TemplateCommand {
    /// Add a template; it is never altered afterwards. Then `quarantine retry` takes the events that were refused for it
    Add {
        /// Name of the source
        #[arg(value_name = "SOURCE")]
        source: String,
        /// Number of the template (`Definition`)
        #[arg(value_name = "TEMPLATE")]
        definition: u64,
        /// The `type` parameter of its records, such as Standard, TESHD-10, TESHD-30 or Remuxing
        #[arg(long = "type", value_name = "TYPE")]
        transcode_type: String,
        /// A video stream, of adaptive streaming: CODEC:HEIGHT or CODEC:WIDTHxHEIGHT, such as H264:1280x720
        #[arg(long = "stream", value_name = "STREAM", value_parser = stream)]
        streams: Vec<TemplateStream>,
        /// The reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
    /// List the templates of a source
    List {
        /// Name of the source
        #[arg(value_name = "SOURCE")]
        source: String,
    },
}

fn stream(text: &str) -> Result<TemplateStream, String> {
    let wrong =
        || format!("{text:?}: CODEC:HEIGHT or CODEC:WIDTHxHEIGHT is expected, such as H264:720 or H264:1280x720");
    let (codec, size) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0).ok_or_else(wrong);
    let (width, height) = match size.split_once('x') {
        Some((width, height)) => (Some(number(width)?), number(height)?),
        None => (None, number(size)?),
    };
    if codec.is_empty() {
        return Err(wrong());
    }
    Ok(TemplateStream {
        codec: codec.to_owned(),
        width,
        height,
    })
}

/// Which payloads are meant.
#[derive(Clone, Debug, clap::Args)]
pub struct OfPayloads {
    /// Only events of this source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Only events with this session ID
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Only the events of this task
    #[arg(long, value_name = "ID")]
    pub task: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum PayloadsCommand {
    /// List kept events, oldest day first; --json also prints their content
    List {
        #[command(flatten)]
        of: OfPayloads,
        /// Maximum number of events
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: usize,
    },
    /// Delete kept events; usage and statements stay as they are
    #[command(group(clap::ArgGroup::new("which").required(true).multiple(true).args(["source", "session", "task", "all"])))]
    Delete {
        #[command(flatten)]
        of: OfPayloads,
        /// All kept events
        #[arg(long, conflicts_with_all = ["source", "session", "task"])]
        all: bool,
        /// The reason, for the audit trail
        #[arg(long, value_name = "TEXT", value_parser = not_blank)]
        reason: String,
    },
}
