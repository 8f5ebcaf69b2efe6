//! Where a hash stands in its block, as far as its leading bits tell.

use crate::support::radix_sort::bits;

/// Shelves of a block. Hashes lie evenly, so that each shelf of a full block has some 8 to 16 keys: one lead in 4,000 or more is that of
/// another hash, and costs some pages from disk.
pub const SHELVES: usize = 1 << SHELF_BITS;
const SHELF_BITS: u32 = 12;
const LEAD_BITS: u32 = u16::BITS;

/// The hashes of a block, from its first to its last. How far a hash is from the first one, in leading bits: the first of them are its
/// shelf, those after them its lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: u64,
    pub last: u64,
}

impl Span {
    pub fn has(self, hash: u64) -> bool {
        self.first <= hash && hash <= self.last
    }

    /// Shelf and lead of a hash that the span has. They ascend as the hashes do.
    #[expect(clippy::cast_possible_truncation, reason = "a lead is the lowest bits")]
    pub fn shelf_and_lead(self, hash: u64) -> (usize, u16) {
        let left_out = bits(self.last - self.first).saturating_sub(SHELF_BITS + LEAD_BITS);
        let leading = (hash - self.first) >> left_out;
        let shelf = usize::try_from(leading >> LEAD_BITS).expect("so many bits were left");
        (shelf, leading as u16)
    }
}
