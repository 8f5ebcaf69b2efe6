//! A collection that is watched: it is read once by its cursor, and from then on its change stream says what is new.
//!
//! ```text
//! token      the place in the stream before the first read, so that nothing falls between
//! reading    rounds by the cursor, from the start of the source or from the overlap before the newest document in the books
//! streaming  changes after the token; each part is committed with the token after it
//! ```
//!
//! Where the server cannot take the stream up, because its log is gone or the collection was dropped or renamed, this begins again with
//! the overlap, and the report says so.

use std::time::{Duration, Instant};

use super::change_stream::{ChangeStream, Changed, End, present};
use super::fault::StreamFault;
use super::session::Session;
use super::watch_position::WatchPosition;
use crate::catalog::source::kinds::mongodb::Collection;
use crate::sources::fetch::{Content, Fetch, FetchError, Part};
use crate::sources::rounds::cursor::CursorType;
use crate::sources::rounds::{Extent, Next, Order, Rounds, Rows as _};
use crate::support::quote::plain;
use crate::support::table::counted;
use crate::values::format::Format;

/// How often the place in a stream without changes is written down: the server keeps its log for hours or days.
const TOKEN_REST: Duration = Duration::from_mins(5);

/// A collection that is watched. It connects when it is first asked.
pub struct Watch {
    order: Order,
    definition: Collection,
    /// What is in the books.
    position: WatchPosition,
    /// The place of the part that was handed over, which is not known to be in the books.
    handed_over: Option<WatchPosition>,
    stage: Stage,
    /// Why the overlap is read again, until a part says so.
    warning: Option<String>,
    token_written: Option<Instant>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Closed,
    /// With the token before it.
    Reading(Box<Rounds<Session>>, WatchPosition),
    Streaming(Box<ChangeStream>),
    /// The stream had no more; a part may have been handed over since.
    Idle(Box<ChangeStream>),
}

impl Watch {
    pub fn new(order: Order, definition: Collection, position: WatchPosition) -> Self {
        Self {
            order,
            definition,
            position,
            handed_over: None,
            stage: Stage::Closed,
            warning: None,
            token_written: None,
        }
    }

    /// Whether what it knows to be in the books is what the books have.
    pub fn stands_at(&self, position: Option<&str>) -> bool {
        let known = (self.position != WatchPosition::default()).then(|| self.position.text());
        known.as_deref() == position
    }

    /// Takes the stream up where the books say, or begins to read.
    async fn begin(&mut self) -> Result<Stage, FetchError> {
        let session = connect(&self.order, &self.definition).await?;
        if let (Some(token), false) = (&self.position.token, self.position.is_reading) {
            return match ChangeStream::open(session, &self.definition, token, self.start()?).await {
                Ok(stream) => Ok(Stage::Streaming(Box::new(stream))),
                Err(StreamFault::Lost(what)) => self.begin_again(&what).await,
                Err(StreamFault::Other(error)) => Err(error),
            };
        }
        let token = match self.position.token.clone() {
            Some(token) => token,
            None => present(&session, &self.definition).await?,
        };
        self.read_after(self.position.clone().with_token(token))
    }

    /// The stream cannot be taken up: what it would have said is looked for in the overlap, and a new place is taken before that.
    async fn begin_again(&mut self, why: &str) -> Result<Stage, FetchError> {
        let session = connect(&self.order, &self.definition).await?;
        let token = present(&session, &self.definition).await?;
        self.warn(&format!("the change stream could not be taken up ({})", plain(why)));
        self.read_after(self.position.clone().with_token(token))
    }

    fn read_after(&self, mut place: WatchPosition) -> Result<Stage, FetchError> {
        let rounds = Rounds::new(
            self.order.clone(),
            self.definition.clone(),
            place.of_rounds().as_deref(),
        )?;
        place.is_reading = true;
        Ok(Stage::Reading(Box::new(rounds), place))
    }

    fn warn(&mut self, why: &str) {
        let Order { name, cursor, .. } = &self.order;
        self.warning = Some(format!(
            "{name}: {why}; the collection was read again from the overlap before its newest {cursor}. A document that was changed \
             meanwhile and kept an older {cursor} may have been missed: import the definition with a new name, an earlier `from` and \
             the same `source` in `columns` to read all of it again"
        ));
    }

    /// The cursor value at which the source starts.
    fn start(&self) -> Result<i128, FetchError> {
        CursorType::Instant.read(&self.order.from).map_err(|expected| {
            FetchError::NeedsPerson(format!(
                "`from` is {}; for {}, {expected} is expected",
                plain(&self.order.from),
                self.order.cursor
            ))
        })
    }

    /// The next part of reading. After the last one the stream is opened.
    async fn read(&mut self, mut rounds: Box<Rounds<Session>>, mut place: WatchPosition) -> Result<Part, FetchError> {
        match rounds.next().await? {
            Next::Part(part) => {
                let read = part
                    .position
                    .as_deref()
                    .map(|text| place.with_rounds(text))
                    .transpose()?;
                let read = read.unwrap_or(place);
                self.stage = Stage::Reading(rounds, read.clone());
                Ok(self.hand_over(part, read))
            }
            // What is dated ahead is read when its time has come, by its cursor: until then the reading is not over.
            Next::Over(over) if over.has_rows_ahead => Err(FetchError::NeedsPerson(over.complaint.unwrap_or_default())),
            Next::Over(_) => {
                place.is_reading = false;
                let name = format!("{} to its end", plain(&self.order.name));
                Ok(self.hand_over(part_of(name, Vec::new()), place))
            }
        }
    }

    /// The next part of the stream; none where it has no more.
    async fn follow(&mut self, mut stream: Box<ChangeStream>) -> Result<Option<Part>, FetchError> {
        let changed = match stream.read().await {
            Ok(changed) => changed,
            Err(StreamFault::Lost(what)) => {
                self.stage = self.begin_again(&what).await?;
                return Ok(None);
            }
            Err(StreamFault::Other(error)) => return Err(error),
        };
        let place = self.place_after(&changed);
        self.stage = match changed.end {
            None => Stage::Streaming(stream),
            Some(End::Idle) => Stage::Idle(stream),
            Some(End::Invalidated) => {
                self.warn("the collection was dropped or renamed");
                self.read_after(place.clone())?
            }
        };
        if changed.bytes.is_empty() && changed.gone == 0 && !self.is_worth_writing(&place) {
            return Ok(None);
        }
        Ok(Some(self.hand_over(self.part_of_changes(changed), place)))
    }

    fn place_after(&self, changed: &Changed) -> WatchPosition {
        let mut place = self.position.clone();
        if let Some((cursor, key)) = &changed.newest {
            place = place.with_newer(CursorType::Instant.text(*cursor), key.clone());
        }
        if changed.token.is_some() {
            place.token.clone_from(&changed.token);
        }
        place.is_reading = changed.end == Some(End::Invalidated);
        place
    }

    /// Whether a place without new lines is written down.
    fn is_worth_writing(&self, place: &WatchPosition) -> bool {
        *place != self.position && self.token_written.is_none_or(|written| TOKEN_REST <= written.elapsed())
    }

    fn part_of_changes(&self, changed: Changed) -> Part {
        let newest = changed.newest.as_ref().map(|(cursor, _)| *cursor);
        let upto = newest.map_or_else(String::new, |newest| {
            let cursor = plain(&self.order.cursor);
            format!(" up to {cursor} {}", CursorType::Instant.text(newest))
        });
        let mut part = part_of(format!("changes of {}{upto}", plain(&self.order.name)), changed.bytes);
        part.newest = newest.and_then(|newest| CursorType::Instant.instant(newest, None));
        if changed.gone > 0 {
            part.warnings.push(format!(
                "{}: {} of documents that were deleted before the changes were read",
                self.order.name,
                counted(changed.gone, "change")
            ));
        }
        part
    }

    fn hand_over(&mut self, mut part: Part, place: WatchPosition) -> Part {
        part.position = Some(place.text());
        part.warnings.extend(self.warning.take());
        self.handed_over = Some(place);
        part
    }

    /// Nothing more at this time: what a person must know is said then.
    async fn end(&mut self, mut stream: Box<ChangeStream>) -> Result<(), FetchError> {
        let extent = Extent {
            newest: None,
            ahead: 0,
            without_place: stream.without_place().await?,
        };
        self.stage = Stage::Streaming(stream);
        let complaint = self.order.complaint(&extent);
        complaint.map_or(Ok(()), |what| Err(FetchError::NeedsPerson(what)))
    }
}

async fn connect(order: &Order, definition: &Collection) -> Result<Session, FetchError> {
    let password = order.password()?;
    Session::open(definition, password.as_ref()).await
}

fn part_of(name: String, bytes: Vec<u8>) -> Part {
    let content = if bytes.is_empty() {
        Content::Nothing
    } else {
        Content::Lines {
            bytes,
            format: Format::Ndjson,
        }
    };
    Part {
        name,
        content,
        position: None,
        newest: None,
        again: 0,
        warnings: Vec::new(),
    }
}

impl Fetch for Watch {
    async fn fetch(&mut self) -> Result<Option<Part>, FetchError> {
        // What was not acknowledged comes again.
        if self.handed_over.take().is_some() {
            self.stage = Stage::Closed;
        }
        loop {
            // Taken out: where this future is dropped, so is the connection, with whatever it was in the middle of.
            match std::mem::take(&mut self.stage) {
                Stage::Closed => self.stage = self.begin().await?,
                Stage::Reading(rounds, place) => return self.read(rounds, place).await.map(Some),
                Stage::Streaming(stream) => {
                    if let Some(part) = self.follow(stream).await? {
                        return Ok(Some(part));
                    }
                }
                Stage::Idle(stream) => return self.end(stream).await.map(|()| None),
            }
        }
    }

    async fn acknowledge(&mut self) -> Result<(), FetchError> {
        let Some(place) = self.handed_over.take() else {
            return Ok(());
        };
        if place.token != self.position.token {
            self.token_written = Some(Instant::now());
        }
        self.position = place;
        if let Stage::Reading(rounds, _) = &mut self.stage {
            rounds.acknowledge().await?;
        }
        Ok(())
    }
}
