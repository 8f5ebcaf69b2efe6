//! Folders in the drop folder that are named as sources: what lies in them is the source's.
//!
//! In `done/` and `refused/` a file of a source has the source's name before its own: `<digest>-mps@events.ndjson`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::catalog::source::import::faults;
use crate::catalog::source::store;
use crate::context::Books;
use crate::pipeline::ingest::event_rules::{EventRules, event_rules};
use crate::support::error::Result;
use crate::values::format::Format;

/// What stands between a source's name and a file's.
const SEPARATOR: char = '@';

/// A source whose files may lie in the drop folder.
pub(super) struct Sender {
    pub name: String,
    pub format: Option<Format>,
    /// What its events are read with.
    pub events: Option<EventRules>,
    /// Why its files are left where they are.
    pub why_left: Option<String>,
    /// Whether that is a definition or a key that cannot be read, and not a person's will.
    pub is_unreadable: bool,
}

impl Sender {
    /// One of which nothing is known but its name.
    fn unknown(name: String) -> Self {
        Self {
            name,
            format: None,
            events: None,
            why_left: None,
            is_unreadable: false,
        }
    }

    /// Why nothing of it can be read before a person acts.
    pub fn why_unreadable(&self) -> Option<&str> {
        self.why_left.as_deref().filter(|_| self.is_unreadable)
    }

    pub fn is_of_events(&self) -> bool {
        self.format.is_some_and(Format::is_events)
    }
}

/// All of them.
pub(super) struct Senders(BTreeMap<String, Sender>);

impl Senders {
    /// Reads them from the ledger. One that is disabled, or whose definition or keys cannot be read, leaves its files.
    pub async fn of(books: &Books) -> Result<Self> {
        let disabled = store::disabled(&books.ledger).await?;
        let mut senders = BTreeMap::new();
        for (name, version) in store::newest_of_all(&books.ledger).await?.versions {
            let format = version.definition.source.format;
            let mut sender = Sender {
                name: name.clone(),
                format,
                events: None,
                why_left: disabled
                    .get(&name)
                    .map(|since| format!("source {name} is disabled since {since}")),
                is_unreadable: false,
            };
            match event_rules(books, &name, format.unwrap_or(Format::Ndjson), books.clock.receipt()).await {
                Ok(events) => sender.events = events,
                Err(_) if sender.why_left.is_some() => {}
                Err(error) => (sender.why_left, sender.is_unreadable) = (Some(error.to_string()), true),
            }
            senders.insert(name, sender);
        }
        for (name, fault) in faults(books).await? {
            let sender = senders.entry(name.clone()).or_insert_with(|| Sender::unknown(name));
            if !disabled.contains_key(&sender.name) {
                (sender.why_left, sender.is_unreadable) = (Some(fault.sentence()), true);
            }
        }
        Ok(Self(senders))
    }

    /// Whether a folder of this name is a source's.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The name under which a file of the drop folder is kept.
    pub fn kept_name(folder: &Path, path: &Path) -> String {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match path.parent() {
            Some(parent) if parent != folder => format!("{}{SEPARATOR}{}", name(parent), name(path)),
            // A plain file whose name looks so belongs to no source.
            _ => match name(path) {
                plain if plain.contains(SEPARATOR) => format!("{SEPARATOR}{plain}"),
                plain => plain,
            },
        }
    }

    /// The source of a name under which a file is kept, and the file's own name.
    pub fn of_kept<'n>(&self, name: &'n str) -> (Option<&Sender>, &'n str) {
        if let Some(plain) = name.strip_prefix(SEPARATOR) {
            return (None, plain);
        }
        let parts = name.split_once(SEPARATOR);
        match parts.and_then(|(source, file)| Some((self.0.get(source)?, file))) {
            Some((sender, file)) => (Some(sender), file),
            None => (None, name),
        }
    }

    /// The path with which a file came that is kept under a name.
    pub fn came_to(&self, folder: &Path, name: &str) -> PathBuf {
        match self.of_kept(name) {
            (Some(sender), file) => folder.join(&sender.name).join(file),
            (None, name) => folder.join(name),
        }
    }
}
