//! How much of a queue is taken before it is put into the books.

use std::time::Duration;

/// Messages that a micro-batch may have, unless a definition says otherwise. The ledger's commit, and a file for each day, are paid once
/// for all of them: of a backlog in `RabbitMQ`, 2,000 were worked off 1.3 to 5 times as fast as 500 (three runs on a busy machine), 5,000
/// 4 to 8 times. The client of a broker holds twice as many, however large they are, which is why it is not more.
pub const MESSAGES: u32 = 2_000;

/// The most that a definition may ask for: all of them are in memory, and come again when the batch fails.
const MESSAGES_MAX: u32 = 100_000;

/// How long a micro-batch is collected, unless a definition says otherwise.
pub const WAIT_MS: u32 = 2_000;

/// The longest that a definition may ask for.
const WAIT_MS_MAX: u32 = 60_000;

/// A micro-batch with so many bytes is full, however few messages it has.
const BYTES: usize = 8 << 20;

/// When a micro-batch is full: whatever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    pub messages: usize,
    pub bytes: usize,
    /// Counted from the first message.
    pub wait: Duration,
}

impl BatchSize {
    /// From the keys `max_messages` and `max_wait_ms` of a definition.
    pub fn of(max_messages: u32, max_wait_ms: u32) -> Self {
        Self {
            messages: max_messages as usize,
            bytes: BYTES,
            wait: Duration::from_millis(max_wait_ms.into()),
        }
    }
}

/// The default of `max_messages`, for serde.
pub(super) fn messages() -> u32 {
    MESSAGES
}

/// The default of `max_wait_ms`, for serde.
pub(super) fn wait_ms() -> u32 {
    WAIT_MS
}

/// Checks both keys.
pub(super) fn check(max_messages: u32, max_wait_ms: u32) -> Result<(), String> {
    within("max_messages", max_messages, 1, MESSAGES_MAX)?;
    within("max_wait_ms", max_wait_ms, 1, WAIT_MS_MAX)
}

/// Checks a number with its limits, both of them allowed.
pub(super) fn within(key: &str, value: u32, low: u32, high: u32) -> Result<(), String> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(format!("`{key}` is {value}; write a number from {low} to {high}"))
}
