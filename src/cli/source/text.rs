//! What `source` prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::catalog::source::configured::{Fault, Found};
use crate::catalog::source::events::Template;
use crate::catalog::source::import::ImportedSource;
use crate::catalog::source::store::Version;
use crate::catalog::source::template::Added;
use crate::sources::overview::Overview;
use crate::sources::trial::Tried;
use crate::support::error::Result;
use crate::support::table::{Table, grouped};

pub fn list(listed: &[Overview]) -> String {
    if listed.is_empty() {
        return "no sources are defined: write [source.NAME] into the settings, or a file NAME.toml into the sources folder, then run \
                `tallybook source import`\n"
            .to_owned();
    }
    let mut table = Table::new(&[
        "source",
        "kind",
        "format",
        "version",
        "state",
        "records",
        "newest",
        "behind",
        "last pull",
    ]);
    for source in listed {
        table.row([
            source.source.clone(),
            source.kind.to_owned(),
            source.format.unwrap_or("").to_owned(),
            source.version.map_or_else(String::new, |version| version.to_string()),
            source.state.clone(),
            source
                .position
                .as_ref()
                .map_or_else(String::new, |position| grouped(position.records)),
            source
                .position
                .as_ref()
                .and_then(|position| position.newest.clone())
                .unwrap_or_default(),
            source.behind.clone().unwrap_or_default(),
            source
                .last_pull
                .as_ref()
                .map_or_else(String::new, |pull| pull.pulled_at.clone()),
        ]);
    }
    let mut text = table.text();
    for source in listed {
        if let Some(message) = source.message() {
            let _infallible = writeln!(text, "{}: {message}", source.source);
        }
    }
    text
}

/// A source as `source show` prints it.
#[derive(serde::Serialize)]
pub struct Shown {
    source: String,
    version: i64,
    definition: serde_json::Value,
    disabled_since: Option<String>,
    /// Why the definition that is configured now is not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    templates_added: BTreeMap<u64, Template>,
    versions: Vec<ShownVersion>,
}

#[derive(serde::Serialize)]
struct ShownVersion {
    version: i64,
    imported_at: String,
    origin: String,
    digest: String,
}

impl Shown {
    pub fn of(
        newest: &Version,
        versions: &[Version],
        templates: BTreeMap<u64, Template>,
        disabled: Option<String>,
        fault: Option<String>,
    ) -> Result<Self> {
        Ok(Self {
            source: newest.definition.source.name.clone(),
            version: newest.version,
            definition: serde_json::from_str(&newest.definition.body)?,
            disabled_since: disabled,
            fault,
            templates_added: templates,
            versions: versions
                .iter()
                .map(|version| ShownVersion {
                    version: version.version,
                    imported_at: version.imported_at.clone(),
                    origin: version.origin.clone(),
                    digest: version.definition.digest(),
                })
                .collect(),
        })
    }

    pub fn text(&self) -> String {
        let state = self
            .disabled_since
            .as_ref()
            .map_or_else(|| "enabled".to_owned(), |since| format!("disabled since {since}"));
        let definition = serde_json::to_string_pretty(&self.definition).unwrap_or_default();
        let mut text = format!(
            "source {}, version {}, {state}\n{definition}\n",
            self.source, self.version
        );
        if let Some(fault) = &self.fault {
            let _infallible = writeln!(text, "ACTION REQUIRED: {fault}");
        }
        if !self.templates_added.is_empty() {
            text.push_str("\ntemplates added by command\n");
            text.push_str(&templates(&self.templates_added));
        }
        text.push('\n');
        let mut table = Table::new(&["version", "imported", "from", "digest"]);
        for version in &self.versions {
            table.row([
                version.version.to_string(),
                version.imported_at.clone(),
                version.origin.clone(),
                version.digest.chars().take(16).collect(),
            ]);
        }
        text + &table.text()
    }
}

/// A definition that was checked.
#[derive(serde::Serialize)]
pub struct Checked {
    source: String,
    kind: &'static str,
    origin: String,
    digest: String,
}

pub fn checked(found: &[Found]) -> Vec<Checked> {
    found
        .iter()
        .map(|found| Checked {
            source: found.definition.source.name.clone(),
            kind: found.definition.source.kind.name(),
            origin: found.origin.clone(),
            digest: found.definition.digest(),
        })
        .collect()
}

pub fn checked_text(checked: &[Checked]) -> String {
    if checked.is_empty() {
        return "no sources are defined\n".to_owned();
    }
    let line = |one: &Checked| format!("{}: ok, kind {} ({})\n", one.source, one.kind, one.origin);
    checked.iter().map(line).collect()
}

pub fn imported(imported: &[ImportedSource], faults: &[Fault]) -> String {
    if imported.is_empty() && faults.is_empty() {
        return "no sources are defined\n".to_owned();
    }
    let line = |one: &ImportedSource| {
        format!(
            "source {}: {}, version {} ({})\n",
            one.source, one.outcome, one.version, one.origin
        )
    };
    let required = |fault: &Fault| format!("ACTION REQUIRED: {}\n", fault.sentence());
    imported.iter().map(line).chain(faults.iter().map(required)).collect()
}

pub fn added(source: &str, definition: u64, added: Added) -> String {
    match added {
        Added::New | Added::Completed => {
            let what = if added == Added::New {
                "added"
            } else {
                "has streams now"
            };
            format!(
                "source {source}: template {definition} {what}; `tallybook quarantine retry --source {source}` takes the events that \
                 were refused for it\n"
            )
        }
        Added::Unchanged => format!("source {source}: template {definition} is there already, nothing changed\n"),
    }
}

pub fn templates(templates: &BTreeMap<u64, Template>) -> String {
    if templates.is_empty() {
        return "no templates\n".to_owned();
    }
    let mut table = Table::new(&["template", "type", "streams"]);
    for (definition, template) in templates {
        let stream = |stream: &crate::catalog::source::events::TemplateStream| {
            let width = stream.width.map_or_else(String::new, |width| format!("{width}x"));
            format!("{}:{width}{}", stream.codec, stream.height)
        };
        table.row([
            definition.to_string(),
            template.transcode_type.clone(),
            template.streams.iter().map(stream).collect::<Vec<_>>().join(" "),
        ]);
    }
    table.text()
}

pub fn tried(tried: &Tried) -> String {
    let mut text = format!(
        "source {}: {} looked at, nothing was written\n",
        tried.source,
        tried.looked_at()
    );
    for line in &tried.records {
        let _infallible = writeln!(text, "  record  {}", line.record);
        let _infallible = writeln!(text, "          {}", line.becomes);
    }
    for refused in &tried.refused {
        let _infallible = writeln!(text, "  refused {}: {}", refused.code, refused.sentence);
        let _infallible = writeln!(text, "          {}", refused.shown);
    }
    for (reason, events) in &tried.skipped_events {
        let _infallible = writeln!(text, "  skipped {events} ({reason})");
    }
    for warning in &tried.warnings {
        let _infallible = writeln!(text, "  {warning}");
    }
    text
}
