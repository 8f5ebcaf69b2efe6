//! Which documents are asked for: filters and orders of a collection whose cursor is a date, or `_id`.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::document::at_path;
use crate::sources::rounds::{After, Bounds};

const MICROSECONDS_OF_A_MILLISECOND: i128 = 1_000;

const MICROSECONDS_OF_A_SECOND: i128 = 1_000_000;

/// Types of `_id` in the order in which `MongoDB` sorts them. `$gt` finds only values of the same one.
const TYPES: [&[&str]; 9] = [
    &["number"],
    &["string", "symbol"],
    &["object"],
    &["binData"],
    &["objectId"],
    &["bool"],
    &["date"],
    &["timestamp"],
    &["regex", "maxKey"],
];

/// A date in the unit of cursors.
pub fn microseconds(date: DateTime) -> i128 {
    i128::from(date.timestamp_millis()) * MICROSECONDS_OF_A_MILLISECOND
}

/// The order of a collection.
#[derive(Clone, Debug)]
pub enum Filter {
    /// An id of `MongoDB`'s own making begins with the second in which it was made.
    Id,
    /// The path of a date; documents of one date are in the order of their ids.
    Date(String),
}

impl Filter {
    pub fn new(cursor: &str) -> Self {
        match cursor {
            "_id" => Self::Id,
            path => Self::Date(path.to_owned()),
        }
    }

    pub fn path(&self) -> &str {
        match self {
            Self::Id => "_id",
            Self::Date(path) => path,
        }
    }

    /// The cursor value of a document, in microseconds.
    pub fn cursor_of(&self, document: &Document) -> Option<i128> {
        match at_path(document, self.path())? {
            Bson::ObjectId(id) if matches!(self, Self::Id) => {
                Some(i128::from(second_of(*id)) * MICROSECONDS_OF_A_SECOND)
            }
            Bson::DateTime(date) => Some(microseconds(*date)),
            _ => None,
        }
    }

    pub fn oldest_first(&self) -> Document {
        match self {
            Self::Id => doc! { "_id": 1 },
            Self::Date(path) => doc! { path: 1, "_id": 1 },
        }
    }

    pub fn newest_first(&self) -> Document {
        doc! { self.path(): -1 }
    }

    /// Documents from a cursor value on, and not later than `latest`.
    pub fn within(&self, start: i128, latest: DateTime) -> Document {
        let within = doc! { "$gte": self.first_at(start), "$lte": self.last_at(microseconds(latest)) };
        self.without_arrays(doc! { self.path(): within })
    }

    pub fn ahead(&self, latest: DateTime) -> Document {
        self.without_arrays(doc! { self.path(): { "$gt": self.last_at(microseconds(latest)) } })
    }

    /// Documents whose cursor is of another type, an array, or missing.
    pub fn without_place(&self) -> Document {
        let expected = match self {
            Self::Id => "objectId",
            Self::Date(_) => "date",
        };
        let mut any = vec![doc! { self.path(): { "$not": { "$type": expected } } }];
        any.extend(self.arrays());
        doc! { "$or": any }
    }

    /// Documents that have an array at the path, or on the way to it where the path names no element of it. A filter of dates finds such
    /// a document by any date that is in the array.
    fn arrays(&self) -> Vec<Document> {
        let Self::Date(path) = self else { return Vec::new() };
        let names: Vec<&str> = path.split('.').collect();
        let is_element = |at: usize| {
            names
                .get(at)
                .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        };
        (1..=names.len())
            .filter(|end| !is_element(*end))
            .map(|end| doc! { names[..end].join("."): { "$type": "array" } })
            .collect()
    }

    /// The same documents without those that have no single value.
    fn without_arrays(&self, mut filter: Document) -> Document {
        let arrays = self.arrays();
        if !arrays.is_empty() {
            filter.insert("$nor", arrays);
        }
        filter
    }

    /// The documents of the next page and all after them.
    pub fn page(&self, bounds: &Bounds) -> Document {
        self.without_arrays(self.after(bounds))
    }

    fn after(&self, bounds: &Bounds) -> Document {
        let ceiling = self.last_at(bounds.ceiling);
        let path = self.path();
        match &bounds.after {
            After::Start(start) => doc! { path: { "$gte": self.first_at(*start), "$lte": ceiling } },
            After::Row { cursor, key } => {
                let key = key_of(key);
                match self {
                    Self::Id => doc! { path: { "$gt": key, "$lte": ceiling } },
                    Self::Date(_) => {
                        let same = date(*cursor);
                        doc! { "$or": [
                            { path: { "$gt": same, "$lte": ceiling } },
                            { path: same, "_id": { "$gt": &key } },
                            { path: same, "_id": { "$type": types_after(&key) } },
                        ] }
                    }
                }
            }
        }
    }

    /// The lowest value of the cursor's type at this time or later.
    fn first_at(&self, microseconds: i128) -> Bson {
        match self {
            Self::Id => id_at(microseconds, 0).into(),
            // A date has milliseconds: the next one, where there is a rest.
            Self::Date(_) => date(microseconds + MICROSECONDS_OF_A_MILLISECOND - 1).into(),
        }
    }

    /// The highest value of the cursor's type at this time.
    fn last_at(&self, microseconds: i128) -> Bson {
        match self {
            Self::Id => id_at(microseconds, u8::MAX).into(),
            Self::Date(_) => date(microseconds).into(),
        }
    }
}

fn date(microseconds: i128) -> DateTime {
    let milliseconds = microseconds.div_euclid(MICROSECONDS_OF_A_MILLISECOND);
    DateTime::from_millis(i64::try_from(milliseconds).unwrap_or(if milliseconds < 0 { i64::MIN } else { i64::MAX }))
}

/// The id of a second that is filled up with one byte.
fn id_at(microseconds: i128, fill: u8) -> ObjectId {
    let second = microseconds
        .div_euclid(MICROSECONDS_OF_A_SECOND)
        .clamp(0, i128::from(u32::MAX));
    let mut bytes = [fill; 12];
    bytes[..4].copy_from_slice(&u32::try_from(second).unwrap_or(u32::MAX).to_be_bytes());
    ObjectId::from_bytes(bytes)
}

fn second_of(id: ObjectId) -> u32 {
    let bytes = id.bytes();
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The types of ids that come after those of the type of this one.
fn types_after(key: &Bson) -> Vec<&'static str> {
    let name = match key {
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => "number",
        Bson::String(_) | Bson::Symbol(_) => "string",
        Bson::Document(_) => "object",
        Bson::Binary(_) => "binData",
        Bson::ObjectId(_) => "objectId",
        Bson::Boolean(_) => "bool",
        Bson::DateTime(_) => "date",
        Bson::Timestamp(_) => "timestamp",
        Bson::Null | Bson::MinKey => return TYPES.concat(),
        _ => "regex",
    };
    let at = TYPES
        .iter()
        .position(|names| names.contains(&name))
        .unwrap_or(TYPES.len() - 1);
    TYPES[at + 1..].concat()
}

/// A key as bytes: the BSON of a document that has it alone.
pub fn key_bytes(key: &Bson) -> Vec<u8> {
    mongodb::bson::serialize_to_vec(&doc! { "_id": key }).unwrap_or_default()
}

fn key_of(bytes: &[u8]) -> Bson {
    let document: Option<Document> = mongodb::bson::deserialize_from_slice(bytes).ok();
    document
        .and_then(|mut document| document.remove("_id"))
        .unwrap_or(Bson::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_may_stand_on_the_way_to_the_cursor_where_an_element_of_it_is_named() {
        let arrays = |path: &str| -> Vec<String> {
            let arrays = Filter::new(path).arrays();
            arrays.iter().map(|array| array.keys().cloned().collect()).collect()
        };
        assert_eq!(arrays("seen"), ["seen"]);
        assert_eq!(arrays("a.b"), ["a", "a.b"]);
        assert_eq!(arrays("a.0.b"), ["a.0", "a.0.b"]);
        assert_eq!(arrays("a.0"), ["a.0"]);
        assert_eq!(arrays("_id"), [""; 0]);
        let latest = DateTime::from_millis(0);
        assert!(Filter::new("_id").within(0, latest).get("$nor").is_none());
        assert!(Filter::new("seen").within(0, latest).get("$nor").is_some());
    }
}
