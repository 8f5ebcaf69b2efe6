//! The discount of an account's terms, on the amount of a charge.

use rust_decimal::Decimal;

use super::{PeriodUsage, RateError};
use crate::values::money::line_amount;

/// Quantity (or packages) x unit price x (1 - discount / 100), rounded once, half up, to 10 decimals.
pub(super) fn discounted_amount(
    input: &PeriodUsage,
    sku: &str,
    quantity: Decimal,
    unit_price: Decimal,
    discount_percent: Decimal,
) -> Result<Decimal, RateError> {
    line_amount(quantity, unit_price, discount_percent).map_err(|source| RateError::Amount {
        uin: input.uin,
        sku: sku.to_owned(),
        source,
    })
}
