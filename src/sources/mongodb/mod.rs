//! Collections of `MongoDB` as a source, read in rounds or watched.

mod change_stream;
mod document;
mod document_line;
mod fault;
mod filter;
mod session;
mod watch;
mod watch_position;

use self::session::Session;
use self::watch::Watch;
use self::watch_position::WatchPosition;
use super::fetch::{Fetch, FetchError, Part};
use super::rounds::{Order, Rounds};
use crate::catalog::source::kinds::mongodb::Collection;

/// One opened collection.
pub enum CollectionSource {
    /// Read by its cursor, again and again.
    Read(Box<Rounds<Session>>),
    /// Read once, and from then on what its change stream says.
    Watched(Box<Watch>),
}

/// A collection as its definition has it. `from` is the definition's start, `position` what the books kept of the last part.
///
/// # Errors
/// Where the position is none of a collection, or the place of the password is not clear.
pub fn open(definition: &Collection, from: &str, position: Option<&str>) -> Result<CollectionSource, FetchError> {
    let order = Order {
        name: definition.name(),
        place: definition.place(),
        password: definition.password().map_err(FetchError::NeedsPerson)?,
        cursor: definition.cursor.clone(),
        key: "_id".to_owned(),
        overlap: definition.overlap.clone(),
        page_rows: definition.page_documents,
        from: from.to_owned(),
        zone: None,
    };
    // A collection may be watched at one time and not at another.
    let position = position.map(WatchPosition::read).transpose()?.unwrap_or_default();
    if definition.watch {
        return Ok(CollectionSource::Watched(Box::new(Watch::new(
            order,
            definition.clone(),
            position,
        ))));
    }
    let rounds = Rounds::new(order, definition.clone(), position.of_rounds().as_deref())?;
    Ok(CollectionSource::Read(Box::new(rounds)))
}

impl CollectionSource {
    /// Whether what it knows to be in the books is what the books have.
    pub fn stands_at(&self, position: Option<&str>) -> bool {
        match self {
            Self::Read(rounds) => rounds.stands_at(position),
            Self::Watched(watch) => watch.stands_at(position),
        }
    }
}

impl Fetch for CollectionSource {
    async fn fetch(&mut self) -> Result<Option<Part>, FetchError> {
        match self {
            Self::Read(rounds) => rounds.fetch().await,
            Self::Watched(watch) => watch.fetch().await,
        }
    }

    async fn acknowledge(&mut self) -> Result<(), FetchError> {
        match self {
            Self::Read(rounds) => rounds.acknowledge().await,
            Self::Watched(watch) => watch.acknowledge().await,
        }
    }
}
