//! Chance that repeats: the same seed gives the same numbers on any machine, for ever.

/// `SplitMix64` (Steele, Lea and Flood, 2014): 64 bits of state, good enough for shapes, never for secrets.
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// A sequence of its own for each seed.
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, `end`; 0 if `end` is 0. The bias is at most `end` in 2^64.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(end);
        u64::try_from(wide >> 64).expect("a product of two 64-bit numbers has 64 bits above the lower 64")
    }

    /// An index into something of this length; 0 if it is empty.
    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("less than a length")
    }

    /// True this often in a thousand.
    pub(super) fn per_mille(&mut self, times: u64) -> bool {
        self.below(1000) < times
    }

    /// One of the values, each as often as its weight says. The table is not empty, and its sum not zero.
    pub(super) fn pick<T: Copy>(&mut self, table: &[(T, u32)]) -> T {
        let total: u64 = table.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut left = self.below(total);
        for &(value, weight) in table {
            match left.checked_sub(u64::from(weight)) {
                None => return value,
                Some(rest) => left = rest,
            }
        }
        unreachable!("a number below the sum of the weights falls into one of them")
    }

    /// An id of 32 hex digits.
    pub(super) fn id(&mut self) -> String {
        format!("{:016x}{:016x}", self.bits(), self.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_algorithm() {
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn a_table_is_picked_from_as_its_weights_say() {
        let mut random = Random::new(1);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            counts[random.pick(&[(0, 70), (1, 0), (2, 30)])] += 1;
        }
        assert!(6_800 < counts[0] && counts[0] < 7_200 && counts[1] == 0, "{counts:?}");
    }

    #[test]
    fn numbers_stay_below_their_end() {
        let mut random = Random::new(2);
        assert!((0..1000).all(|_| random.below(7) < 7));
        assert_eq!((random.below(0), random.index(0)), (0, 0));
    }
}
