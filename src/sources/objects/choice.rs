//! Which of the listed objects are inputs. Pure.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::left::Why;
use crate::pipeline::ingest::drop_folder::names::is_left_alone;
use crate::pipeline::ingest::input::{Input, shows_format};
use crate::storage::objects::{Object, Odd, OddKind};
use crate::values::format::Format;

/// What a definition says of the objects that are meant.
#[derive(Clone, Debug)]
pub struct Choosing {
    pub prefix: String,
    /// None: the name shows it.
    pub format: Option<Format>,
    /// Objects last modified before it are not meant.
    pub from: Option<DateTime<Utc>>,
    /// For so many seconds an object must have been as it is.
    pub rest_s: u32,
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Input,
    /// Nobody need hear of it.
    NotMeant,
    Left(Why),
}

impl Choosing {
    /// Chooses by key, size and time. `name` is the object's for people, and `now` the machine's time.
    pub fn choose(&self, object: &Object, name: &str, now: DateTime<Utc>) -> Choice {
        let is_folder_mark = object.key.ends_with('/') && object.bytes == 0;
        let is_early = self.from.is_some_and(|from| object.modified < from);
        if is_folder_mark || is_early || self.is_of_no_sender(&object.key) {
            return Choice::NotMeant;
        }
        if self.rest_s > 0 && now - object.modified < TimeDelta::seconds(self.rest_s.into()) {
            return Choice::Left(Why::Unfinished);
        }
        match Input::named(Path::new(name), self.format) {
            Ok(_) => Choice::Input,
            Err(_) => Choice::Left(Why::NoFormat),
        }
    }

    /// Why something that is no object is told; none where nobody need hear of it.
    pub fn why_odd(&self, odd: &Odd, name: &str) -> Option<Why> {
        if odd.kind != OddKind::NoText && self.is_of_no_sender(&odd.key) {
            return None;
        }
        match odd.kind {
            OddKind::NoText => Some(Why::NoName),
            OddKind::BrokenLink => Some(Why::BrokenLink),
            OddKind::LinkedFolder => Some(Why::LinkedFolder),
            OddKind::Special => Some(Why::NoFile),
            // Senders may make folders before they fill them; one that is named as a file is none of these.
            OddKind::EmptyFolder => shows_format(name.trim_end_matches('/')).then_some(Why::EmptyFolder),
        }
    }

    /// Whether a name on the way below the prefix is one of those that programs leave beside their files.
    fn is_of_no_sender(&self, key: &str) -> bool {
        let folder = self.prefix.rfind('/').map_or(0, |slash| slash + 1);
        let below = key.get(folder..).unwrap_or(key);
        below
            .split('/')
            .any(|name| name != "." && name != ".." && is_left_alone(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn choose(choosing: &Choosing, key: &str, bytes: u64) -> Choice {
        let object = Object {
            key: key.to_owned(),
            bytes,
            etag: "1".to_owned(),
            modified: at("2026-11-10T00:00:00Z"),
        };
        choosing.choose(&object, &format!("s3://b/{key}"), at("2026-11-10T00:00:30Z"))
    }

    fn all() -> Choosing {
        Choosing {
            prefix: ".mps/".to_owned(),
            format: None,
            from: Some(at("2026-11-10T00:00:00Z")),
            rest_s: 0,
        }
    }

    #[test]
    fn objects_whose_names_show_a_format_are_inputs_whatever_else_is_in_their_keys() {
        for key in [
            ".mps/a.csv",
            ".mps/a b/用量.ndjson.gz",
            ".mps//x/../a.PARQUET",
            ".mps/./a.jsonl.zst",
            ".mps/a#?&=%2F.json",
        ] {
            assert_eq!(choose(&all(), key, 1), Choice::Input, "{key}");
        }
    }

    #[test]
    fn what_programs_leave_and_marks_of_folders_are_not_meant() {
        for key in [
            ".mps/_SUCCESS",
            ".mps/_temporary/0/a.csv",
            ".mps/.hidden/a.csv",
            ".mps/a.csv.tmp",
            ".mps/x/",
        ] {
            assert_eq!(choose(&all(), key, 0), Choice::NotMeant, "{key}");
        }
    }

    #[test]
    fn a_name_that_shows_no_format_is_told_unless_a_format_is_set() {
        assert_eq!(choose(&all(), ".mps/usage", 1), Choice::Left(Why::NoFormat));
        assert_eq!(choose(&all(), ".mps/x/", 1), Choice::Left(Why::NoFormat));
        let set = Choosing {
            format: Some(Format::Ndjson),
            ..all()
        };
        assert_eq!(choose(&set, ".mps/usage", 1), Choice::Input);
    }

    #[test]
    fn what_is_no_file_is_told_unless_a_program_left_it() {
        let why = |key: &str, kind| {
            let odd = Odd {
                key: key.to_owned(),
                kind,
            };
            all().why_odd(&odd, &format!("/srv/{key}"))
        };
        assert_eq!(why(".mps/a.csv", OddKind::BrokenLink), Some(Why::BrokenLink));
        assert_eq!(why(".mps/a", OddKind::LinkedFolder), Some(Why::LinkedFolder));
        assert_eq!(why(".mps/pipe", OddKind::Special), Some(Why::NoFile));
        assert_eq!(why(".mps/.hidden", OddKind::Special), None);
        assert_eq!(why(".mps/a.csv/", OddKind::EmptyFolder), Some(Why::EmptyFolder));
        assert_eq!(why(".mps/2026-11-01/", OddKind::EmptyFolder), None);
    }

    #[test]
    fn what_is_older_than_the_source_is_not_meant_and_what_is_too_new_waits() {
        let later = Choosing {
            from: Some(at("2026-11-10T00:00:01Z")),
            ..all()
        };
        assert_eq!(choose(&later, ".mps/a.csv", 1), Choice::NotMeant);
        let rests = |rest_s| Choosing { rest_s, ..all() };
        assert_eq!(choose(&rests(30), ".mps/a.csv", 1), Choice::Input);
        assert_eq!(choose(&rests(31), ".mps/a.csv", 1), Choice::Left(Why::Unfinished));
    }
}
