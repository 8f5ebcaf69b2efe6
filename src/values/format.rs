//! How records stand in an input.

/// How records stand in an input.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Ord, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A JSON object a line, an array of them, or objects one after another.
    Ndjson,
    Csv,
    Parquet,
    /// Notifications and task details of the media-processing service, as JSON.
    MpsEvents,
    /// Events of AWS `MediaConvert`, as JSON.
    MediaconvertEvents,
}

impl Format {
    pub const ALL: [Self; 5] = [
        Self::Ndjson,
        Self::Csv,
        Self::Parquet,
        Self::MpsEvents,
        Self::MediaconvertEvents,
    ];

    pub fn text(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::MpsEvents => "mps-events",
            Self::MediaconvertEvents => "mediaconvert-events",
        }
    }

    /// The format that a batch was recorded with.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.text() == text)
    }

    /// Whether each document is an event, of which several records may come, or none.
    pub fn is_events(self) -> bool {
        matches!(self, Self::MpsEvents | Self::MediaconvertEvents)
    }
}
