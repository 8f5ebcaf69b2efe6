//! Any document as JSON; what [`crate::pipeline::close::statement::document::read`] does not know at a glance is parsed here.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::read::{GroupCells, SharedCells, no_cells};
use super::{Cell, DocumentError, OWN, OwnCells, SHARED};

/// The groups of any document.
pub(super) fn parsed_groups(document: &str) -> Result<Vec<GroupCells<'_>>, DocumentError> {
    serde_json::from_str(document).map_err(|error| DocumentError::Shape {
        what: error.to_string(),
    })
}

impl<'de> Deserialize<'de> for Cell<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(CellVisitor)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cell<'de>, E> {
        Ok(Cell(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cell<'de>, E> {
        Ok(Cell(Cow::Owned(text.to_owned())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for GroupCells<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(GroupVisitor)
    }
}

struct GroupVisitor;

impl<'de> Visitor<'de> for GroupVisitor {
    type Value = GroupCells<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a group of {} strings and its lines", SHARED.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<GroupCells<'de>, A::Error> {
        let mut shared: SharedCells = no_cells();
        for (at, cell) in shared.iter_mut().enumerate() {
            *cell = from
                .next_element()?
                .ok_or_else(|| A::Error::invalid_length(at, &self))?;
        }
        let lines: Vec<Own> = from
            .next_element()?
            .ok_or_else(|| A::Error::invalid_length(SHARED.len(), &self))?;
        Ok(GroupCells {
            shared,
            lines: lines.into_iter().map(|own| own.0).collect(),
        })
    }
}

/// A line's own strings, of which those at the end may be left out.
struct Own<'a>(OwnCells<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Own<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(OwnVisitor)
    }
}

struct OwnVisitor;

impl<'de> Visitor<'de> for OwnVisitor {
    type Value = Own<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a line of at most {} strings", OWN.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Own<'de>, A::Error> {
        let mut own: OwnCells = no_cells();
        let mut found = 0;
        while let Some(cell) = from.next_element()? {
            *own.get_mut(found)
                .ok_or_else(|| A::Error::invalid_length(found + 1, &self))? = cell;
            found += 1;
        }
        if found == 0 {
            return Err(A::Error::invalid_length(0, &self));
        }
        Ok(Own(own))
    }
}
