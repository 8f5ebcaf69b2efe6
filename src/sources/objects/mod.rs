//! Buckets and folders as sources: each object that was not read yet is laid down as a file and handed over, named as it is in its
//! bucket. Nothing is ever written or removed there.
//!
//! A listing is read page by page and in its order; what was read before is known by key, size and `ETag` from the ledger. An object
//! that the door did not take is therefore found again by the next listing.

mod choice;
mod download;
pub mod gone;
pub mod left;
pub mod listed;
mod memory;
pub mod store;

use std::collections::VecDeque;
use std::fs::File;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use self::choice::{Choice, Choosing};
use self::download::Spool;
use self::left::{Left, Sentences, Why};
use self::listed::Listed;
use self::memory::Memory;
use super::fetch::{Content, Fetch, FetchError, Part};
use crate::catalog::source::kinds::Kind;
use crate::catalog::source::kinds::objects::Bucket;
use crate::context::Books;
use crate::storage::ledger::Ledger;
use crate::storage::objects::error::StoreError;
use crate::storage::objects::{Cloud, Keys, Listing, Object, ObjectStore, OddKind};
use crate::support::clock::Clock;
use crate::support::error::Error;
use crate::support::table::counted;
use crate::values::format::Format;

/// An object in a state in which it was read.
pub type SeenObject = Object;

/// So many objects after one another that cannot be read are enough to tell that none can.
const UNREADABLE_MAX: usize = 20;

/// How often a run looks for what is gone.
const GONE_EVERY: Duration = Duration::from_hours(24);

/// One bucket or folder, opened.
#[derive(Debug)]
pub struct Objects {
    source: String,
    ledger: Ledger,
    /// Where it is, and where its keys are.
    kind: Kind,
    store: ObjectStore,
    choosing: Choosing,
    spool: Spool,
    at: At,
    /// The key that was read last, for people: what was read is known from the ledger.
    position: Option<String>,
    /// What is to be read of the page.
    waiting: VecDeque<Waiting>,
    left: Left,
    unreadable: Unreadable,
    /// What the listing brought so far, and all of one that came to its end.
    listed: Listed,
    whole: Option<Listed>,
    /// When it was last looked for what is gone.
    looked_for_gone: Option<Instant>,
    memory: Memory,
    /// Objects of the listing that were read before.
    read_before: u64,
    /// What was told before and is still so.
    standing: Vec<String>,
    /// The object that was handed over last, and the lock on its file.
    handed: Option<(Object, Option<File>)>,
}

/// How far the store was listed.
#[derive(Debug)]
enum At {
    /// The next call begins a listing.
    Beginning,
    Listing(Listing),
    /// The last page was read; the next call says so.
    End,
}

/// An object to be read.
#[derive(Debug)]
struct Waiting {
    object: Object,
    /// The state in which it was read before.
    earlier: Option<store::State>,
}

/// Objects that the store lists and does not give, though others it may give.
#[derive(Debug, Default)]
struct Unreadable {
    count: usize,
    /// Since the last that was read.
    in_a_row: usize,
    first: String,
}

impl Objects {
    /// Opens a bucket or a folder: reads its keys from where they are, and asks nothing yet.
    ///
    /// # Errors
    /// A place of keys that is empty, a `from` that is no time, a program without the feature.
    pub fn open(
        books: &Books,
        source: &str,
        kind: &Kind,
        format: Option<Format>,
        from: Option<&str>,
    ) -> Result<Self, FetchError> {
        let store = opened(kind)?;
        let rest_s = if store.may_be_unfinished() {
            books.settings.drop_rest_s
        } else {
            0
        };
        Ok(Self {
            source: source.to_owned(),
            ledger: books.ledger.clone(),
            choosing: Choosing {
                prefix: prefix_of(kind).to_owned(),
                format,
                from: from.map(read_from).transpose()?,
                rest_s,
            },
            spool: Spool::open(&books.data, source, Clock::system().machine())?,
            kind: kind.clone(),
            store,
            at: At::Beginning,
            position: None,
            waiting: VecDeque::new(),
            left: Left::default(),
            unreadable: Unreadable::default(),
            listed: Listed::default(),
            whole: None,
            looked_for_gone: None,
            memory: Memory::default(),
            read_before: 0,
            standing: Vec::new(),
            handed: None,
        })
    }

    /// Before a listing, with the key that was read last, which is told until another is read. What the run remembers stays.
    #[must_use]
    pub fn after(self, position: Option<&str>) -> Self {
        Self {
            at: At::Beginning,
            position: position.map(ToOwned::to_owned),
            waiting: VecDeque::new(),
            left: Left::default(),
            unreadable: Unreadable::default(),
            whole: None,
            handed: None,
            ..self
        }
    }

    /// The books refused what was handed over last. It is not handed over again in this run, unless it changes.
    pub fn refuse(&mut self, sentence: &str) {
        if let Some((object, _)) = self.handed.take() {
            self.memory.refuse(&object, sentence);
        }
    }

    /// What was told before in this run and is still so, after a listing.
    pub fn standing(&self) -> &[String] {
        &self.standing
    }

    /// Objects of the listing that were read before.
    pub fn read_before(&self) -> u64 {
        self.read_before
    }

    /// All keys that are there, after a whole listing, when it is time to look for what is gone.
    pub fn whole_listing(&mut self) -> Option<Listed> {
        if self.looked_for_gone.is_some_and(|at| at.elapsed() < GONE_EVERY) {
            return None;
        }
        let whole = self.whole.take()?;
        self.looked_for_gone = Some(Instant::now());
        Some(whole)
    }

    async fn next(&mut self) -> Result<Option<Part>, FetchError> {
        loop {
            while let Some(waiting) = self.waiting.front() {
                let mut read = download::download(&self.store, &waiting.object, &self.spool).await;
                if matches!(read, Err(StoreError::NeedsPerson(_))) && self.unreadable.in_a_row == 0 {
                    // Somebody may have replaced the keys after the listing began.
                    self.store = opened(&self.kind)?;
                    read = download::download(&self.store, &waiting.object, &self.spool).await;
                }
                // It waits on while it is read, so that it comes again where this future is dropped or the store is away.
                if let Err(StoreError::Unavailable(why)) = read {
                    return Err(FetchError::Unavailable(why));
                }
                let Some(waiting) = self.waiting.pop_front() else { break };
                if let Some(part) = self.part_of(waiting, read)? {
                    return Ok(Some(part));
                }
            }
            if !self.next_page().await? {
                return self.end();
            }
        }
    }

    /// Lists the next page and keeps what is to be read of it; false at the end.
    async fn next_page(&mut self) -> Result<bool, FetchError> {
        if matches!(self.at, At::Beginning) {
            // Keys may have been replaced meanwhile.
            self.store = opened(&self.kind)?;
            self.at = At::Listing(self.store.list(&self.choosing.prefix));
            self.listed = Listed::default();
            self.read_before = 0;
            self.standing.clear();
        }
        let page = match &mut self.at {
            At::Listing(listing) => match listing.next().await {
                Err(StoreError::NeedsPerson(_)) => {
                    self.store = opened(&self.kind)?;
                    self.store.take_over(listing);
                    listing.next().await?
                }
                page => page?,
            },
            At::Beginning | At::End => None,
        };
        let Some(page) = page else {
            if matches!(self.at, At::Listing(_)) {
                self.whole = std::mem::take(&mut self.listed).whole();
            }
            self.at = At::Beginning;
            return Ok(false);
        };
        for odd in page.odd {
            let name = match odd.kind {
                OddKind::NoText => odd.key.clone(),
                _ => self.store.name_of(&odd.key),
            };
            if let Some(why) = self.choosing.why_odd(&odd, &name) {
                self.leave(why, &odd.key, &name);
            }
        }
        let mut inputs = Vec::new();
        let now = Clock::system().machine();
        for object in page.objects {
            self.listed.add(&object.key);
            let name = self.store.name_of(&object.key);
            match self.choosing.choose(&object, &name, now) {
                Choice::Input => inputs.push(object),
                Choice::NotMeant => {}
                Choice::Left(why) => self.leave(why, &object.key, &name),
            }
        }
        let known = store::seen(&self.ledger, &self.source, &inputs).await?;
        for object in inputs {
            let states = known.get(&object.key).map_or(&[][..], Vec::as_slice);
            if states.iter().any(|state| state.is_of(&object)) {
                self.read_before += 1;
                continue;
            }
            if let Some(sentence) = self.memory.refused(&object) {
                self.standing.push(sentence.to_owned());
                continue;
            }
            let earlier = states.last().cloned();
            self.waiting.push_back(Waiting { object, earlier });
        }
        Ok(true)
    }

    fn leave(&mut self, why: Why, key: &str, name: &str) {
        let is_news = self.memory.is_news(why, key);
        self.left.add(why, name, is_news);
    }

    /// What became of an object: a part, or nothing where it is left.
    fn part_of(
        &mut self,
        waiting: Waiting,
        read: Result<download::Downloaded, StoreError>,
    ) -> Result<Option<Part>, FetchError> {
        let name = self.store.name_of(&waiting.object.key);
        let why = match read {
            Ok(downloaded) => {
                self.unreadable.in_a_row = 0;
                return Ok(Some(self.part(name, waiting, downloaded)));
            }
            Err(StoreError::Missing) => Why::Gone,
            Err(StoreError::Archived) => Why::Archived,
            Err(StoreError::Changed) => Why::KeepsChanging,
            Err(StoreError::NeedsPerson(why)) => {
                self.unreadable.add(&name, &why);
                if self.unreadable.in_a_row < UNREADABLE_MAX {
                    return Ok(None);
                }
                self.at = At::Beginning;
                self.waiting.clear();
                return Err(std::mem::take(&mut self.unreadable).told());
            }
            Err(error) => return Err(error.into()),
        };
        self.leave(why, &waiting.object.key, &name);
        Ok(None)
    }

    fn part(&mut self, name: String, waiting: Waiting, downloaded: download::Downloaded) -> Part {
        let download::Downloaded { object, path, lock } = downloaded;
        self.handed = Some((object.clone(), lock));
        let warning = waiting.earlier.map(|earlier| {
            format!(
                "{name} was read in batch {} ({} bytes), and is another object now ({} bytes): it was read again. What it repeats is \
                 dropped, and what differs is listed as conflicts for a person to decide; find out who changed it",
                earlier.batch, earlier.bytes, object.bytes
            )
        });
        self.position = Some(object.key.clone());
        let newest = Some(object.modified);
        Part {
            name: name.clone(),
            content: Content::File {
                path,
                name,
                format: self.choosing.format,
                object,
            },
            position: self.position.clone(),
            newest,
            again: 0,
            warnings: warning.into_iter().collect(),
        }
    }

    /// After the last object: what was left is told, first by itself, and then nothing is left to say.
    fn end(&mut self) -> Result<Option<Part>, FetchError> {
        let Sentences { news, standing } = std::mem::take(&mut self.left).sentences();
        self.standing.extend(standing);
        if !news.is_empty() {
            self.at = At::End;
            return Ok(Some(Part {
                name: self.store.name_of(&self.choosing.prefix),
                content: Content::Nothing,
                position: self.position.clone(),
                newest: None,
                again: 0,
                warnings: news,
            }));
        }
        if self.unreadable.count > 0 {
            return Err(std::mem::take(&mut self.unreadable).told());
        }
        Ok(None)
    }
}

impl Fetch for Objects {
    async fn fetch(&mut self) -> Result<Option<Part>, FetchError> {
        self.next().await
    }

    /// What was read is known from the ledger; the store is told nothing.
    async fn acknowledge(&mut self) -> Result<(), FetchError> {
        self.handed = None;
        Ok(())
    }
}

impl Unreadable {
    fn add(&mut self, name: &str, why: &str) {
        if self.count == 0 {
            self.first = format!("{name}: {why}");
        }
        self.count += 1;
        self.in_a_row += 1;
    }

    fn told(self) -> FetchError {
        FetchError::NeedsPerson(format!(
            "listed, and not to be read: {}. The first is {}",
            counted(self.count, "object"),
            self.first
        ))
    }
}

impl From<StoreError> for FetchError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::Unavailable(why),
            StoreError::Local(error) => Self::Books(error),
            error => Self::NeedsPerson(error.to_string()),
        }
    }
}

fn opened(kind: &Kind) -> Result<ObjectStore, FetchError> {
    match kind {
        Kind::S3(bucket) => opened_bucket(Cloud::S3, bucket),
        Kind::Cos(bucket) => opened_bucket(Cloud::Cos, bucket),
        Kind::Folder(folder) => Ok(ObjectStore::folder(&folder.path)),
        other => Err(usage(format!("a source of kind {:?} has no objects", other.name()))),
    }
}

fn prefix_of(kind: &Kind) -> &str {
    match kind {
        Kind::S3(bucket) | Kind::Cos(bucket) => &bucket.prefix,
        Kind::Folder(folder) => &folder.prefix,
        _ => "",
    }
}

fn opened_bucket(cloud: Cloud, bucket: &Bucket) -> Result<ObjectStore, FetchError> {
    let places = bucket.key_places().map_err(usage)?;
    let keys = Keys {
        id: places.id.read()?.reveal().to_owned(),
        secret: places.key.read()?.reveal().to_owned(),
        token: places
            .token
            .map(|place| place.read())
            .transpose()?
            .map(|token| token.reveal().to_owned()),
    };
    Ok(ObjectStore::bucket(bucket.place(cloud), keys)?)
}

fn read_from(text: &str) -> Result<DateTime<Utc>, FetchError> {
    let read = DateTime::parse_from_rfc3339(text);
    let read = read.map_err(|_| usage(format!("`from` {text:?} is no time, such as \"2026-11-01T00:00:00Z\"")))?;
    Ok(read.to_utc())
}

fn usage(what: String) -> FetchError {
    FetchError::Books(Error::Usage(what))
}
