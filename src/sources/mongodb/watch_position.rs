//! How far a collection was read and watched, as the books keep it.

use mongodb::change_stream::event::ResumeToken;

use crate::sources::fetch::FetchError;

/// As JSON: `{"cursor":"2026-11-01T00:00:00.000000Z","key":"7","token":"MwAAAA...","is_reading":true}`. Cursor and key are those of the
/// newest document that is in the books, as for a collection that is not watched.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct WatchPosition {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The change stream goes on after it; none: the collection was not watched.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "token_text")]
    pub token: Option<ResumeToken>,
    /// Whether the collection itself is still being read. What changes meanwhile comes after the token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_reading: bool,
}

impl WatchPosition {
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
        serde_json::to_string(self).expect("texts and a document are JSON")
    }

    /// The position of reading in rounds; none where no document was read.
    pub fn of_rounds(&self) -> Option<String> {
        self.cursor.as_ref().map(|_| {
            Self {
                token: None,
                is_reading: false,
                ..self.clone()
            }
            .text()
        })
    }

    /// The same with the newest document that reading in rounds has as its position.
    ///
    /// # Errors
    /// Where it is none.
    pub fn with_rounds(&self, position: &str) -> Result<Self, FetchError> {
        let read = Self::read(position)?;
        Ok(Self {
            cursor: read.cursor,
            key: read.key,
            ..self.clone()
        })
    }

    /// The same with another place in the stream.
    pub fn with_token(self, token: ResumeToken) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    /// The same after a document with this cursor, where it is newer; a cursor as positions have it.
    pub fn with_newer(mut self, cursor: String, key: String) -> Self {
        // Of one length, and in UTC: their order is that of the times.
        if self.cursor.as_ref().is_none_or(|known| *known < cursor) {
            (self.cursor, self.key) = (Some(cursor), Some(key));
        }
        self
    }
}

/// A token is BSON, of which JSON has no exact form: it is kept as the BSON of a document that has it alone, in base64.
mod token_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use mongodb::bson::{deserialize_from_slice, serialize_to_vec};
    use mongodb::change_stream::event::ResumeToken;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

    #[derive(Serialize, Deserialize)]
    struct Alone {
        token: ResumeToken,
    }

    #[allow(clippy::ref_option, reason = "serde hands a member over so")]
    pub fn serialize<S: Serializer>(token: &Option<ResumeToken>, to: S) -> Result<S::Ok, S::Error> {
        let Some(token) = token.clone() else {
            return to.serialize_none();
        };
        let bytes = serialize_to_vec(&Alone { token }).map_err(ser::Error::custom)?;
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ResumeToken>, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD.decode(text).map_err(de::Error::custom)?;
        let alone: Alone = deserialize_from_slice(&bytes).map_err(de::Error::custom)?;
        Ok(Some(alone.token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{Binary, Document, deserialize_from_document, doc};

    /// A token as `MongoDB` makes them for keys that are no text.
    fn token() -> ResumeToken {
        let bytes = vec![0x82, 0x00, 0xFF];
        let type_bits = Binary {
            subtype: BinarySubtype::Generic,
            bytes,
        };
        let token: Document = doc! { "_data": "8265E3A1DB", "_typeBits": type_bits };
        deserialize_from_document(token).unwrap()
    }

    fn watched() -> WatchPosition {
        WatchPosition {
            is_reading: true,
            ..WatchPosition::read(ROUNDS).unwrap().with_token(token())
        }
    }

    const ROUNDS: &str = r#"{"cursor":"2026-11-01T00:00:00.000000Z","key":"7"}"#;

    #[test]
    fn what_the_books_keep_is_read_as_the_same_position() {
        for position in [
            watched(),
            WatchPosition::default(),
            WatchPosition::default().with_token(token()),
            WatchPosition::read(ROUNDS).unwrap(),
        ] {
            assert_eq!(
                WatchPosition::read(&position.text()).unwrap(),
                position,
                "{}",
                position.text()
            );
        }
        for text in ["7", r#"{"token":"?"}"#, r#"{"token":"AAAA"}"#] {
            assert!(WatchPosition::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_collection_that_is_watched_no_more_is_read_on_from_its_newest_document() {
        assert_eq!(watched().of_rounds().as_deref(), Some(ROUNDS));
        assert_eq!(WatchPosition::default().of_rounds(), None);
        let further = watched().with_newer("2026-11-01T00:00:00.001000Z".into(), "8".into());
        assert_eq!(further.key.as_deref(), Some("8"));
        let not_further = further
            .clone()
            .with_newer("2026-10-01T00:00:00.001000Z".into(), "9".into());
        assert_eq!(not_further, further);
    }
}
