//! Integers only: quantities and prices in millionths, discounts in hundredths of a percent, amounts in units of 10^-10.

/// Hundredths of a percent in one whole.
const WHOLE: i128 = 10_000;

/// Millionths in one.
const MICRO: i128 = 1_000_000;

/// `n / d`, half-up, away from zero.
pub fn divide_half_up(n: i128, d: i128) -> i128 {
    let magnitude = (2 * n.abs() + d) / (2 * d);
    if n < 0 { -magnitude } else { magnitude }
}

/// Base units in units of `unit_size`, rounded once to millionths.
pub fn quantity(base_units: u64, unit_size: u64) -> i128 {
    divide_half_up(i128::from(base_units) * MICRO, i128::from(unit_size))
}

/// Millionths x millionths x (1 - discount) has 16 decimals; it is rounded once to 10.
pub fn amount(quantity: i128, price: i128, discount: i128) -> i128 {
    let exact = [price, WHOLE - discount]
        .into_iter()
        .try_fold(quantity, i128::checked_mul);
    divide_half_up(exact.expect("worlds are small"), MICRO)
}

/// A number of `from` decimals with `to` decimals.
pub fn round_to(units: i128, from: u32, to: u32) -> i128 {
    divide_half_up(units, 10_i128.pow(from - to))
}

/// A plain decimal with all its decimals: 1230000 of 6 decimals is `1.230000`.
pub fn fixed(units: i128, decimals: u32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let scale = 10_i128.pow(decimals);
    let (whole, part) = (units.abs() / scale, units.abs() % scale);
    if decimals == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{part:0width$}", width = decimals as usize)
    }
}

/// The same without zeros at the end: `1.23`, and `7` for 7000000.
pub fn trimmed(units: i128, decimals: u32) -> String {
    let text = fixed(units, decimals);
    if decimals == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
