//! The keys of a whole listing, by which it is known what is gone from a bucket.

use xxhash_rust::xxh3::xxh3_64;

/// Keys that are remembered of a listing: eight bytes each. Of a longer one it is not known what is gone, and nothing is forgotten.
const KEYS_MAX: usize = 8 << 20;

/// Keys of a listing.
#[derive(Debug, Default)]
pub struct Listed {
    /// 64 bits of each key. Two keys that have the same make one of them look as if it were there, and nothing else.
    digests: Vec<u64>,
    is_too_long: bool,
}

impl Listed {
    pub fn add(&mut self, key: &str) {
        if self.digests.len() < KEYS_MAX {
            self.digests.push(xxh3_64(key.as_bytes()));
        } else {
            self.is_too_long = true;
        }
    }

    /// When the listing has come to its end; none where it was too long.
    pub fn whole(mut self) -> Option<Self> {
        self.digests.sort_unstable();
        (!self.is_too_long).then_some(self)
    }

    /// Whether a key was listed.
    pub fn has(&self, key: &str) -> bool {
        self.digests.binary_search(&xxh3_64(key.as_bytes())).is_ok()
    }
}
