//! Lines of the overlap that this process has put into the books already. They are left out when the overlap is read again, so that a
//! source which is followed does not send the same rows every time. What is forgotten is sent again, and the door knows it.

use std::collections::HashMap;

/// Lines that are remembered: 48 bytes each, more or less.
const LINES_MAX: usize = 1 << 19;

/// Half of the digest of a line.
pub type LineDigest = [u8; 16];

#[derive(Debug, Default)]
pub struct KnownLines {
    /// With the cursor of each.
    cursors: HashMap<LineDigest, i128>,
}

impl KnownLines {
    pub fn digest(line: &[u8]) -> LineDigest {
        let digest = blake3::hash(line);
        *digest.as_bytes().first_chunk().expect("a digest has 32 bytes")
    }

    pub fn is_empty(&self) -> bool {
        self.cursors.is_empty()
    }

    pub fn contains(&self, line: &LineDigest) -> bool {
        self.cursors.contains_key(line)
    }

    pub fn add(&mut self, lines: Vec<(LineDigest, i128)>) {
        let room = LINES_MAX.saturating_sub(self.cursors.len());
        self.cursors.extend(lines.into_iter().take(room));
    }

    /// Forgets what is not read again.
    pub fn forget_before(&mut self, cursor: i128) {
        self.cursors.retain(|_, known| *known >= cursor);
    }
}
