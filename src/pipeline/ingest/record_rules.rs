//! What every record of an input is held against, beside its own limits: the clock, the first day, expired days, known accounts, accounts that
//! ended or were erased.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;

use super::event_rules::{EventRules, event_rules};
use super::formats::csv::CsvHeader;
use super::record::timestamp::utc_day;
use super::record::timestamp_text::Zones;
use super::store;
use crate::catalog::account::end::store::{Ended, ended_accounts};
use crate::catalog::account::erased::ErasedAccounts;
use crate::catalog::account::erased::store::{erased_accounts, erased_count};
use crate::catalog::source::store as sources;
use crate::context::first_day;
use crate::context::{Books, UnknownAccounts};
use crate::storage::ledger::Tx;
use crate::storage::raw::store::expired_days;
use crate::support::clock::Clock;
use crate::support::error::{Error, Result};
use crate::values::format::Format;

/// Accounts that take nothing any more, or nothing from a day on, as they were when the rules were read: shared with the commit, which asks
/// whether they still are so.
#[derive(Debug, Default)]
pub struct ClosedAccounts {
    pub ended: HashMap<u64, Ended>,
    pub erased: ErasedAccounts,
}

/// What every record of an input is held against.
pub struct RecordRules {
    /// The run's clock as far as it is believed, nanoseconds since 1970.
    pub now_ns: i64,
    /// Where the books' first day begins, nanoseconds since 1970.
    pub first_ns: i64,
    /// The day under which an undated void is kept.
    pub today: i32,
    pub default_source: String,
    /// UTC days marked expired, in days since 1970.
    pub expired: HashSet<i32>,
    /// The accounts, when unknown ones are to be refused.
    pub known_accounts: Option<HashSet<u64>>,
    /// The accounts that ended, and those that were erased.
    pub closed_accounts: Arc<ClosedAccounts>,
    /// Zones of senders that write local times.
    pub zones: Option<Arc<Zones>>,
    /// What events are read with, where the input is of them.
    pub events: Option<EventRules>,
    /// Columns, of a CSV.
    pub header: Option<CsvHeader>,
    /// A row of a CSV names other columns than its header.
    pub has_other_header: AtomicBool,
    /// The line of a CSV that is a row and a header in one; 0 for none.
    pub joined_row: AtomicU64,
    /// Bytes refused so far, over all threads.
    pub refused_bytes: AtomicUsize,
}

impl RecordRules {
    /// With the books' first day.
    #[must_use]
    pub fn from_day(self, first_day: NaiveDate) -> Self {
        let start = first_day.and_time(NaiveTime::MIN).and_utc();
        Self {
            first_ns: start.timestamp_nanos_opt().unwrap_or(i64::MIN),
            ..self
        }
    }

    /// A door for lines of one source, at the run's clock.
    pub fn new(clock: Clock, source: &str, expired: HashSet<i32>, known_accounts: Option<HashSet<u64>>) -> Self {
        let now_ns = clock.believed().timestamp_nanos_opt().unwrap_or(i64::MAX);
        Self {
            now_ns,
            first_ns: i64::MIN,
            today: utc_day(now_ns),
            default_source: source.to_owned(),
            expired,
            known_accounts,
            closed_accounts: Arc::default(),
            zones: None,
            events: None,
            header: None,
            has_other_header: AtomicBool::new(false),
            joined_row: AtomicU64::new(0),
            refused_bytes: AtomicUsize::new(0),
        }
    }
}

/// The rules of the books, as they are now, for an input of a source. `receipt` is when its bytes were received first.
pub(super) async fn record_rules(
    books: &Books,
    source: &str,
    format: Format,
    receipt: DateTime<Utc>,
) -> Result<RecordRules> {
    let known_accounts = match books.settings.unknown_accounts {
        UnknownAccounts::Add => None,
        UnknownAccounts::Quarantine => Some(store::account_numbers(&books.ledger).await?),
    };
    let expired = expired_days(&books.ledger)
        .await?
        .into_iter()
        .map(crate::values::calendar::number_of_day)
        .collect();
    let first_day = first_day::first_day(books).await?;
    let mut rules = RecordRules::new(books.clock, source, expired, known_accounts).from_day(first_day);
    rules.closed_accounts = Arc::new(ClosedAccounts {
        ended: ended_accounts(&books.ledger).await?,
        erased: erased_accounts(&books.ledger).await?,
    });
    rules.zones = Zones::new(source, &zones(books).await?).map(Arc::new);
    rules.events = event_rules(books, source, format, receipt).await?;
    Ok(rules)
}

/// Fails when an account ended or was erased after the rules were read: records that came in by them may lie after its end.
pub(super) async fn refuse_closed_since(tx: &mut Tx, known: &ClosedAccounts) -> Result<()> {
    if erased_count(&mut *tx).await? != known.erased.count() {
        return Err(Error::Overtaken(
            "an account was erased while this input was being read; nothing was written: run the same command again"
                .to_owned(),
        ));
    }
    let now = ended_accounts(&mut *tx).await?;
    let mut since = now.iter().filter(|(uin, ended)| known.ended.get(uin) != Some(ended));
    let Some((uin, ended)) = since.next() else {
        return Ok(());
    };
    Err(Error::Overtaken(format!(
        "account {uin} was ended (on {}) while this input was being read; nothing was written: run the same command again",
        ended.day
    )))
}

/// Zones of sources that write local times: of the definitions in the ledger, then of the settings. A source whose definition is wrong
/// now has none, which may be what is to change: its local times are refused, and can be tried again.
async fn zones(books: &Books) -> Result<BTreeMap<String, Tz>> {
    let versions = sources::newest_of_all(&books.ledger).await?.versions.into_iter();
    let mut zones: BTreeMap<String, Tz> = versions
        .filter_map(|(name, version)| Some((name, version.definition.source.zone?)))
        .collect();
    zones.extend(books.settings.zones.iter().map(|(name, zone)| (name.clone(), *zone)));
    zones.retain(|name, _| !books.settings.faulty_sources.contains(name));
    Ok(zones)
}
