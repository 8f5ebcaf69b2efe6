//! Radix sort of numbers that stand for rows: least significant digit first, as many digits as the numbers have.

/// Bits of a digit: the counts of one pass stay in the cache nearest to the core.
const DIGIT_BITS: u32 = 11;

const DIGIT: u16 = (1 << DIGIT_BITS) - 1;

/// Below this, comparing is faster than counting.
const FEW: usize = 1 << 10;

/// Sorts items by a key of at most `bits` bits. Items of equal keys keep their order.
#[expect(clippy::cast_possible_truncation, reason = "a digit is in the lowest bits")]
pub fn sort_by_key<T: Copy + Default>(items: &mut Vec<T>, bits: u32, key: impl Fn(&T) -> u64) {
    if items.len() < FEW {
        items.sort_by_key(key);
        return;
    }
    let mut other = vec![T::default(); items.len()];
    for shift in (0..bits).step_by(DIGIT_BITS as usize) {
        let digit = |item: &T| usize::from(((key(item) >> shift) as u16) & DIGIT);
        let mut places = [0_usize; 1 << DIGIT_BITS];
        for item in items.iter() {
            places[digit(item)] += 1;
        }
        let mut start = 0;
        for place in &mut places {
            (*place, start) = (start, start + *place);
        }
        for item in items.iter() {
            let place = &mut places[digit(item)];
            other[*place] = *item;
            *place += 1;
        }
        std::mem::swap(items, &mut other);
    }
}

/// The bits that numbers up to `largest` have.
pub fn bits(largest: u64) -> u32 {
    u64::BITS - largest.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_are_sorted_as_by_comparing_and_equal_ones_keep_their_order(
            seed: u64, rows in prop::sample::select(vec![0_u32, 1, 1023, 1024, 5000]), width in 1_u32..=64,
        ) {
            let number = |row: u32| (seed ^ u64::from(row)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - width);
            let mut items: Vec<(u64, u32)> = (0..rows).map(|row| (number(row), row)).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            sort_by_key(&mut items, width, |item| item.0);
            prop_assert_eq!(items, expected);
        }
    }

    #[test]
    fn bits_are_those_of_the_largest_number() {
        assert_eq!([0, 1, 2, 255, 256, u64::MAX].map(bits), [0, 1, 2, 8, 9, 64]);
    }
}
