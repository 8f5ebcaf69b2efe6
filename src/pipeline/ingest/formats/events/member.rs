//! Members of a JSON object, as events are read: what has no value is absent, what decides money must have its type, and a refusal names
//! the path.

use super::seconds;
use super::times::{Instant, instant};
use crate::pipeline::ingest::record::refusal::{Refusal, code, duplicate_field, number_code};
use crate::support::json::tree::Tree;
use crate::support::quote::{plain, quoted};
use crate::values::number::{self, NumberError};

/// An object of a document, and where it stands there.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    members: &'a [(String, Tree)],
    path: String,
}

impl<'a> Node<'a> {
    /// The object that a document is; none where it is another value.
    pub fn root(tree: &'a Tree) -> Option<Self> {
        match tree {
            Tree::Object(members) => Some(Self {
                members,
                path: String::new(),
            }),
            _ => None,
        }
    }

    /// The path of a member, such as `WorkflowTaskEvent.InputInfo`.
    pub fn path_of(&self, name: &str) -> String {
        let name = plain(name);
        if self.path.is_empty() {
            name
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Whether there is such a member with a value.
    pub fn has(&self, name: &str) -> bool {
        self.members
            .iter()
            .any(|(member, value)| member == name && !is_blank(value))
    }

    /// Whether there is such a member, without a value.
    pub fn is_blank(&self, name: &str) -> bool {
        self.members
            .iter()
            .any(|(member, value)| member == name && is_blank(value))
    }

    /// The names of all members with a value.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        let with_value = self.members.iter().filter(|(_, value)| !is_blank(value));
        with_value.map(|(name, _)| name.as_str())
    }

    /// A member's value; none where it has none.
    pub fn value(&self, name: &str) -> Result<Option<&'a Tree>, Refusal> {
        let mut same = self.members.iter().filter(|(member, _)| member == name);
        let first = same.next();
        if same.next().is_some() {
            return Err(duplicate_field(&self.path_of(name)));
        }
        Ok(first.map(|(_, value)| value).filter(|value| !is_blank(value)))
    }

    pub fn object(&self, name: &str) -> Result<Option<Self>, Refusal> {
        match self.value(name)? {
            None => Ok(None),
            Some(Tree::Object(members)) => Ok(Some(Self {
                members,
                path: self.path_of(name),
            })),
            Some(other) => Err(wrong_type(&self.path_of(name), other, "an object")),
        }
    }

    /// The object at the end of a path of names; none where one on the way has no value.
    pub fn object_at(&self, names: &[&str]) -> Result<Option<Self>, Refusal> {
        let mut node = self.clone();
        for name in names {
            match node.object(name)? {
                None => return Ok(None),
                Some(deeper) => node = deeper,
            }
        }
        Ok(Some(node))
    }

    /// The objects of a list; those without a value are left out, and counted in paths.
    pub fn list(&self, name: &str) -> Result<Vec<Self>, Refusal> {
        let items = match self.value(name)? {
            None => return Ok(Vec::new()),
            Some(Tree::Array(items)) => items,
            Some(other) => return Err(wrong_type(&self.path_of(name), other, "a list")),
        };
        let mut objects = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate().filter(|(_, item)| !is_blank(item)) {
            let path = format!("{}[{index}]", self.path_of(name));
            let Tree::Object(members) = item else {
                return Err(wrong_type(&path, item, "an object"));
            };
            objects.push(Self { members, path });
        }
        Ok(objects)
    }

    /// How many values a list has.
    pub fn length(&self, name: &str) -> Result<u64, Refusal> {
        match self.value(name)? {
            None => Ok(0),
            Some(Tree::Array(items)) => Ok(items.iter().filter(|item| !is_blank(item)).count() as u64),
            Some(other) => Err(wrong_type(&self.path_of(name), other, "a list")),
        }
    }

    pub fn text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        match self.value(name)? {
            None => Ok(None),
            Some(Tree::Text(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(&self.path_of(name), other, "a text in quotes")),
        }
    }

    /// A number as it is written.
    fn number(&self, name: &str, expected: &str) -> Result<Option<&'a str>, Refusal> {
        match self.value(name)? {
            None => Ok(None),
            Some(Tree::Number(number)) => Ok(Some(number)),
            Some(other) => Err(wrong_type(&self.path_of(name), other, expected)),
        }
    }

    /// A whole number from zero up.
    pub fn whole(&self, name: &str) -> Result<Option<u64>, Refusal> {
        const EXPECTED: &str = "a whole number from 0 up";
        let number = self.number(name, EXPECTED)?;
        let read =
            |number: &str| number::whole(number).map_err(|error| self.refuse_number(name, number, error, EXPECTED));
        number.map(read).transpose()
    }

    /// Digits: a number without fraction and exponent, or their text.
    pub fn digits_text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        const EXPECTED: &str = "a whole number, or its digits in quotes,";
        let text = match self.value(name)? {
            None => return Ok(None),
            Some(Tree::Number(text) | Tree::Text(text)) => text,
            Some(other) => return Err(wrong_type(&self.path_of(name), other, EXPECTED)),
        };
        match number::digits(text) {
            Ok(_) => Ok(Some(text)),
            Err(error) => Err(self.refuse_number(name, text, error, EXPECTED)),
        }
    }

    /// The number that digits are.
    pub fn digits(&self, name: &str) -> Result<Option<u64>, Refusal> {
        Ok(self.digits_text(name)?.and_then(|text| number::digits(text).ok()))
    }

    /// A number of seconds, as whole milliseconds.
    pub fn milliseconds(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let number = self.number(name, SECONDS)?;
        let read = |number: &str| {
            seconds::milliseconds(number).map_err(|error| self.refuse_number(name, number, error, SECONDS))
        };
        number.map(read).transpose()
    }

    /// The time from one offset in seconds to another, as whole milliseconds; both must be there.
    pub fn milliseconds_between(&self, from: &str, to: &str) -> Result<u64, Refusal> {
        let read = |name: &str| self.number(name, SECONDS)?.ok_or_else(|| self.missing(name));
        let (start, end) = (read(from)?, read(to)?);
        seconds::milliseconds(start).map_err(|error| self.refuse_number(from, start, error, SECONDS))?;
        seconds::between(start, end).map_err(|error| {
            let expected = format!("a number of seconds from `{from}` ({}) up", plain(start));
            self.refuse_number(to, end, error, &expected)
        })
    }

    /// A time with an offset; none also where it was not reached.
    pub fn time(&self, name: &str) -> Result<Option<Instant>, Refusal> {
        match self.text(name)? {
            None => Ok(None),
            Some(text) => instant(&self.path_of(name), text),
        }
    }

    /// The refusal of a member that must be there.
    #[cold]
    pub fn missing(&self, name: &str) -> Refusal {
        let sentence = format!(
            "`{}` is missing; the event cannot be billed without it",
            self.path_of(name)
        );
        Refusal::new(code::MISSING_FIELD, sentence)
    }

    /// The refusal of a number.
    #[cold]
    pub fn refuse_number(&self, name: &str, number: &str, error: NumberError, expected: &str) -> Refusal {
        let sentence = format!(
            "`{}` is {}, which is {error}; {expected} is expected",
            self.path_of(name),
            plain(number)
        );
        Refusal::new(number_code(error), sentence)
    }
}

const SECONDS: &str = "a number of seconds from 0 up";

/// Whether a value is as good as none.
pub(super) fn is_blank(value: &Tree) -> bool {
    match value {
        Tree::Null => true,
        Tree::Text(text) => text.is_empty(),
        Tree::Array(items) => items.is_empty(),
        Tree::Bool(_) | Tree::Number(_) | Tree::Object(_) => false,
    }
}

/// The refusal of a value that is of another type than `expected` says.
#[cold]
pub(super) fn wrong_type(path: &str, value: &Tree, expected: &str) -> Refusal {
    let value = match value {
        Tree::Text(text) => format!("the text {}", quoted(text)),
        other => plain(&other.written()),
    };
    Refusal::new(code::WRONG_TYPE, format!("`{path}` is {value}; {expected} is expected"))
}
