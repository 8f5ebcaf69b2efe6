//! Sources: who sends usage, in which form, for whose account, and, of one that is pulled, where it is.
//!
//! A definition is a TOML table, in the settings (`[source.NAME]`) or in a file `sources/NAME.toml`. Like a rate card it is imported into
//! the ledger, where each change makes a new version and none is ever altered. It never holds a secret: it says where one is.

pub mod configured;
pub mod definition;
pub mod ended;
pub mod events;
pub mod import;
pub mod kinds;
pub mod no_secrets;
pub mod secret;
pub mod state;
pub mod store;
pub mod template;

use std::collections::BTreeMap;

use chrono_tz::Tz;

use crate::support::error::{Error, Result};
use crate::values::digest::sha256_hex;
use crate::values::format::Format;
use events::{Analysis, EventSource, Owner, SpriteImages, Template};
use kinds::Kind;
use secret::SecretPlace;

/// Keys that say where a source of some kind is, and in which order it is read; others tune how.
const PLACE_KEYS: [&str; 19] = [
    "kind",
    "url",
    "database",
    "collection",
    "table",
    "query",
    "cursor",
    "key",
    "bucket",
    "bucket_region",
    "endpoint",
    "prefix",
    "path",
    "queue",
    "vhost",
    "stream",
    "topic",
    "consumer",
    "mode",
];

/// What one version of a definition says.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The `source` of records that name none.
    pub name: String,
    pub kind: Kind,
    /// How its records stand; none: as the extension of each file says, and of a table or a queue as lines of NDJSON.
    pub format: Option<Format>,
    /// Where it starts, in the source's own terms: a time, or an integer.
    pub from: Option<String>,
    pub owner: Owner,
    /// The `region` parameter of records that are made of events.
    pub region: Option<String>,
    /// The zone of times without an offset.
    pub zone: Option<Tz>,
    /// Templates of the definition itself. Those that were added by command are in the ledger ([`template`]).
    pub templates: BTreeMap<u64, Template>,
    /// Where the keys of signatures are.
    pub notify_keys: Option<SecretPlace>,
    pub sprite_images: SpriteImages,
    pub analysis: Analysis,
}

impl Source {
    /// What events are read with: the definition, templates that were added, and the keys themselves.
    ///
    /// # Errors
    /// Where a key cannot be read.
    pub fn for_events(&self, added: BTreeMap<u64, Template>) -> Result<EventSource> {
        let notify_keys = match &self.notify_keys {
            None => Vec::new(),
            Some(place) => place
                .read_lines()
                .map_err(|error| Error::Usage(format!("source {}: the notification keys: {error}", self.name)))?,
        };
        let mut templates = self.templates.clone();
        template::complete(&mut templates, added);
        Ok(EventSource {
            source: self.name.clone(),
            owner: self.owner.clone(),
            region: self.region.clone(),
            templates,
            notify_keys,
            sprite_images: self.sprite_images,
            analysis: self.analysis,
        })
    }

    /// SHA-256 of where it is and where it starts: a position holds for one place.
    ///
    /// # Errors
    /// None that can be expected: a definition is plain data.
    pub fn place(&self) -> Result<String> {
        let mut place = serde_json::to_value(&self.kind)?;
        if let Some(keys) = place.as_object_mut() {
            keys.retain(|key, _| PLACE_KEYS.contains(&key.as_str()));
        }
        Ok(sha256_hex(format!("{place} {:?}", self.from).as_bytes()))
    }

    /// The format of what it hands over where nothing else says.
    pub fn events_format(&self) -> Option<Format> {
        self.format.filter(|format| format.is_events())
    }
}
