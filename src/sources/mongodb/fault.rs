//! What `MongoDB` says when it gives nothing: whether it is tried again or needs a person, and what to do.

use mongodb::change_stream::event::ResumeToken;
use mongodb::error::{Error, ErrorKind};

use crate::catalog::source::kinds::mongodb::Collection;
use crate::sources::fetch::FetchError;

/// Codes of commands that a person must do something about: a right or a login that is missing, and questions that the server does not
/// understand. All others pass: cursors that are lost, servers that step down or stop, limits of time.
const FOR_A_PERSON: [(i32, &str); 11] = [
    (13, GRANT),
    (18, USER),
    (8000, USER),
    (11, USER),
    (2, QUERY),
    (9, QUERY),
    (59, QUERY),
    (73, QUERY),
    (167, QUERY),
    (166, NO_STREAM),
    (40_573, NO_STREAM),
];

/// Codes that say that a change stream cannot be taken up at its place: the log is gone (286, 40576, 136), the place is none of this
/// server's (260, 280, 40585), or the next event is larger than a document may be (10334).
const LOST: [i32; 7] = [286, 280, 260, 136, 10_334, 40_576, 40_585];

/// What a token that the server cannot read is answered with.
const FAILED_TO_PARSE: i32 = 9;

/// The label of errors after which a change stream cannot go on.
const NOT_RESUMABLE: &str = "NonResumableChangeStreamError";

const GRANT: &str = "give the user the role `read` on the database";
const USER: &str =
    "check the user in `url`, its `authSource`, and the password where `password_file` or `password_env` has it";
const NO_STREAM: &str =
    "remove `watch`: only a collection of a replica set or a sharded cluster has a change stream, and no view has one";
const QUERY: &str = "check `database`, `collection` and `cursor`";

/// What a failed question means. The sentence names the server without its user.
pub fn fault_of(definition: &Collection, error: &Error) -> FetchError {
    let place = definition.place();
    let needs_person = |what: &str, cure: &str| FetchError::NeedsPerson(format!("{place}: {what}; {cure}"));
    match &*error.kind {
        ErrorKind::Command(command) => match FOR_A_PERSON.iter().find(|(code, _)| *code == command.code) {
            Some((_, cure)) => needs_person(&command.message, cure),
            None => FetchError::Unavailable(format!("{place}: {}", command.message)),
        },
        ErrorKind::Authentication { message, .. } => needs_person(message, USER),
        ErrorKind::InvalidArgument { message, .. } => needs_person(message, "correct `url`"),
        ErrorKind::InvalidTlsConfig { message, .. } => needs_person(message, "correct the options of TLS in `url`"),
        other => FetchError::Unavailable(format!(
            "{place}: {other}; check that the server is running, and that its name and port in `url` are right"
        )),
    }
}

/// Why a change stream gave nothing.
#[derive(Debug)]
pub enum StreamFault {
    /// It cannot be taken up at its place: what the server says.
    Lost(String),
    Other(FetchError),
}

impl StreamFault {
    /// The same where no place was asked for.
    pub fn into_fetch(self) -> FetchError {
        match self {
            Self::Lost(what) => FetchError::Unavailable(what),
            Self::Other(error) => error,
        }
    }
}

/// What a failed question about a change stream means. `after`: the place at which it was to be taken up.
pub fn stream_fault_of(definition: &Collection, error: &Error, after: Option<&ResumeToken>) -> StreamFault {
    if let ErrorKind::Command(command) = &*error.kind
        && after.is_some()
        && (LOST.contains(&command.code) || command.code == FAILED_TO_PARSE || error.contains_label(NOT_RESUMABLE))
    {
        return StreamFault::Lost(format!("{} {}", command.code, command.message));
    }
    StreamFault::Other(fault_of(definition, error))
}
