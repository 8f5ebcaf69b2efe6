//! Pulling: each source hands over part after part, and each part is in the books, with the source's position, before it is acknowledged.
//!
//! ```text
//! lease         one puller at a time for a source
//! open          the connection, at the position that the ledger has
//! fetch         the next part, into a spool file
//! ingest        the same door as for files; batch and position in one transaction
//! acknowledge   only now: what was not acknowledged comes again, and is known
//! note          how it ended, for `status`
//! ```

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::fetch::{Content, Fetch as _, FetchError, Part};
use super::kinds::Opened;
use super::objects::gone;
use super::position::Advance;
use super::store;
use crate::catalog::source::Source;
use crate::catalog::source::configured::Fault;
use crate::catalog::source::import::{import_configured, unknown_among};
use crate::catalog::source::kinds::Kind;
use crate::catalog::source::store::{self as catalog, Newest, Version};
use crate::context::Books;
use crate::pipeline::ingest::input::Input;
use crate::pipeline::ingest::quarantine::alarm::Alarm;
use crate::pipeline::ingest::quarantine::store as quarantine;
use crate::pipeline::ingest::{Ingested, ingest_pulled};
use crate::storage::durable_files::create_dir_durably;
use crate::storage::ledger::Lease;
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::failpoint;
use crate::values::digest::sha256_hex;

/// How a pull of one source ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All that there was is in the books.
    #[default]
    Done,
    /// The source is not there at this time.
    Unavailable,
    /// A person must do something before it can be read.
    NeedsPerson,
    /// Another run pulls it.
    Busy,
    /// The books' own trouble.
    Failed,
}

impl State {
    pub fn text(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unavailable => "unavailable",
            Self::NeedsPerson => "needs_person",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }
}

/// What a pull of one source did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Pulled {
    pub source: String,
    pub kind: &'static str,
    pub state: State,
    /// Parts committed.
    pub parts: i64,
    /// Records received, stored and refused.
    pub received: i64,
    pub stored: i64,
    pub quarantined: i64,
    /// Of those received, rows of the overlap, which were read before. Those that are the same are duplicates when they are metered.
    pub again: i64,
    /// Events that gave no record, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_events: BTreeMap<String, i64>,
    /// The batches, the last ones of many.
    pub batches: Vec<i64>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Inputs that need a person, as alarms say it.
    pub alarms: Vec<String>,
    /// Objects that cannot be read, and why. Nothing of them is in the books.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// What an earlier pull of this run told, and is still so.
    #[serde(skip)]
    pub standing: Vec<String>,
    /// Why it ended, unless it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The books' own trouble, where it is failed.
    #[serde(skip)]
    pub error: Option<Arc<Error>>,
}

/// How long one pull reads a queue.
const QUEUE_PULL_MAX: Duration = Duration::from_mins(30);

/// Batches that are named.
const BATCHES_TOLD: usize = 20;

/// Warnings that are kept of a pull.
const WARNINGS_TOLD: usize = 20;

/// The kind of a source whose definition was never taken.
pub(super) const UNKNOWN_KIND: &str = "unknown";

/// Pulls the named sources once, or all that are enabled. A source that cannot be read, or whose definition is wrong, stops no other.
///
/// # Errors
/// Where a name is unknown or not pulled; then nothing is pulled.
pub async fn pull(books: &Books, names: &[String]) -> Result<Vec<Pulled>> {
    let faults = import_configured(books).await?.faults;
    let chosen = chosen(books, names, faults).await?;
    // Each waits for its own server; into the books goes one part at a time.
    let pull = |version| async move { pull_source(books, version, &mut None).await };
    let mut pulled = join_all(chosen.versions.iter().map(pull)).await;
    for faulty in &chosen.faulty {
        pulled.push(not_pulled(books, faulty).await);
    }
    Ok(pulled)
}

/// The same for a night. The books' own trouble ends it: all that comes after would have the same.
///
/// # Errors
/// As [`pull`], and the first of the books' own.
pub async fn pull_all(books: &Books) -> Result<Vec<Pulled>> {
    let mut pulled = pull(books, &[]).await?;
    match pulled
        .iter_mut()
        .find_map(|one| one.error.take())
        .and_then(Arc::into_inner)
    {
        Some(error) => Err(error),
        None => Ok(pulled),
    }
}

/// The sources that are meant.
pub(super) struct Chosen {
    /// The newest versions of those that are to be pulled.
    pub versions: Vec<Version>,
    pub faulty: Vec<Faulty>,
}

/// A source whose definition is not taken.
pub(super) struct Faulty {
    fault: Fault,
    /// Its kind as the ledger has it.
    kind: Option<Kind>,
}

/// Chooses the named sources, or all that are enabled. `faults`: what is wrong with definitions that are configured.
pub(super) async fn chosen(books: &Books, names: &[String], faults: Vec<Fault>) -> Result<Chosen> {
    let Newest {
        mut versions,
        unreadable,
    } = catalog::newest_of_all(&books.ledger).await?;
    let disabled = catalog::disabled(&books.ledger).await?;
    let mut faulty: BTreeMap<String, Faulty> = BTreeMap::new();
    for fault in unreadable.into_iter().chain(faults) {
        let kind = versions
            .remove(&fault.source)
            .map(|version| version.definition.source.kind);
        faulty.insert(fault.source.clone(), Faulty { fault, kind });
    }
    if names.is_empty() {
        versions.retain(|name, version| version.definition.source.kind.is_pulled() && !disabled.contains_key(name));
        faulty.retain(|name, _| !disabled.contains_key(name));
        return Ok(Chosen {
            versions: versions.into_values().collect(),
            faulty: faulty.into_values().collect(),
        });
    }
    let mut chosen = Chosen {
        versions: Vec::new(),
        faulty: Vec::new(),
    };
    let distinct: BTreeSet<&String> = names.iter().collect();
    for name in distinct {
        if let Some(since) = disabled.get(name) {
            return Err(Error::Usage(format!(
                "source {name} is disabled since {since}; enable it with `tallybook source enable {name} --reason TEXT`"
            )));
        }
        if let Some(faulty) = faulty.remove(name) {
            chosen.faulty.push(faulty);
            continue;
        }
        let Some(version) = versions.remove(name) else {
            return Err(unknown_among(books, name).await?);
        };
        if !version.definition.source.kind.is_pulled() {
            return Err(Error::Usage(format!(
                "source {name} is of kind \"files\", which is not pulled: put its files into the drop folder, or use `tallybook ingest`"
            )));
        }
        chosen.versions.push(version);
    }
    Ok(chosen)
}

/// A source that is not pulled because its definition is not taken. That is noted where the ledger has it as one that is pulled.
pub(super) async fn not_pulled(books: &Books, faulty: &Faulty) -> Pulled {
    let Faulty { fault, kind } = faulty;
    let mut pulled = Pulled {
        source: fault.source.clone(),
        kind: kind.as_ref().map_or(UNKNOWN_KIND, Kind::name),
        state: State::NeedsPerson,
        message: Some(fault.what.clone()),
        ..Pulled::default()
    };
    if kind.as_ref().is_some_and(Kind::is_pulled) {
        pulled.note(books).await;
    }
    pulled
}

/// Pulls one source until it has nothing more, and notes how that ended. `kept` is the source as it was left open by the pull before,
/// and as this one leaves it.
pub(super) async fn pull_source(books: &Books, version: &Version, kept: &mut Option<Opened>) -> Pulled {
    let source = &version.definition.source;
    let mut pulled = Pulled {
        source: source.name.clone(),
        kind: source.kind.name(),
        ..Pulled::default()
    };
    match pull_under_lease(books, source, kept, &mut pulled).await {
        Ok(()) => {}
        Err(FetchError::Unavailable(what)) => pulled.end(State::Unavailable, what),
        Err(FetchError::NeedsPerson(what)) => pulled.end(State::NeedsPerson, what),
        Err(FetchError::Books(error @ Error::LeaseHeld { .. })) => pulled.end(State::Busy, error.to_string()),
        // A whole part that cannot be taken is the source's trouble.
        Err(FetchError::Books(error @ (Error::Input { .. } | Error::SetAside { .. } | Error::Usage(_)))) => {
            pulled.end(State::NeedsPerson, error.to_string());
        }
        Err(FetchError::Books(error)) => pulled.fail(error),
    }
    // Who holds the lease notes how its own pull ends.
    let is_overtaken = matches!(pulled.error.as_deref(), Some(Error::Overtaken(_)));
    if pulled.state != State::Busy && !is_overtaken {
        pulled.note(books).await;
    }
    pulled
}

async fn pull_under_lease(
    books: &Books,
    source: &Source,
    kept: &mut Option<Opened>,
    pulled: &mut Pulled,
) -> std::result::Result<(), FetchError> {
    let lease = Lease::take_source(&books.ledger, &source.name, "pull").await?;
    let ended = pull_parts(books, source, &lease, kept, pulled).await;
    let released = lease.release().await;
    ended?;
    Ok(released?)
}

async fn pull_parts(
    books: &Books,
    source: &Source,
    lease: &Lease,
    kept: &mut Option<Opened>,
    pulled: &mut Pulled,
) -> std::result::Result<(), FetchError> {
    let known = store::position(&books.ledger, &source.name).await?;
    // A position holds for one place: a source that is read elsewhere now starts where its definition says.
    let place = source.place()?;
    if known.as_ref().is_some_and(|known| known.place != place) {
        pulled.warn(vec![format!(
            "source {} is at another place than before, or starts elsewhere: it is read from its start",
            source.name
        )]);
    }
    let position = known
        .filter(|known| known.place == place)
        .and_then(|known| known.position);
    let refused = RefusedBefore::of(books, source).await?;
    let spool = spool_of(books, source)?;
    let mut opened = match kept.take().filter(|kept| kept.stands_at(position.as_deref())) {
        Some(kept) => kept.again(position.as_deref()),
        None => Opened::open(books, source, position.as_deref())?,
    };
    let ended = pull_opened(books, source, lease, (&spool, &place), &refused, &mut opened, pulled).await;
    pulled.standing = opened.standing().to_vec();
    *kept = Some(opened).filter(|opened| opened.remembers(ended.is_err()));
    ended
}

async fn pull_opened(
    books: &Books,
    source: &Source,
    lease: &Lease,
    (spool, place): (&PathBuf, &str),
    refused_before: &RefusedBefore,
    opened: &mut Opened,
    pulled: &mut Pulled,
) -> std::result::Result<(), FetchError> {
    let began = Instant::now();
    while let Some(part) = opened.fetch().await? {
        failpoint::point("fetched part");
        let part = refused_before.without(part);
        if let Some(refused) = take_part(books, source, lease, (spool, place), part, pulled).await? {
            opened.refuse(&refused);
            pulled.refused.push(refused);
            continue;
        }
        failpoint::point("committed part");
        opened.acknowledge().await?;
        failpoint::point("acknowledged part");
        // A queue that is always being filled would never end a night.
        if source.kind.is_queue() && began.elapsed() > QUEUE_PULL_MAX {
            pulled.warn(vec![format!(
                "source {} was read for {} minutes and has more; the next pull goes on",
                source.name,
                QUEUE_PULL_MAX.as_secs() / 60
            )]);
            break;
        }
    }
    if let Some(listed) = opened.whole_listing() {
        gone::note(books, lease, &source.name, &listed).await?;
    }
    Ok(())
}

/// Puts a part into the books, with the position after it. Where it is an object that cannot be read: why.
async fn take_part(
    books: &Books,
    source: &Source,
    lease: &Lease,
    (spool, place): (&PathBuf, &str),
    part: Part,
    pulled: &mut Pulled,
) -> Result<Option<String>> {
    pulled.warn(part.warnings);
    let again = part.again;
    let mut advance = Advance {
        source: &source.name,
        kind: source.kind.name(),
        place,
        lease,
        position: part.position.as_deref(),
        newest: part.newest,
        at: books.clock.text(),
        is_queue: source.kind.is_queue(),
        object: None,
    };
    let (path, input) = match part.content {
        Content::Nothing => return advance_alone(books, &advance).await.map(|()| None),
        Content::Lines { bytes, format } => {
            std::fs::write(spool, bytes).at(spool)?;
            (spool.clone(), Input::of_source(spool, part.name, format))
        }
        Content::File {
            path,
            name,
            format,
            object,
        } => {
            advance.object = Some(object);
            let input = Input::lying_at(&path, name.as_ref(), format.or(source.format))?;
            (path, input.called(part.name).again())
        }
    };
    failpoint::point("spooled part");
    let ingested = ingest_pulled(books, &input, &source.name, &advance).await;
    std::fs::remove_file(&path).at(&path)?;
    failpoint::file("removed", &path);
    match ingested {
        // An object that cannot be read stops no other. It is not remembered as read, so that it comes again.
        Err(refused @ (Error::Input { .. } | Error::SetAside { .. })) if advance.object.is_some() => {
            return Ok(Some(refused.to_string()));
        }
        ingested => pulled.add(&ingested?, again),
    }
    Ok(None)
}

async fn advance_alone(books: &Books, advance: &Advance<'_>) -> Result<()> {
    use crate::pipeline::ingest::also::Also as _;
    let mut tx = books.ledger.begin().await?;
    advance.lease.check(&mut tx).await?;
    advance.write(&mut tx, None, 0).await?;
    books.ledger.commit(tx, "position").await
}

/// Lines of a database that were refused before. They are in quarantine, and are not put there again each time the overlap is read.
struct RefusedBefore(HashSet<String>);

impl RefusedBefore {
    async fn of(books: &Books, source: &Source) -> Result<Self> {
        if !source.kind.is_database() {
            return Ok(Self(HashSet::new()));
        }
        Ok(Self(quarantine::digests_of_source(&books.ledger, &source.name).await?))
    }

    fn without(&self, mut part: Part) -> Part {
        if let Content::Lines { bytes, .. } = &mut part.content
            && !self.0.is_empty()
        {
            let is_new = |line: &&[u8]| !self.0.contains(&sha256_hex(line.trim_ascii_end()));
            let all = || bytes.split_inclusive(|byte| *byte == b'\n');
            let new: Vec<&[u8]> = all().filter(is_new).collect();
            // What was refused before was read before.
            part.again = part.again.saturating_sub((all().count() - new.len()) as u64);
            *bytes = new.concat();
            if bytes.is_empty() {
                part.content = Content::Nothing;
            }
        }
        part
    }
}

/// Where parts of a source lie while they are read. What an earlier pull left there was not committed, and comes again.
fn spool_of(books: &Books, source: &Source) -> Result<PathBuf> {
    let folder = books.data.join("spool");
    create_dir_durably(&folder)?;
    let path = folder.join(format!("source-{}.part", source.name));
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at(&path),
        _ => Ok(path),
    }
}

impl Pulled {
    fn end(&mut self, state: State, message: String) {
        self.state = state;
        self.message = Some(message);
    }

    fn fail(&mut self, error: Error) {
        self.end(State::Failed, error.to_string());
        self.error = Some(Arc::new(error));
    }

    /// Notes in the books how it ended.
    async fn note(&mut self, books: &Books) {
        let at = books.clock.text();
        let first = |told: &[String]| told.first().cloned();
        let message = self.message.clone().or_else(|| first(&self.refused));
        let message = message
            .or_else(|| first(&self.warnings))
            .or_else(|| first(&self.standing));
        let state = self.state.text();
        let noted = store::note_pull(&books.ledger, &self.source, state, message.as_deref(), &at);
        if let Err(error) = noted.await {
            self.fail(error);
        }
    }

    fn warn(&mut self, warnings: Vec<String>) {
        let room = WARNINGS_TOLD.saturating_sub(self.warnings.len());
        self.warnings.extend(warnings.into_iter().take(room));
    }

    /// Adds a part; so many of its lines were read before.
    fn add(&mut self, ingested: &Ingested, again: u64) {
        self.parts += 1;
        if ingested.already {
            return;
        }
        self.received += ingested.batch.received;
        self.again += i64::try_from(again).unwrap_or(i64::MAX);
        self.stored += ingested.batch.stored;
        self.quarantined += ingested.batch.quarantined;
        for (reason, events) in &ingested.skipped_events {
            *self.skipped_events.entry(reason.clone()).or_default() += events;
        }
        self.alarms.extend(ingested.alarm.as_ref().map(Alarm::sentence));
        self.batches.push(ingested.batch.batch);
        let more = self.batches.len().saturating_sub(BATCHES_TOLD);
        self.batches.drain(..more);
    }

    /// What a person must do, a sentence each.
    pub fn needs_person(&self) -> Vec<String> {
        let refused = self.refused.iter().cloned();
        let ended = matches!(self.state, State::NeedsPerson | State::Failed).then(|| {
            let message = self.message.as_deref().unwrap_or_default();
            format!("source {}: {message}", self.source)
        });
        refused.chain(ended).collect()
    }
}
