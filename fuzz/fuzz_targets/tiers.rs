//! The arithmetic of a line: quantities, tiers and amounts, against integers of any width.
//!
//! What is held, beyond that nothing panics: quantities are converted and rounded as integers say; slices are those that
//! walking the tiers step by step gives, add up to the quantity, and do not depend on where it is cut; an amount is the
//! exact product rounded once, half-up away from zero.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use num_bigint::{BigInt, Sign};
use rust_decimal::Decimal;
use tallybook::catalog::rate_card::{Model, Tier};
use tallybook::pipeline::rate::{Counted, Kind, ModelError, Quantity, Slice, slice};
use tallybook::values::money::{AMOUNT_DECIMALS, MoneyError, QUANTITY_DECIMALS, line_amount, parse_plain, plain, sum};

/// More tiers than this show nothing new.
const TIERS_MAX: usize = 12;

/// Digits that plain text is always read back with.
const TEXT_DIGITS_MAX: usize = 28;

#[derive(Debug, Arbitrary)]
struct Input {
    model: AnyModel,
    position: AnyQuantity,
    quantity: AnyQuantity,
    cut: AnyQuantity,
    discount: AnyDecimal,
    amounts: Vec<(AnyDecimal, AnyDecimal)>,
}

#[derive(Debug, Arbitrary)]
enum AnyModel {
    /// Tiers that a card may have: each so many millionths above the one before.
    Ascending(Vec<(u32, AnyDecimal)>),
    /// Tiers of any kind.
    Graduated(Vec<(AnyDecimal, AnyDecimal)>),
    Unit(AnyDecimal),
}

#[derive(Debug, Arbitrary)]
enum AnyDecimal {
    /// What a price, a discount or a bound looks like.
    Plain { mantissa: u32, scale: u8 },
    /// One digit and zeros: its products are long, and often exactly half of what they are rounded to.
    Round { digit: u8, zeros: u8, scale: u8 },
    /// Anything.
    Wide { parts: [u32; 3], negative: bool, scale: u8 },
}

#[derive(Debug, Arbitrary)]
enum AnyQuantity {
    BaseUnits {
        billable: i64,
        base_units: u64,
    },
    Small(u16),
    Decimal(AnyDecimal),
    /// A sum with itself, many times over.
    Doubled {
        billable: i64,
        times: u8,
    },
}

impl AnyDecimal {
    fn decimal(&self) -> Decimal {
        match *self {
            Self::Plain { mantissa, scale } => Decimal::new(mantissa.into(), u32::from(scale % 8)),
            Self::Round { digit, zeros, scale } => Decimal::from_i128_with_scale(
                i128::from(digit % 10) * 10_i128.pow(u32::from(zeros) % Decimal::MAX_SCALE),
                u32::from(scale) % (Decimal::MAX_SCALE + 1),
            ),
            Self::Wide {
                parts: [low, middle, high],
                negative,
                scale,
            } => Decimal::from_parts(low, middle, high, negative, u32::from(scale) % (Decimal::MAX_SCALE + 1)),
        }
    }
}

impl AnyQuantity {
    /// The quantity, if there is one; it is what integers say.
    fn quantity(&self) -> Option<Quantity> {
        let (quantity, millionths) = match self {
            Self::BaseUnits { billable, base_units } => (
                Quantity::from_base_units(*billable, *base_units),
                rounded_quotient(BigInt::from(*billable) * millionths_of_one(), &(*base_units).into()),
            ),
            Self::Small(count) => (
                Quantity::from_base_units((*count).into(), 1_000),
                Some(BigInt::from(*count) * 1_000),
            ),
            Self::Decimal(any) => {
                let decimal = any.decimal();
                (Quantity::from_decimal(decimal), exact_millionths(decimal))
            }
            Self::Doubled { billable, times } => {
                let once = Quantity::from_base_units(*billable, 1);
                let doubled = (0..times % 128).try_fold(once?, |sum, _| sum.checked_add(sum));
                let millionths = (BigInt::from(*billable) * millionths_of_one()) << (times % 128);
                (doubled, i128::try_from(&millionths).is_ok().then_some(millionths))
            }
        };
        assert_eq!(quantity.is_some(), millionths.is_some(), "{self:?}: {quantity:?}");
        let (quantity, millionths) = (quantity?, millionths?);
        match quantity.to_decimal() {
            Some(decimal) => {
                assert_eq!(decimal.scale(), QUANTITY_DECIMALS);
                assert_eq!(BigInt::from(decimal.mantissa()), millionths);
                assert_eq!(Quantity::from_decimal(decimal), Some(quantity));
            }
            None => assert!(!fits_decimal(&millionths), "{millionths}"),
        }
        Some(quantity)
    }
}

impl AnyModel {
    fn model(&self) -> Model {
        let tier = |from, price: &AnyDecimal| Tier {
            from,
            unit_price: price.decimal(),
        };
        match self {
            Self::Unit(price) => Model::Unit {
                unit_price: price.decimal(),
            },
            Self::Graduated(tiers) => Model::Graduated {
                tiers: tiers
                    .iter()
                    .take(TIERS_MAX)
                    .map(|(from, price)| tier(from.decimal(), price))
                    .collect(),
            },
            Self::Ascending(tiers) => {
                let mut from = 0;
                let tiers = tiers.iter().take(TIERS_MAX).map(|(step, price)| {
                    let tier = tier(Decimal::new(from, QUANTITY_DECIMALS), price);
                    from += i64::from(*step) + 1;
                    tier
                });
                Model::Graduated { tiers: tiers.collect() }
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let model = input.model.model();
    let discount = input.discount.decimal();
    let mut amounts = Vec::new();
    let quantities = (
        input.position.quantity(),
        input.quantity.quantity(),
        input.cut.quantity(),
    );
    if let (Some(position), Some(quantity), Some(cut)) = quantities {
        for slice in hold_slices(&model, position, quantity, cut) {
            if let Some(quantity) = slice.quantity.to_decimal() {
                amounts.extend(hold_amount(quantity, slice.unit_price, discount));
            }
        }
    }
    for (quantity, unit_price) in &input.amounts {
        amounts.extend(hold_amount(quantity.decimal(), unit_price.decimal(), discount));
    }
    hold_sum(&amounts);
});

/// Splits the quantity at the position of its counter, and returns the slices.
fn hold_slices(model: &Model, position: Quantity, quantity: Quantity, cut: Quantity) -> Vec<Slice> {
    let before = Slice {
        kind: Kind::Included,
        index: u32::MAX,
        quantity: cut,
        unit_price: Decimal::NEGATIVE_ONE,
        packages: None,
    };
    let mut slices = vec![before];
    let outcome = slice(model, &at(position), quantity, &mut slices);
    assert_eq!(slices.remove(0), before, "slices are appended");
    let tiers = match model {
        Model::Unit { unit_price } => {
            assert_eq!(outcome, Ok(()));
            let whole = Slice {
                kind: Kind::Usage,
                index: 0,
                quantity,
                unit_price: *unit_price,
                packages: None,
            };
            assert_eq!(slices, [whole]);
            return slices;
        }
        Model::Graduated { tiers } => tiers,
        Model::Volume { .. } | Model::Package { .. } => unreachable!("`AnyModel` makes none"),
    };
    let bounds = bounds(tiers);
    let end = position.checked_add(quantity);
    match (end, &bounds) {
        (None, _) => assert_eq!(outcome, Err(ModelError::Overflow)),
        (_, None) => assert_eq!(outcome, Err(ModelError::Tiers)),
        (Some(_), Some(_)) => assert_eq!(outcome, Ok(())),
    }
    // Usage and counters are never negative; what a slice of less than nothing is, nobody says.
    let (Some(bounds), Ok(()), true) = (bounds, outcome, Quantity::ZERO <= position.min(quantity)) else {
        return slices;
    };
    assert_eq!(slices, walk(tiers, &bounds, position, quantity));
    assert_eq!(total(&slices), Some(quantity), "{slices:?}");
    let at_bounds = bounds.iter().filter_map(|bound| bound.checked_sub(position));
    for cut in at_bounds.chain([cut, Quantity::ZERO, quantity]) {
        if (Quantity::ZERO..=quantity).contains(&cut) {
            hold_cut(model, position, quantity, cut, &slices);
        }
    }
    slices
}

/// A counter that stands at a position.
fn at(position: Quantity) -> Counted {
    Counted {
        position,
        ..Counted::default()
    }
}

/// Cut in two, the quantity gives each tier what it gave it whole.
fn hold_cut(model: &Model, position: Quantity, quantity: Quantity, cut: Quantity, whole: &[Slice]) {
    let (middle, rest) = (position.checked_add(cut).unwrap(), quantity.checked_sub(cut).unwrap());
    let mut parts = Vec::new();
    slice(model, &at(position), cut, &mut parts).unwrap();
    slice(model, &at(middle), rest, &mut parts).unwrap();
    for index in (0..).take(TIERS_MAX) {
        let of_tier = |slices: &[Slice]| {
            let slices: Vec<Slice> = slices.iter().filter(|slice| slice.index == index).copied().collect();
            total(&slices)
        };
        assert_eq!(
            of_tier(&parts),
            of_tier(whole),
            "cut at {cut:?}: {parts:?}, not {whole:?}"
        );
    }
}

fn total(slices: &[Slice]) -> Option<Quantity> {
    slices
        .iter()
        .try_fold(Quantity::ZERO, |sum, slice| sum.checked_add(slice.quantity))
}

/// Where tiers that can price begin.
fn bounds(tiers: &[Tier]) -> Option<Vec<Quantity>> {
    let ascend = tiers.windows(2).all(|pair| pair[0].from < pair[1].from);
    if !ascend || !tiers.first()?.from.is_zero() {
        return None;
    }
    tiers.iter().map(|tier| Quantity::from_decimal(tier.from)).collect()
}

/// Goes up the counter, in each tier as far as it reaches.
fn walk(tiers: &[Tier], bounds: &[Quantity], position: Quantity, quantity: Quantity) -> Vec<Slice> {
    let (mut at, mut left) = (position, quantity);
    let mut slices = Vec::new();
    loop {
        let here = bounds.iter().rposition(|bound| *bound <= at).unwrap();
        let room = bounds.get(here + 1).map(|next| next.checked_sub(at).unwrap());
        let part = room.map_or(left, |room| room.min(left));
        slices.push(Slice {
            kind: Kind::Usage,
            index: u32::try_from(here).unwrap(),
            quantity: part,
            unit_price: tiers[here].unit_price,
            packages: None,
        });
        at = at.checked_add(part).unwrap();
        left = left.checked_sub(part).unwrap();
        if left == Quantity::ZERO {
            return slices;
        }
    }
}

/// Prices a quantity, and returns the amount if there is one.
fn hold_amount(quantity: Decimal, unit_price: Decimal, discount: Decimal) -> Option<Decimal> {
    let outcome = line_amount(quantity, unit_price, discount);
    if discount < Decimal::ZERO || Decimal::ONE_HUNDRED < discount {
        assert_eq!(outcome, Err(MoneyError::Discount { discount }));
        return None;
    }
    let kept = BigInt::from(100) * ten_to(discount.scale()) - discount.mantissa();
    let product = BigInt::from(quantity.mantissa()) * unit_price.mantissa() * kept * ten_to(AMOUNT_DECIMALS);
    let decimals = quantity.scale() + unit_price.scale() + discount.scale() + 2;
    let expected = rounded_quotient(product, &ten_to(decimals))?;
    match outcome {
        Ok(amount) => {
            assert_eq!(amount.scale(), AMOUNT_DECIMALS);
            assert_eq!(
                BigInt::from(amount.mantissa()),
                expected,
                "{quantity} x {unit_price} less {discount} %"
            );
            hold_text(amount);
            Some(amount)
        }
        Err(error) => {
            assert!(matches!(error, MoneyError::TooLarge { .. }), "{error}");
            assert!(!fits_decimal(&expected), "{expected}: {error}");
            None
        }
    }
}

/// An amount that is printed is read back, unless it has more digits than anyone reads.
fn hold_text(amount: Decimal) {
    let text = plain(amount, AMOUNT_DECIMALS);
    match parse_plain(&text) {
        Ok(again) => assert_eq!(again, amount),
        Err(error) => {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            assert!(TEXT_DIGITS_MAX < digits, "{error}");
        }
    }
}

/// Amounts of lines add up exactly, in any order.
fn hold_sum(amounts: &[Decimal]) {
    let expected: BigInt = amounts.iter().map(|amount| BigInt::from(amount.mantissa())).sum();
    let backwards = sum(amounts.iter().rev().copied());
    let forwards = sum(amounts.iter().copied());
    assert_eq!(forwards, backwards);
    match forwards {
        Ok(total) => assert_eq!(BigInt::from(total.mantissa()), expected),
        Err(error) => assert!(!fits_decimal(&expected), "{error}"),
    }
}

/// The quotient, rounded half-up, away from zero; none of a division by zero.
fn rounded_quotient(dividend: BigInt, divisor: &BigInt) -> Option<BigInt> {
    if *divisor == BigInt::ZERO {
        return None;
    }
    let sign = if dividend.sign() == Sign::Minus { -1 } else { 1 };
    let magnitude: BigInt = dividend * sign;
    let (quotient, rest) = (&magnitude / divisor, &magnitude % divisor);
    let up = i32::from(*divisor <= rest * 2);
    Some((quotient + up) * sign)
}

/// The decimal in millionths, where that is a whole number.
fn exact_millionths(decimal: Decimal) -> Option<BigInt> {
    let (dividend, divisor) = (
        BigInt::from(decimal.mantissa()) * millionths_of_one(),
        ten_to(decimal.scale()),
    );
    (&dividend % &divisor == BigInt::ZERO).then(|| dividend / divisor)
}

fn millionths_of_one() -> BigInt {
    ten_to(QUANTITY_DECIMALS)
}

fn ten_to(exponent: u32) -> BigInt {
    BigInt::from(10).pow(exponent)
}

/// Whether a decimal can hold it, whatever its scale.
fn fits_decimal(mantissa: &BigInt) -> bool {
    mantissa.magnitude() <= BigInt::from(Decimal::MAX.mantissa()).magnitude()
}
