//! Classes of data with a clock each: how long the settings keep them, and the longest that the policy allows.

use super::Settings;

/// A class of data that goes by a clock of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Raw records and conflicts.
    Raw,
    /// Service-log fields.
    Log,
    /// What events brought besides usage: the event, session id and context.
    Queue,
    /// Definitions and templates of sources, which are an account's own configuration.
    Configuration,
    /// Input files in `done/` and `refused/`.
    Originals,
    /// Bytes of refused lines.
    Quarantine,
    /// Usage for dashboards, in the ledger.
    Usage,
    /// Lines of statements, in the ledger.
    Statements,
}

impl Class {
    pub const ALL: [Self; 8] = [
        Self::Raw,
        Self::Log,
        Self::Queue,
        Self::Configuration,
        Self::Originals,
        Self::Quarantine,
        Self::Usage,
        Self::Statements,
    ];

    /// As it is typed, and as the ledger has it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Log => "log",
            Self::Queue => "queue",
            Self::Configuration => "configuration",
            Self::Originals => "originals",
            Self::Quarantine => "quarantine",
            Self::Usage => "usage",
            Self::Statements => "statements",
        }
    }

    /// The setting that says how long it is kept.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Raw => "keep_raw_months",
            Self::Log => "keep_log_months",
            Self::Queue => "keep_queue_days",
            Self::Configuration => "keep_configuration_days",
            Self::Originals => "keep_original_months",
            Self::Quarantine => "keep_quarantine_months",
            Self::Usage => "keep_usage_months",
            Self::Statements => "keep_statement_months",
        }
    }

    /// What its clock counts.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Queue | Self::Configuration => "days",
            _ => "months",
        }
    }

    /// How long the settings keep it; none: for ever.
    pub fn kept(self, settings: &Settings) -> Option<u32> {
        match self {
            Self::Raw => Some(settings.keep_raw_months),
            Self::Log => Some(settings.keep_log_months),
            Self::Queue => Some(settings.keep_queue_days),
            Self::Configuration => Some(settings.keep_configuration_days),
            Self::Originals => Some(settings.keep_original_months),
            Self::Quarantine => Some(settings.keep_quarantine_months),
            Self::Usage => settings.keep_usage_months,
            Self::Statements => settings.keep_statement_months,
        }
    }

    /// The longest that the policy allows; none: for ever.
    pub fn allowed(self, policy: &Policy) -> Option<u32> {
        match self {
            Self::Raw => Some(policy.raw_months),
            Self::Log => Some(policy.log_months),
            Self::Queue => Some(policy.queue_days),
            Self::Configuration => Some(policy.configuration_days),
            Self::Originals => Some(policy.original_months),
            Self::Quarantine => Some(policy.quarantine_months),
            Self::Usage => policy.usage_months,
            Self::Statements => policy.statement_months,
        }
    }

    /// Whether the settings keep it for longer than the policy allows.
    pub fn exceeds(self, settings: &Settings) -> bool {
        match (self.kept(settings), self.allowed(&settings.policy)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(kept), Some(allowed)) => kept > allowed,
        }
    }
}

/// The longest that each class may be kept, in months or days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    pub raw_months: u32,
    pub log_months: u32,
    /// After the source of an event is disabled.
    pub queue_days: u32,
    /// After the account of a source ended.
    pub configuration_days: u32,
    pub original_months: u32,
    pub quarantine_months: u32,
    /// None: for ever.
    pub usage_months: Option<u32>,
    /// None: for ever.
    pub statement_months: Option<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            raw_months: 6,
            log_months: 1,
            queue_days: 7,
            configuration_days: 30,
            original_months: 1,
            quarantine_months: 1,
            usage_months: None,
            statement_months: None,
        }
    }
}
