//! What one run remembers of objects beside the ledger: what it told of them, and which of them the books refused. A run that follows a
//! bucket lists it again and again, and says the same thing once.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::left::Why;
use crate::storage::objects::Object;

/// Objects of which it is remembered that they were told: eight bytes each. What is beyond is told each time.
const TOLD_MAX: usize = 1 << 20;

/// Objects that the books refused and that are not read again: a sentence each. What is beyond is read and told each time.
const REFUSED_MAX: usize = 10_000;

/// What a run remembers.
#[derive(Debug, Default)]
pub struct Memory {
    told: HashSet<u64>,
    refused: HashMap<u64, String>,
}

impl Memory {
    /// Whether this is told of a key for the first time.
    pub fn is_news(&mut self, why: Why, key: &str) -> bool {
        let digest = xxh3_64_with_seed(key.as_bytes(), why as u64);
        if self.told.len() >= TOLD_MAX {
            return !self.told.contains(&digest);
        }
        self.told.insert(digest)
    }

    /// The books refused an object in this state: it is not read again before it is another, or another run begins.
    pub fn refuse(&mut self, object: &Object, sentence: &str) {
        if self.refused.len() < REFUSED_MAX {
            self.refused.insert(digest_of(object), sentence.to_owned());
        }
    }

    /// Why the books refused an object in this state.
    pub fn refused(&self, object: &Object) -> Option<&str> {
        self.refused.get(&digest_of(object)).map(String::as_str)
    }
}

fn digest_of(object: &Object) -> u64 {
    xxh3_64(format!("{}\0{}\0{}", object.key, object.etag, object.bytes).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_news_once_for_each_object() {
        let mut memory = Memory::default();
        assert!(memory.is_news(Why::Archived, "a") && memory.is_news(Why::NoFormat, "a"));
        assert!(memory.is_news(Why::Archived, "b") && !memory.is_news(Why::Archived, "a"));
    }

    #[test]
    fn an_object_that_was_refused_is_read_again_when_it_is_another() {
        let object = |etag: &str| Object {
            key: "a".to_owned(),
            bytes: 1,
            etag: etag.to_owned(),
            modified: chrono::DateTime::UNIX_EPOCH,
        };
        let mut memory = Memory::default();
        memory.refuse(&object("1"), "it is no Parquet");
        assert_eq!(memory.refused(&object("1")), Some("it is no Parquet"));
        assert_eq!(memory.refused(&object("2")), None);
    }
}
