//! Rows of a database as a source, in the order of a cursor and a key, a page at a time, each page as lines of JSON.
//!
//! Reading goes in rounds. A round looks up the newest cursor value, and reads up to it, from the overlap before the newest row that is in
//! the books; then the source is idle. What is committed late is found as long as this holds: when a row with some cursor value can be
//! seen, all rows can be seen whose value is less by more than the overlap. A page sees one state of the database, and the next begins
//! after its last row; so that no row is lost between them, cursor and key must be unique together.

pub mod cursor;
pub mod known_lines;
pub mod page;
mod position;

use std::future::Future;
use std::time::Duration;

use chrono_tz::Tz;

use self::cursor::CursorType;
use self::known_lines::{KnownLines, LineDigest};
use self::page::{Page, PageBuilder};
use self::position::Position;
use super::fetch::{Content, Fetch, FetchError, Part};
use crate::catalog::source::kinds::table::Overlap;
use crate::catalog::source::secret::{Secret, SecretPlace};
use crate::support::quote::plain;
use crate::values::format::Format;

/// How long one page may take before the server counts as gone: without an index, it sorts the whole table for it.
const PAGE_LIMIT: Duration = Duration::from_mins(10);

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// At the first row whose cursor is this or more.
    Start(i128),
    /// After the row with this cursor and key; the key is as the server wrote it.
    Row { cursor: i128, key: Vec<u8> },
}

/// What a page may hold.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub after: After,
    /// The highest cursor value that is read.
    pub ceiling: i128,
    pub rows: u32,
}

/// What there is to read, all seen at once.
#[derive(Clone, Debug)]
pub struct Extent {
    /// The newest cursor value; none where there is no row.
    pub newest: Option<i128>,
    /// Rows whose cursor is too far ahead of the server's clock to be a time.
    pub ahead: u64,
    pub without_place: WithoutPlace,
}

/// Rows that have no place in the order: without a cursor value or a key, or with one of another type.
#[derive(Clone, Debug, Default)]
pub struct WithoutPlace {
    pub rows: u64,
    /// The key of one of them, as people see it; none where that is not looked up.
    pub key: Option<String>,
}

/// A connection to rows that have an order.
pub trait Rows: Sized + Send + Sync {
    /// What says where they are.
    type Definition: Send + Sync;

    /// Connects.
    fn open(
        definition: &Self::Definition,
        password: Option<&Secret>,
    ) -> impl Future<Output = Result<Self, FetchError>> + Send;

    fn cursor_type(&self) -> CursorType;

    /// What there is from a cursor value on.
    fn extent(&mut self, start: i128) -> impl Future<Output = Result<Extent, FetchError>> + Send;

    /// The next rows in their order.
    fn page(&mut self, bounds: &Bounds, page: PageBuilder<'_>)
    -> impl Future<Output = Result<Page, FetchError>> + Send;
}

/// What a definition says of the order of its rows, and the words for it.
#[derive(Clone, Debug)]
pub struct Order {
    /// The table or collection.
    pub name: String,
    /// The server, without its user.
    pub place: String,
    pub password: Option<SecretPlace>,
    pub cursor: String,
    pub key: String,
    pub overlap: Overlap,
    pub page_rows: u32,
    /// The cursor value at which reading starts.
    pub from: String,
    /// Of times without an offset.
    pub zone: Option<Tz>,
}

impl Order {
    /// The password itself, as it is now.
    pub fn password(&self) -> Result<Option<Secret>, FetchError> {
        let password = self.password.as_ref().map(SecretPlace::read).transpose();
        password.map_err(|error| FetchError::NeedsPerson(error.to_string()))
    }

    /// Rows that are not read, which nobody may overlook.
    pub fn complaint(&self, extent: &Extent) -> Option<String> {
        let Self { name, cursor, key, .. } = self;
        let rows = |count: u64| {
            if count == 1 {
                "1 row".to_owned()
            } else {
                format!("{count} rows")
            }
        };
        let mut complaints = Vec::new();
        if extent.without_place.rows > 0 {
            let such = extent.without_place.key.as_ref();
            let such = such.map_or_else(String::new, |one| format!(", such as that with {key} {}", plain(one)));
            complaints.push(format!(
                "{} without a value in {cursor} or {key} that has a place in the order{such} (give them one, and let nobody leave it out)",
                rows(extent.without_place.rows)
            ));
        }
        if extent.ahead > 0 {
            complaints.push(format!(
                "{} whose {cursor} is more than a day ahead of the server's clock (correct them)",
                rows(extent.ahead)
            ));
        }
        (!complaints.is_empty()).then(|| format!("{name}: not read are {}", complaints.join(", and ")))
    }
}

/// What comes next of rows.
pub enum Next {
    Part(Part),
    Over(RoundOver),
}

/// The end of a round: all rows were read that have a place in the order.
#[derive(Debug)]
pub struct RoundOver {
    /// Rows that are not read, which nobody may overlook.
    pub complaint: Option<String>,
    /// Whether some rows will have their place when their time has come.
    pub has_rows_ahead: bool,
}

/// One opened source. It connects when it is first asked, and again after the connection was lost.
pub struct Rounds<R: Rows> {
    order: Order,
    definition: R::Definition,
    /// The newest row in the books.
    position: Option<Position>,
    rows: Option<R>,
    round: Option<Round>,
    handed_over: Option<HandedOver>,
    known: KnownLines,
}

/// The reading of what there was at one time.
#[derive(Debug)]
struct Round {
    after: After,
    ceiling: i128,
    /// The next round begins here or later: what is before it is not read again.
    kept_from: i128,
    /// The newest row that was in the books when the round began: up to it, what is read was read before.
    newest_known: Option<i128>,
    is_over: bool,
    /// What there was, for what a person must know when it is over.
    extent: Extent,
}

/// What was fetched last and is not known to be in the books.
struct HandedOver {
    position: Position,
    after: After,
    is_last: bool,
    lines: Vec<(LineDigest, i128)>,
}

impl<R: Rows> Rounds<R> {
    /// A source as its definition has it; `position` is what the books kept of the last part.
    ///
    /// # Errors
    /// Where the position is none of such a source.
    pub fn new(order: Order, definition: R::Definition, position: Option<&str>) -> Result<Self, FetchError> {
        Ok(Self {
            order,
            definition,
            position: position.map(Position::read).transpose()?,
            rows: None,
            round: None,
            handed_over: None,
            known: KnownLines::default(),
        })
    }

    /// Whether the newest row that it knows in the books is the one that the books have.
    pub fn stands_at(&self, position: Option<&str>) -> bool {
        self.position.as_ref().map(Position::text).as_deref() == position
    }

    async fn connect(&self) -> Result<R, FetchError> {
        let password = self.order.password()?;
        R::open(&self.definition, password.as_ref()).await
    }

    /// The next part, or the end of the round.
    ///
    /// # Errors
    /// As [`Fetch::fetch`].
    pub async fn next(&mut self) -> Result<Next, FetchError> {
        // What was not acknowledged is read again.
        self.handed_over = None;
        // Taken out: where this future is dropped, so is the connection, with whatever it was in the middle of.
        let mut rows = match self.rows.take() {
            Some(rows) => rows,
            None => self.connect().await?,
        };
        let stepped = tokio::time::timeout(PAGE_LIMIT, self.step(&mut rows)).await;
        if let Ok(Ok(next)) = stepped {
            self.rows = Some(rows);
            return Ok(next);
        }
        // The next round begins with the overlap before the newest row in the books.
        self.round = None;
        Err(match stepped {
            Ok(Err(error)) => error,
            _ => FetchError::Unavailable(format!(
                "{}: no page came within {} minutes; an index on the cursor and the key makes pages quick",
                self.order.place,
                PAGE_LIMIT.as_secs() / 60
            )),
        })
    }

    async fn step(&mut self, rows: &mut R) -> Result<Next, FetchError> {
        loop {
            let round = match self.round.take() {
                Some(round) => round,
                None => self.begin_round(rows).await?,
            };
            if round.is_over {
                self.known.forget_before(round.kept_from);
                return Ok(Next::Over(RoundOver {
                    complaint: self.order.complaint(&round.extent),
                    has_rows_ahead: round.extent.ahead > 0,
                }));
            }
            let bounds = Bounds {
                after: round.after.clone(),
                ceiling: round.ceiling,
                rows: self.order.page_rows,
            };
            let page = PageBuilder::new(&self.known, round.kept_from, round.newest_known, rows.cursor_type());
            let page = rows.page(&bounds, page).await?;
            if let Some(part) = self.hand_over(rows.cursor_type(), round, page) {
                return Ok(Next::Part(part));
            }
        }
    }

    async fn begin_round(&self, rows: &mut R) -> Result<Round, FetchError> {
        let cursor_type = rows.cursor_type();
        let reach = cursor_type.reach(&self.order.overlap).unwrap_or_default();
        let start = self.start(cursor_type, reach)?;
        let extent = rows.extent(start).await?;
        let ceiling = extent.newest.unwrap_or(start);
        Ok(Round {
            after: After::Start(start),
            ceiling,
            kept_from: ceiling.saturating_sub(reach).max(start),
            newest_known: self
                .position
                .as_ref()
                .and_then(|position| position.cursor(cursor_type).ok()),
            is_over: extent.newest.is_none(),
            extent,
        })
    }

    /// The cursor value at which a round begins.
    fn start(&self, cursor_type: CursorType, reach: i128) -> Result<i128, FetchError> {
        let Order { cursor, from, .. } = &self.order;
        let wrong = |what: &str, text: &str, expected| {
            FetchError::NeedsPerson(format!(
                "{what} is {}; for {cursor}, {expected} is expected",
                plain(text)
            ))
        };
        let first = cursor_type
            .read(from)
            .map_err(|expected| wrong("`from`", from, expected))?;
        let Some(position) = &self.position else {
            return Ok(first);
        };
        let newest = position.cursor(cursor_type).map_err(|expected| {
            let what = "the type of the cursor has changed: the position in the books";
            wrong(what, position.shown(), expected)
        })?;
        Ok(newest.saturating_sub(reach).max(first))
    }

    /// The part that a page is; none where it has no line that is new, and reading goes on at once.
    fn hand_over(&mut self, cursor_type: CursorType, mut round: Round, page: Page) -> Option<Part> {
        let Some((cursor, key)) = page.last else {
            round.is_over = true;
            self.round = Some(round);
            return None;
        };
        let after = After::Row {
            cursor,
            key: key.clone(),
        };
        if page.bytes.is_empty() {
            (round.after, round.is_over) = (after, page.is_last);
            self.round = Some(round);
            return None;
        }
        self.round = Some(round);
        let position = self.further(cursor_type, cursor, &page.key_shown);
        let part = Part {
            name: self.part_name(cursor_type, cursor, &page.key_shown),
            content: Content::Lines {
                bytes: page.bytes,
                format: Format::Ndjson,
            },
            position: Some(position.text()),
            newest: cursor_type.instant(cursor, self.order.zone),
            again: page.again,
            warnings: Vec::new(),
        };
        self.handed_over = Some(HandedOver {
            position,
            after,
            is_last: page.is_last,
            lines: page.kept,
        });
        Some(part)
    }

    /// The newest row of the books after this one: in the overlap, the one that is there.
    fn further(&self, cursor_type: CursorType, cursor: i128, key: &str) -> Position {
        let newest = self.position.as_ref().filter(|position| {
            let known = position.cursor(cursor_type);
            known.is_ok_and(|known| known > cursor)
        });
        newest
            .cloned()
            .unwrap_or_else(|| Position::new(cursor_type, cursor, key))
    }

    fn part_name(&self, cursor_type: CursorType, cursor: i128, key: &str) -> String {
        format!(
            "{} up to {} {}, {} {}",
            plain(&self.order.name),
            plain(&self.order.cursor),
            cursor_type.text(cursor),
            plain(&self.order.key),
            plain(key)
        )
    }
}

impl<R: Rows> Fetch for Rounds<R> {
    async fn fetch(&mut self) -> Result<Option<Part>, FetchError> {
        match self.next().await? {
            Next::Part(part) => Ok(Some(part)),
            Next::Over(over) => over
                .complaint
                .map_or(Ok(None), |what| Err(FetchError::NeedsPerson(what))),
        }
    }

    async fn acknowledge(&mut self) -> Result<(), FetchError> {
        let Some(handed_over) = self.handed_over.take() else {
            return Ok(());
        };
        self.position = Some(handed_over.position);
        self.known.add(handed_over.lines);
        if let Some(round) = &mut self.round {
            (round.after, round.is_over) = (handed_over.after, handed_over.is_last);
        }
        Ok(())
    }
}
