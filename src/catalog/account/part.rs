//! A part of the accounts, for work that would hold too much of all of them at once.

/// Every account is in exactly one of `of` parts.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// From 0.
    pub number: u64,
    pub of: u64,
}

impl Part {
    /// All parts of that many.
    pub fn all(of: u64) -> impl Iterator<Item = Self> {
        (0..of).map(move |number| Self { number, of })
    }

    /// Whether an account is in it. Numbers of accounts may follow any rule, so their bits are mixed first.
    pub fn has(self, uin: u64) -> bool {
        let mixed = uin.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        mixed % self.of == self.number
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::account::part::Part;

    #[test]
    fn every_account_is_in_one_part_and_parts_are_about_as_large() {
        for of in [1, 2, 3, 8] {
            let mut sizes = vec![0; usize::try_from(of).unwrap()];
            for uin in (0..40_000).map(|at| 100_000_000_000 + at * 7_919) {
                let parts: Vec<Part> = Part::all(of).filter(|part| part.has(uin)).collect();
                assert_eq!(parts.len(), 1);
                sizes[usize::try_from(parts[0].number).unwrap()] += 1;
            }
            let fair = 40_000 / usize::try_from(of).unwrap();
            assert!(
                sizes.iter().all(|size| (fair * 9 / 10..=fair * 11 / 10).contains(size)),
                "{sizes:?}"
            );
        }
    }
}
