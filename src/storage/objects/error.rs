//! What an object store answers that is not what was asked for.

use crate::support::error::Error;

/// Why a request brought nothing. No sentence has a key, a token or a signature.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It does not answer, or asks for patience.
    #[error("{0}")]
    Unavailable(String),
    /// It will not answer before a person does something; the sentence names the cure.
    #[error("{0}")]
    NeedsPerson(String),
    /// There is no object of this key.
    #[error("there is no such object")]
    Missing,
    /// The object is not in the state that was asked for any more.
    #[error("the object has changed")]
    Changed,
    /// The object lies in an archive, from which it must be restored first.
    #[error("the object is archived")]
    Archived,
    /// Files of this machine.
    #[error(transparent)]
    Local(#[from] Error),
}
