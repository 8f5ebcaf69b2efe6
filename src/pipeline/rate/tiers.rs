//! Pricing a quantity by a model, given how far its counter has come.

use rust_decimal::Decimal;
use thiserror::Error;

use super::Kind;
use super::quantity::Quantity;
use crate::catalog::rate_card::{Model, Tier};

/// A part of a quantity that has one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// `usage`, or `included` where it costs nothing.
    pub kind: Kind,
    /// The tier, from 0.
    pub index: u32,
    /// The part.
    pub quantity: Quantity,
    /// Its price per pricing unit, or per package.
    pub unit_price: Decimal,
    /// The packages that are paid in place of the quantity.
    pub packages: Option<i64>,
}

/// Where the counter of a quantity stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Before the quantity.
    pub position: Quantity,
    /// At the end of the period, after all that shares the counter.
    pub end: Quantity,
    /// Packages that the quantity starts.
    pub packages: i64,
}

/// Tiers by which nothing can be priced; the check of the card finds them first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ModelError {
    /// The tiers do not start at 0, do not ascend, or have bounds finer than a quantity.
    #[error("its tiers do not ascend from 0 in steps of at most 6 decimals; run `rate-card check`")]
    Tiers,
    /// A counter overflowed.
    #[error("its counter does not fit; check the usage for impossible quantities")]
    Overflow,
}

/// Splits `quantity`, whose counter stands as `counted` says, into slices of one price each, and
/// appends them in order. The slices add up to the quantity exactly; a quantity of zero is one slice.
///
/// # Errors
/// Tiers that do not ascend from 0, and a counter that overflows.
pub fn slice(model: &Model, counted: &Counted, quantity: Quantity, slices: &mut Vec<Slice>) -> Result<(), ModelError> {
    let usage = |index, unit_price, packages| Slice {
        kind: Kind::Usage,
        index,
        quantity,
        unit_price,
        packages,
    };
    match model {
        Model::Unit { unit_price } => slices.push(usage(0, *unit_price, None)),
        Model::Graduated { tiers } => return graduated(tiers, counted.position, quantity, slices),
        Model::Volume { tiers } => {
            let (index, tier) = reached(tiers, counted.end)?;
            slices.push(usage(index, tier.unit_price, None));
        }
        Model::Package { unit_price, .. } => slices.push(usage(0, *unit_price, Some(counted.packages))),
    }
    Ok(())
}

/// Each slice at the price of its own tier; tiers are half-open `[from, next from)`.
fn graduated(
    tiers: &[Tier],
    position: Quantity,
    quantity: Quantity,
    slices: &mut Vec<Slice>,
) -> Result<(), ModelError> {
    let end = position.checked_add(quantity).ok_or(ModelError::Overflow)?;
    let bounds = bounds(tiers)?;
    for ((index, tier), at) in (0_u32..).zip(tiers).zip(0..) {
        let (from, to) = (bounds[at], bounds.get(at + 1).copied());
        let low = position.max(from);
        let high = to.map_or(end, |to| end.min(to));
        let holds_position = from <= position && to.is_none_or(|to| position < to);
        if low < high || (quantity == Quantity::ZERO && holds_position) {
            let part = high.checked_sub(low).ok_or(ModelError::Overflow)?;
            slices.push(Slice {
                kind: Kind::Usage,
                index,
                quantity: part,
                unit_price: tier.unit_price,
                packages: None,
            });
        }
    }
    Ok(())
}

/// The tier in which a counter stands, and its number.
fn reached(tiers: &[Tier], at: Quantity) -> Result<(u32, &Tier), ModelError> {
    let bounds = bounds(tiers)?;
    let place = bounds.partition_point(|from| *from <= at).checked_sub(1);
    let (index, place) = place
        .and_then(|place| Some((u32::try_from(place).ok()?, place)))
        .ok_or(ModelError::Tiers)?;
    Ok((index, &tiers[place]))
}

/// Where the tiers start: 0, then strictly ascending.
fn bounds(tiers: &[Tier]) -> Result<Vec<Quantity>, ModelError> {
    let bounds: Option<Vec<Quantity>> = tiers.iter().map(|tier| Quantity::from_decimal(tier.from)).collect();
    let bounds = bounds.ok_or(ModelError::Tiers)?;
    let from_zero = bounds.first() == Some(&Quantity::ZERO);
    if from_zero && bounds.is_sorted_by(|one, next| one < next) {
        Ok(bounds)
    } else {
        Err(ModelError::Tiers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::money::{parse_plain, plain};
    use proptest::prelude::*;

    fn quantity(text: &str) -> Quantity {
        Quantity::from_decimal(parse_plain(text).unwrap()).unwrap()
    }

    fn tiers(bounds: &[(&str, &str)]) -> Model {
        let tier = |&(from, price): &(&str, &str)| Tier {
            from: parse_plain(from).unwrap(),
            unit_price: parse_plain(price).unwrap(),
        };
        Model::Graduated {
            tiers: bounds.iter().map(tier).collect(),
        }
    }

    fn slices(model: &Model, position: &str, length: &str) -> Vec<(u32, String)> {
        let mut slices = Vec::new();
        let counted = Counted {
            position: quantity(position),
            ..Counted::default()
        };
        slice(model, &counted, quantity(length), &mut slices).unwrap();
        slices
            .iter()
            .map(|slice| (slice.index, plain(slice.quantity.to_decimal().unwrap(), 0)))
            .collect()
    }

    #[test]
    fn exactly_100_is_in_the_tier_that_starts_at_100() {
        let model = tiers(&[("0", "3"), ("100", "2"), ("100.5", "1")]);
        assert_eq!(slices(&model, "0", "100"), [(0, "100".to_owned())]);
        assert_eq!(slices(&model, "100", "0.25"), [(1, "0.25".to_owned())]);
        assert_eq!(
            slices(&model, "99.999999", "0.000002"),
            [(0, "0.000001".to_owned()), (1, "0.000001".to_owned())]
        );
        assert_eq!(
            slices(&model, "50", "100"),
            [(0, "50".to_owned()), (1, "0.5".to_owned()), (2, "49.5".to_owned())]
        );
        assert_eq!(slices(&model, "1000", "7"), [(2, "7".to_owned())]);
    }

    #[test]
    fn nothing_is_one_slice_of_the_tier_where_the_counter_stands() {
        let model = tiers(&[("0", "3"), ("100", "2")]);
        assert_eq!(slices(&model, "0", "0"), [(0, "0".to_owned())]);
        assert_eq!(slices(&model, "100", "0"), [(1, "0".to_owned())]);
    }

    #[test]
    fn tiers_that_do_not_ascend_from_0_price_nothing() {
        for bounds in [
            &[][..],
            &[("1", "1")],
            &[("0", "1"), ("0", "1")],
            &[("0", "1"), ("5", "1"), ("4", "1")],
            &[("0", "1"), ("0.0000001", "1")],
        ] {
            assert_eq!(
                slice(&tiers(bounds), &Counted::default(), Quantity::ZERO, &mut Vec::new()),
                Err(ModelError::Tiers)
            );
        }
    }

    #[test]
    fn all_of_a_volume_is_priced_where_its_counter_ends() {
        let Model::Graduated { tiers } = tiers(&[("0", "3"), ("100", "2"), ("100.5", "1")]) else {
            unreachable!("it made one")
        };
        let model = Model::Volume { tiers };
        let at = |end: &str, length: &str| {
            let mut slices = Vec::new();
            let counted = Counted {
                end: quantity(end),
                ..Counted::default()
            };
            slice(&model, &counted, quantity(length), &mut slices).unwrap();
            assert_eq!(slices.len(), 1);
            assert_eq!(slices[0].quantity, quantity(length));
            (slices[0].index, plain(slices[0].unit_price, 0))
        };
        assert_eq!(at("0", "0"), (0, "3".to_owned()));
        assert_eq!(at("99.999999", "99.999999"), (0, "3".to_owned()));
        assert_eq!(
            at("100", "7"),
            (1, "2".to_owned()),
            "a bound is in the slice that starts at it"
        );
        assert_eq!(at("100.5", "100.5"), (2, "1".to_owned()));
    }

    proptest! {
        #[test]
        fn tiers_conserve_the_quantity_however_it_is_cut(
            steps in prop::collection::btree_set(1_i64..1_000_000, 0..6),
            position in 0_i64..2_000_000, parts in prop::collection::vec(0_i64..500_000, 1..5),
        ) {
            let tier = |from: i64| Tier { from: Decimal::new(from, 6), unit_price: Decimal::new(1_000_000 - from, 2) };
            let model = Model::Graduated { tiers: std::iter::once(0).chain(steps).map(tier).collect() };
            let micro = |count: i64| Quantity::from_base_units(count, 1_000_000).unwrap();
            let (mut whole, mut cut) = (Vec::new(), Vec::new());
            let counted = |at| Counted { position: micro(at), ..Counted::default() };
            slice(&model, &counted(position), micro(parts.iter().sum()), &mut whole).unwrap();
            let mut at = position;
            for &part in &parts {
                slice(&model, &counted(at), micro(part), &mut cut).unwrap();
                at += part;
            }
            let per_tier = |slices: &[Slice], index| slices.iter().filter(|slice| slice.index == index)
                .fold(Quantity::ZERO, |sum, slice| sum.checked_add(slice.quantity).unwrap());
            let total = whole.iter().fold(Quantity::ZERO, |sum, slice| sum.checked_add(slice.quantity).unwrap());
            prop_assert_eq!(total, micro(parts.iter().sum()));
            for index in 0..6 {
                prop_assert_eq!(per_tier(&whole, index), per_tier(&cut, index));
            }
        }
    }
}
