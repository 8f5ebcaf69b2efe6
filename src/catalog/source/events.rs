//! What a source must know to make usage records of the service's events: the account, the templates, the keys of signatures.

use std::collections::{BTreeMap, BTreeSet};

use super::secret::Secret;

/// What the events of one source are read with.
#[derive(Clone, Debug)]
pub struct EventSource {
    /// The `source` of the records.
    pub source: String,
    pub owner: Owner,
    /// The `region` parameter of all records; none: the region of the bucket of each.
    pub region: Option<String>,
    /// What the transcoding templates of the account make, by their ids (`Definition`).
    pub templates: BTreeMap<u64, Template>,
    /// Keys of which one must have signed each event; empty: signatures are not asked for.
    pub notify_keys: Vec<Secret>,
    pub sprite_images: SpriteImages,
    pub analysis: Analysis,
}

/// The account that pays for what a source reports. An event does not name it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// One account; an `appid` of none is taken from the event.
    One { uin: u64, appid: Option<u64> },
    /// The account of each application that the event names.
    ByAppid(BTreeMap<u64, u64>),
    /// Each record names its account, as records of a file do.
    Record,
}

impl Owner {
    /// The accounts that it names.
    pub fn accounts(&self) -> BTreeSet<u64> {
        match self {
            Self::One { uin, .. } => BTreeSet::from([*uin]),
            Self::ByAppid(accounts) => accounts.values().copied().collect(),
            Self::Record => BTreeSet::new(),
        }
    }
}

/// The types that transcoding templates have: what the readers of events write into the `type` of records.
pub const TEMPLATE_TYPES: [&str; 6] = ["Standard", "TESHD-10", "TESHD-20", "TESHD-30", "Remuxing", "Audio"];

/// What a template makes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The `type` parameter, such as `Standard` or `TESHD-30`.
    #[serde(rename = "type")]
    pub transcode_type: String,
    /// The streams, of a template of adaptive streaming.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<TemplateStream>,
}

/// A video stream of a template of adaptive streaming.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateStream {
    /// The `codec` parameter, such as `H264`.
    pub codec: String,
    /// In pixels; none: by the aspect ratio of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Lines, in pixels.
    pub height: u32,
}

/// What is counted of a sprite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpriteImages {
    /// The image files.
    #[default]
    Sheets,
    /// The small images on them.
    Tiles,
}

/// How recognition and analysis become records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Analysis {
    /// One record for a task and kind.
    #[default]
    Task,
    /// One record for each distinct capability.
    Capability,
}
