//! One page: its lines, and its last row, after which the next one begins.

use std::ops::ControlFlow;

use super::cursor::CursorType;
use super::known_lines::{KnownLines, LineDigest};

/// Bytes of lines after which a page ends, whatever its rows. One row may be more.
pub const PAGE_BYTES: usize = 16 << 20;

/// Rows that were read.
pub struct Page {
    /// The lines that are not in the books, each with its end.
    pub(super) bytes: Vec<u8>,
    /// The cursor and the key of the last row; none of an empty page.
    pub last: Option<(i128, Vec<u8>)>,
    /// That key as people see it.
    pub(super) key_shown: String,
    /// Whether there are no more rows in this round.
    pub is_last: bool,
    /// Lines whose cursor is not beyond the newest row in the books.
    pub(super) again: u64,
    /// Lines that will be read again, with the cursor of each.
    pub(super) kept: Vec<(LineDigest, i128)>,
}

/// A page while its rows come.
pub struct PageBuilder<'k> {
    known: &'k KnownLines,
    kept_from: i128,
    newest: Option<i128>,
    cursor_type: CursorType,
    again: u64,
    bytes: Vec<u8>,
    kept: Vec<(LineDigest, i128)>,
    rows: u32,
    is_full: bool,
}

impl<'k> PageBuilder<'k> {
    /// `kept_from`: rows from this cursor value on are remembered; lines that are `known` are left out. `newest`: the cursor value of the
    /// newest row in the books.
    pub(super) fn new(known: &'k KnownLines, kept_from: i128, newest: Option<i128>, cursor_type: CursorType) -> Self {
        Self {
            known,
            kept_from,
            newest,
            cursor_type,
            again: 0,
            bytes: Vec::new(),
            kept: Vec::new(),
            rows: 0,
            is_full: false,
        }
    }

    pub fn cursor_type(&self) -> CursorType {
        self.cursor_type
    }

    /// Adds the line of the next row, which `write` writes without its end. It breaks where the page has had enough.
    pub fn add(&mut self, cursor: i128, write: impl FnOnce(&mut Vec<u8>)) -> ControlFlow<()> {
        self.rows += 1;
        let start = self.bytes.len();
        write(&mut self.bytes);
        if self.is_known(start, cursor) {
            self.bytes.truncate(start);
        } else {
            self.bytes.push(b'\n');
            self.again += u64::from(self.newest.is_some_and(|newest| cursor <= newest));
        }
        self.is_full = self.bytes.len() >= PAGE_BYTES;
        if self.is_full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Whether the line that begins at `start` is in the books; if it will be read again, it is remembered.
    fn is_known(&mut self, start: usize, cursor: i128) -> bool {
        let is_kept = cursor >= self.kept_from;
        if !is_kept && self.known.is_empty() {
            return false;
        }
        let digest = KnownLines::digest(&self.bytes[start..]);
        let is_known = self.known.contains(&digest);
        if is_kept && !is_known {
            self.kept.push((digest, cursor));
        }
        is_known
    }

    /// The whole page. `last` is the place of its last row, if there was any, `key_shown` how people see the key; `rows_max` is what was
    /// asked for.
    pub fn finish(self, last: Option<(i128, Vec<u8>)>, key_shown: String, rows_max: u32) -> Page {
        Page {
            bytes: self.bytes,
            last,
            key_shown,
            is_last: self.rows < rows_max && !self.is_full,
            again: self.again,
            kept: self.kept,
        }
    }
}
