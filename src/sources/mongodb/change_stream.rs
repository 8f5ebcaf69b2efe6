//! The change stream of a collection: its events, and the lines that their documents become.

use std::collections::HashSet;
use std::time::Duration;

use mongodb::bson::{Document, Timestamp};
use mongodb::change_stream::ChangeStream as Changes;
use mongodb::change_stream::event::{ChangeStreamEvent, OperationType, ResumeToken};
use mongodb::options::FullDocumentType;

use super::document::shown;
use super::document_line::DocumentLine;
use super::fault::{StreamFault, stream_fault_of};
use super::filter::{Filter, microseconds};
use super::session::Session;
use crate::catalog::source::kinds::mongodb::Collection;
use crate::sources::fetch::FetchError;
use crate::sources::rounds::WithoutPlace;
use crate::sources::rounds::known_lines::{KnownLines, LineDigest};
use crate::sources::rounds::page::PAGE_BYTES;

/// How long the server waits for a change before it says that there is none.
const AWAIT: Duration = Duration::from_millis(500);

/// How long an answer may take before the server counts as gone.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// Lines that are remembered: of a document that is changed where no column looks, one line is enough.
const LINES_KNOWN: usize = 1 << 18;

/// An open change stream.
pub struct ChangeStream {
    session: Session,
    definition: Collection,
    changes: Changes<ChangeStreamEvent<Document>>,
    line: DocumentLine,
    filter: Filter,
    /// Documents with a lower cursor are before the start of the source.
    from: i128,
    /// The server's clock when this pull began.
    began: Option<Began>,
    /// The token that was seen last.
    token: Option<ResumeToken>,
    known: HashSet<LineDigest>,
    /// What ended the reading of changes that were handed over first.
    fault: Option<StreamFault>,
}

#[derive(Clone, Copy, Debug)]
struct Began {
    operation: Option<Timestamp>,
    /// The newest cursor value that is taken for a time.
    latest: i128,
}

/// Changes that were read together.
#[derive(Debug, Default)]
pub struct Changed {
    /// The lines of their documents, each with its end.
    pub bytes: Vec<u8>,
    lines: usize,
    /// The newest cursor value of their documents that is a time, and the key of that document.
    pub newest: Option<(i128, String)>,
    /// The stream goes on after it.
    pub token: Option<ResumeToken>,
    /// Documents that were changed, and deleted before they could be looked up.
    pub gone: u64,
    /// Why there are no more.
    pub end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The stream has no more at this time, or what it has came after the pull began.
    Idle,
    /// The collection was dropped or renamed, and the stream ended with it.
    Invalidated,
}

/// The place in the stream that is the present.
///
/// # Errors
/// Where the server has no change streams.
pub async fn present(session: &Session, definition: &Collection) -> Result<ResumeToken, FetchError> {
    // With a batch of events, the answer would name the place after them.
    let opened = session.documents().watch().batch_size(0).await;
    let changes = opened.map_err(|error| stream_fault_of(definition, &error, None).into_fetch())?;
    changes.resume_token().ok_or_else(|| {
        FetchError::NeedsPerson(format!(
            "{}: the server names no place in its change stream (MongoDB 4.2 and later do); remove `watch`",
            definition.place()
        ))
    })
}

impl ChangeStream {
    /// Opens the stream after a token. `from`: the cursor value at which the source starts.
    ///
    /// # Errors
    /// [`StreamFault::Lost`] where the server does not have that place any more.
    pub async fn open(
        session: Session,
        definition: &Collection,
        after: &ResumeToken,
        from: i128,
    ) -> Result<Self, StreamFault> {
        let watch = session.documents().watch().start_after(after.clone());
        let watch = watch
            .full_document(FullDocumentType::UpdateLookup)
            .max_await_time(AWAIT);
        let changes = watch.batch_size(definition.page_documents.min(1_000)).await;
        let changes = changes.map_err(|error| stream_fault_of(definition, &error, Some(after)))?;
        Ok(Self {
            session,
            changes,
            line: DocumentLine::new(&definition.columns),
            filter: Filter::new(&definition.cursor),
            definition: definition.clone(),
            from,
            began: None,
            token: Some(after.clone()),
            known: HashSet::new(),
            fault: None,
        })
    }

    /// Documents that have no place in the order. It is not known whether they are before the start of the source.
    pub async fn without_place(&mut self) -> Result<WithoutPlace, FetchError> {
        let counted = self.session.without_place().await;
        counted.map_err(|error| stream_fault_of(&self.definition, &error, None).into_fetch())
    }

    /// The next changes, up to those that were made when the pull began.
    ///
    /// # Errors
    /// [`StreamFault::Lost`] where the stream cannot go on.
    pub async fn read(&mut self) -> Result<Changed, StreamFault> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let began = self.began().await?;
        let mut changed = Changed::default();
        while changed.end.is_none() && !self.is_enough(&changed) {
            match self.next().await {
                Ok(Some(event)) => self.take(event, began, &mut changed),
                Ok(None) => self.rest(began, &mut changed)?,
                // What came before it is put into the books first.
                Err(fault) if !changed.bytes.is_empty() => {
                    self.fault = Some(fault);
                    break;
                }
                Err(fault) => return Err(fault),
            }
        }
        if changed.end.is_some() {
            self.began = None;
        }
        Ok(changed)
    }

    async fn began(&mut self) -> Result<Began, StreamFault> {
        if let Some(began) = self.began {
            return Ok(began);
        }
        let time = self.session.server_time().await;
        let time = time.map_err(|error| stream_fault_of(&self.definition, &error, None))?;
        let began = Began {
            operation: time.operation,
            latest: microseconds(time.latest()),
        };
        self.began = Some(began);
        Ok(began)
    }

    async fn next(&mut self) -> Result<Option<ChangeStreamEvent<Document>>, StreamFault> {
        let answered = tokio::time::timeout(ANSWER_LIMIT, self.changes.next_if_any()).await;
        let Ok(answered) = answered else {
            return Err(StreamFault::Other(FetchError::Unavailable(format!(
                "{}: the change stream did not answer within {} s",
                self.definition.place(),
                ANSWER_LIMIT.as_secs()
            ))));
        };
        answered.map_err(|error| stream_fault_of(&self.definition, &error, self.token.as_ref()))
    }

    fn is_enough(&self, changed: &Changed) -> bool {
        let lines_max = usize::try_from(self.definition.page_documents).unwrap_or(usize::MAX);
        lines_max <= changed.lines || PAGE_BYTES <= changed.bytes.len()
    }

    fn take(&mut self, event: ChangeStreamEvent<Document>, began: Began, changed: &mut Changed) {
        // The events that follow a drop or a renaming name no document.
        match event.operation_type {
            OperationType::Insert | OperationType::Replace | OperationType::Update => match &event.full_document {
                Some(document) => self.add(document, began, changed),
                None => changed.gone += 1,
            },
            OperationType::Invalidate => changed.end = Some(End::Invalidated),
            _ => {}
        }
        let is_of_now = began
            .operation
            .zip(event.cluster_time)
            .is_some_and(|(began, at)| began < at);
        if is_of_now && changed.end.is_none() {
            changed.end = Some(End::Idle);
        }
        self.token = Some(event.id);
        changed.token.clone_from(&self.token);
    }

    /// The line of a document that has a place in the order, from the start of the source on.
    fn add(&mut self, document: &Document, began: Began, changed: &mut Changed) {
        let Some(cursor) = self.filter.cursor_of(document).filter(|cursor| self.from <= *cursor) else {
            return;
        };
        let start = changed.bytes.len();
        self.line.write(&mut changed.bytes, document);
        // A date that is far ahead is read, and is no time from which reading could go on.
        if cursor <= began.latest && changed.newest.as_ref().is_none_or(|(newest, _)| *newest <= cursor) {
            changed.newest = Some((cursor, document.get("_id").map(shown).unwrap_or_default()));
        }
        if self.known.len() >= LINES_KNOWN {
            self.known.clear();
        }
        if self.known.insert(KnownLines::digest(&changed.bytes[start..])) {
            changed.bytes.push(b'\n');
            changed.lines += 1;
        } else {
            changed.bytes.truncate(start);
        }
    }

    /// The server had no change to tell. It may have got no further than a part of its log.
    fn rest(&mut self, began: Began, changed: &mut Changed) -> Result<(), StreamFault> {
        if !self.changes.is_alive() {
            return Err(StreamFault::Other(FetchError::Unavailable(format!(
                "{}: the change stream ended",
                self.definition.place()
            ))));
        }
        let token = self.changes.resume_token();
        let has_moved = token != self.token;
        let is_behind = token
            .as_ref()
            .and_then(time_of)
            .zip(began.operation)
            .is_some_and(|(at, began)| at < began);
        if token.is_some() {
            self.token = token;
            changed.token.clone_from(&self.token);
        }
        if !(has_moved && is_behind) {
            changed.end = Some(End::Idle);
        }
        Ok(())
    }
}

/// The time in the server's log at which a token stands: hexadecimal digits of a sign for times, the second, and the number in it. None
/// of a token of another form.
fn time_of(token: &ResumeToken) -> Option<Timestamp> {
    let value = serde_json::to_value(token).ok()?;
    let digits = value.get("_data")?.as_str()?.strip_prefix("82")?;
    let number = |from: usize| u32::from_str_radix(digits.get(from..from + 8)?, 16).ok();
    Some(Timestamp {
        time: number(0)?,
        increment: number(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_at_which_time_of_the_log_it_stands() {
        let time = |data: &str| time_of(&serde_json::from_value(serde_json::json!({ "_data": data })).unwrap());
        // A token of MongoDB's own documentation.
        let token = "8265E3A1DB000000012B042C0100296E5A1004A6D4";
        let expected = Timestamp {
            time: 0x65E3_A1DB,
            increment: 1,
        };
        assert_eq!(time(token), Some(expected));
        for other in ["2b0000001073", "82", "8265E3A1", "82xxxxxxxxxxxxxxxx", ""] {
            assert_eq!(time(other), None, "{other}");
        }
    }
}
