//! A trial: an input is read and checked as an ingest would, and nothing of it comes into the books.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::event_rules::EventRules;
use super::input::Input;
use super::read::read_file;
use super::record::timestamp_text::Zones;
use super::record_rules::record_rules;
use super::segment_builder::Counts;
use super::segment_writers::Writers;
use crate::catalog::source::{Source, template};
use crate::context::Books;
use crate::storage::durable_files::DataDir;
use crate::storage::raw::segment::{NewSegment, SegmentKind};
use crate::support::error::{AtPath as _, Result};
use crate::values::format::Format;

/// What an ingest would make of an input. Its files are in a folder that goes with this value.
pub struct Trial {
    pub counts: Counts,
    segments: Vec<NewSegment>,
    folder: ScratchFolder,
}

impl Trial {
    /// Paths of the segments of usage, by day.
    pub fn usage_files(&self) -> impl Iterator<Item = PathBuf> {
        let usage = self
            .segments
            .iter()
            .filter(|segment| segment.kind == SegmentKind::Usage);
        usage.map(|segment| self.folder.0.join(&segment.path))
    }
}

/// A folder outside the books, removed with this value.
#[derive(Debug)]
pub struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Makes a new one, which nobody else may read: what is tried may hold secrets.
    ///
    /// # Errors
    /// Where no folder can be made.
    pub fn make() -> Result<Self> {
        let temporary = std::env::temp_dir();
        for number in 0..1000 {
            let path = temporary.join(format!("tallybook-trial-{}-{number}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).at(&path),
            }
        }
        Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists)).at(&temporary)
    }

    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Reads and checks an input of a source, by a definition that need not be imported yet.
///
/// # Errors
/// Where an ingest would refuse the whole input.
pub async fn try_input(books: &Books, input: &Input, source: &Source) -> Result<Trial> {
    let folder = ScratchFolder::make()?;
    let data = DataDir::at(&folder.0);
    let receipt = books.clock.receipt();
    let mut rules = record_rules(books, &source.name, Format::Ndjson, receipt).await?;
    if input.format.is_events() {
        let added = template::added(books, &source.name).await?;
        rules.events = Some(EventRules {
            format: input.format,
            source: source.for_events(added)?,
            receipt,
        });
    }
    if let Some(zone) = source.zone {
        let zones = BTreeMap::from([(source.name.clone(), zone)]);
        rules.zones = Zones::new(&source.name, &zones).map(Arc::new);
    }
    tokio::task::block_in_place(|| {
        let mut writers = Writers::new(&data, 1);
        let (_, _, mut counts) = read_file(books, input, &mut rules, &mut writers, 1)?;
        counts.refused.sort_by_key(|refused| refused.line);
        Ok(Trial {
            counts,
            segments: writers.finish()?,
            folder,
        })
    })
}
