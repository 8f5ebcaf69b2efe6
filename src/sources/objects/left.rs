//! What was left where it is, and why: counted, with a few names, so that a report stays short whatever a bucket holds.

use std::collections::BTreeMap;

use crate::support::quote::quoted;

/// Names that are shown of each kind.
const SHOWN: usize = 3;

/// Why an object is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Why {
    /// Neither its name nor the source says its format.
    NoFormat,
    /// It must be restored first.
    Archived,
    /// It was listed, and was gone when it was read.
    Gone,
    /// It was another each time it was read.
    KeepsChanging,
    /// Somebody may still write it.
    Unfinished,
    /// Its name is no text.
    NoName,
    /// It is a link that leads to nothing that can be read.
    BrokenLink,
    /// It is a link to a folder.
    LinkedFolder,
    /// It is a pipe, a socket or a device.
    NoFile,
    /// It is a folder that is named as a file.
    EmptyFolder,
}

/// Objects that are left, by the reason.
#[derive(Debug, Default)]
pub struct Left(BTreeMap<Why, Group>);

#[derive(Debug, Default)]
struct Group {
    count: u64,
    /// Of which the run did not tell before.
    news: u64,
    /// Names of these; of all where none is new.
    shown: Vec<String>,
}

/// Sentences for people.
#[derive(Debug, Default)]
pub struct Sentences {
    /// With something that the run did not tell before.
    pub news: Vec<String>,
    /// Told before, and still so.
    pub standing: Vec<String>,
}

impl Left {
    pub fn add(&mut self, why: Why, name: &str, is_news: bool) {
        let group = self.0.entry(why).or_default();
        group.count += 1;
        if is_news && group.news == 0 {
            group.shown.clear();
        }
        group.news += u64::from(is_news);
        if group.shown.len() < SHOWN && (is_news || group.news == 0) {
            group.shown.push(quoted(name));
        }
    }

    /// A sentence for each reason.
    pub fn sentences(self) -> Sentences {
        let mut sentences = Sentences::default();
        for (why, group) in self.0 {
            let told = if group.news > 0 {
                &mut sentences.news
            } else {
                &mut sentences.standing
            };
            told.push(sentence(why, &group));
        }
        sentences
    }
}

fn sentence(why: Why, group: &Group) -> String {
    let (count, shown) = (group.count, group.shown.join(", "));
    let s = if count == 1 { "" } else { "s" };
    let named = if group.news > 0 { group.news } else { count };
    let new = if named < count {
        format!(" ({named} of them new)")
    } else {
        String::new()
    };
    let such = if named > group.shown.len() as u64 {
        "such as "
    } else {
        ""
    };
    let (what, cure) = match why {
        Why::NoFormat => (
            "left, because the name does not show the format (.ndjson, .jsonl, .json, .csv or .parquet, each also .gz or .zst)",
            "set `format` for the source if it is usage, or a narrower `prefix` if it is not",
        ),
        Why::Archived => (
            "left, because it is archived",
            "restore it in the bucket; it is read when it can be",
        ),
        Why::Gone => (
            "listed, and gone when it was to be read",
            "find out who removes usage from there",
        ),
        Why::KeepsChanging => (
            "left, because it changed each time while it was read",
            "let its writer use a new key for each object; it is read when it stays as it is",
        ),
        Why::Unfinished => (
            "left for the next time, because it changed within the last `drop_rest_s` seconds",
            "nothing need be done",
        ),
        Why::NoName => (
            "left, because its name is no UTF-8 text",
            "rename it; the names of objects are text",
        ),
        Why::BrokenLink => (
            "left, because it is a link that leads to nothing that can be read",
            "mend or remove the link",
        ),
        Why::LinkedFolder => (
            "left, because it is a link to a folder, and such folders are not entered",
            "move the folder itself here, or make it a source of its own",
        ),
        Why::NoFile => (
            "left, because it is a pipe, a socket or a device, and no file",
            "write usage into files",
        ),
        Why::EmptyFolder => (
            "left, because it is an empty folder with the name of a file",
            "find out who made it in place of the file, and remove it",
        ),
    };
    format!("{count} object{s} {what}{new}: {such}{shown}; {cure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_objects_are_one_sentence_with_a_few_names() {
        let mut left = Left::default();
        for number in 0..1000 {
            left.add(Why::NoFormat, &format!("s3://b/{number}.txt"), true);
        }
        left.add(Why::Archived, "s3://b/old\n.csv", true);
        let sentences = left.sentences().news;
        assert_eq!(sentences.len(), 2);
        assert!(sentences[0].starts_with("1000 objects left"), "{}", sentences[0]);
        assert!(sentences[0].contains("such as \"s3://b/0.txt\", \"s3://b/1.txt\", \"s3://b/2.txt\"; set `format`"));
        assert!(sentences[1].starts_with("1 object left") && sentences[1].contains("old\\n.csv"));
    }

    #[test]
    fn what_was_told_before_stands_and_is_not_named_beside_what_is_new() {
        let mut left = Left::default();
        for number in 0..5 {
            left.add(Why::NoFormat, &format!("old-{number}.txt"), false);
        }
        left.add(Why::NoFormat, "new.txt", true);
        left.add(Why::NoFormat, "old-5.txt", false);
        left.add(Why::Archived, "a.csv", false);
        let sentences = left.sentences();
        assert_eq!(sentences.news.len(), 1);
        assert!(sentences.news[0].starts_with("7 objects left"), "{sentences:?}");
        assert!(
            sentences.news[0].contains("(1 of them new): \"new.txt\"; set"),
            "{sentences:?}"
        );
        assert!(sentences.standing[0].contains(": \"a.csv\"; restore"), "{sentences:?}");
    }
}
