//! How far a source was read, as the books keep it.

use crate::sources::fetch::FetchError;

use super::cursor::CursorType;

/// The newest row that is in the books, as JSON: `{"cursor":"2026-11-01T00:00:00.000000Z","key":"7"}`. A pull begins at its cursor minus
/// the overlap; the key is for people.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    cursor: String,
    key: String,
}

impl Position {
    pub fn new(cursor_type: CursorType, cursor: i128, key: &str) -> Self {
        Self {
            cursor: cursor_type.text(cursor),
            key: key.to_owned(),
        }
    }

    /// Reads what the books kept.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(text: &str) -> Result<Self, FetchError> {
        serde_json::from_str(text).map_err(|error| {
            FetchError::NeedsPerson(format!(
                "the position that the books have for this source is none of its kind ({error}); import the definition with a new name"
            ))
        })
    }

    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("two texts are JSON")
    }

    /// The cursor, where the column still has its type.
    pub fn cursor(&self, cursor_type: CursorType) -> Result<i128, &'static str> {
        cursor_type.read(&self.cursor)
    }

    /// The cursor as it is shown.
    pub fn shown(&self) -> &str {
        &self.cursor
    }
}
