//! How far each partition of a topic was read, as the books keep it.

use std::collections::BTreeMap;

use crate::sources::fetch::FetchError;

/// How far each partition was read, by its number. As JSON: `{"0":{"next":57,"last":{"offset":56,"digest":"9c0e3f1b5a7d2468"}},
/// "1":{"next":3,"waits":true}}`. Empty: nothing was looked at yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Position(BTreeMap<i32, Mark>);

/// How far one partition was read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Mark {
    /// The offset at which reading goes on.
    pub next: i64,
    /// The message that was read last: a topic that has another one there is not the topic that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Last>,
    /// Whether no message before `next` was sent at `from` or later: then reading has not begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Last {
    pub offset: i64,
    /// Of its time, key and content, in hexadecimal digits.
    pub digest: String,
}

impl Mark {
    /// Reading begins here.
    pub fn at(next: i64) -> Self {
        Self {
            next,
            last: None,
            waits: false,
        }
    }

    /// Reading has not begun: everything before this offset is older than `from`.
    pub fn waiting(next: i64) -> Self {
        Self {
            waits: true,
            ..Self::at(next)
        }
    }
}

impl Position {
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
        serde_json::to_string(self).expect("numbers and texts are JSON")
    }

    /// Whether nothing was looked at yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, partition: i32) -> Option<&Mark> {
        self.0.get(&partition)
    }

    pub fn set(&mut self, partition: i32, mark: Mark) {
        self.0.insert(partition, mark);
    }

    /// Each partition with its mark, by number.
    pub fn marks(&self) -> impl Iterator<Item = (i32, &Mark)> {
        self.0.iter().map(|(partition, mark)| (*partition, mark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_books_keep_is_read_as_the_same_position() {
        let mut position = Position::default();
        assert!(position.is_empty());
        let last = Last {
            offset: 56,
            digest: "9c0e3f1b5a7d2468".to_owned(),
        };
        position.set(
            0,
            Mark {
                last: Some(last),
                ..Mark::at(57)
            },
        );
        position.set(1, Mark::waiting(3));
        let text = position.text();
        assert_eq!(
            text,
            r#"{"0":{"next":57,"last":{"offset":56,"digest":"9c0e3f1b5a7d2468"}},"1":{"next":3,"waits":true}}"#
        );
        assert_eq!(Position::read(&text).unwrap(), position);
        for wrong in ["7", r#"{"cursor":"2026","key":"7"}"#, r#"{"a":{"next":1}}"#] {
            assert!(Position::read(wrong).is_err(), "{wrong}");
        }
    }
}
