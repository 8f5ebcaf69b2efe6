//! The terms of an account: dated and immutable, checked on the way in from code and from the ledger.

use chrono::NaiveDate;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::values::calendar::Cycle;
use crate::values::money::{DISCOUNT_DECIMALS, PRICE_DECIMALS, PRICE_END};

/// What an account has agreed to, from a date on. Build it with [`Terms::new`], which checks it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "TermsText", into = "TermsText")]
pub struct Terms {
    /// The first day they hold, in the account's zone; a period starts on it.
    pub from: NaiveDate,
    /// The name of the rate card.
    pub card: String,
    /// The zone of the account's billing days.
    pub zone: Tz,
    /// How often the account is billed.
    pub cycle: Cycle,
    /// Taken off every line: 0..=100 percent, at most 2 decimals.
    pub discount_percent: Decimal,
    /// Agreed unit prices, sorted by SKU and region group, each pair at most once.
    pub overrides: Vec<PriceOverride>,
}

/// A unit price that takes the place of the card's price, whatever its model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceOverride {
    /// The SKU.
    pub sku: String,
    /// The region group of the card; none is every group that has no override of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_group: Option<String>,
    /// Per pricing unit of the card, in its currency; not negative, at most 12 decimals, before the discount.
    pub unit_price: Decimal,
}

/// Terms that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TermsError {
    /// No card is named.
    #[error("the terms from {from} name no rate card; add one (`tallybook rate-card list` shows them)")]
    NoCard {
        /// The first day of the terms.
        from: NaiveDate,
    },
    /// The discount is out of range or too fine.
    #[error(
        "discount {discount} % is out of range; a discount is 0 to 100 percent with at most {DISCOUNT_DECIMALS} decimals"
    )]
    Discount {
        /// The offender.
        discount: Decimal,
    },
    /// An agreed price is negative or too fine.
    #[error(
        "negotiated price {unit_price} for SKU `{sku}` is out of range; a price is not negative, below {PRICE_END} and has at most \
         {PRICE_DECIMALS} decimals"
    )]
    Price {
        /// The SKU.
        sku: String,
        /// The offender.
        unit_price: Decimal,
    },
    /// Two prices were agreed for one SKU and region group.
    #[error("SKU `{sku}` has two negotiated prices for {group}; keep one", group = region_group.as_deref().unwrap_or("all region groups"))]
    Twice {
        /// The SKU.
        sku: String,
        /// The region group, if one was named.
        region_group: Option<String>,
    },
    /// The zone is not known.
    #[error("`{zone}` is not an IANA time zone; write a name such as Asia/Shanghai or UTC")]
    Zone {
        /// The offender.
        zone: String,
    },
}

impl Terms {
    /// Checked terms; overrides are sorted and numbers are normalized, so that equal terms have equal text.
    ///
    /// # Errors
    /// Names the first field that is out of its limits.
    pub fn new(
        from: NaiveDate,
        card: String,
        zone: Tz,
        cycle: Cycle,
        discount_percent: Decimal,
        mut overrides: Vec<PriceOverride>,
    ) -> Result<Self, TermsError> {
        if card.is_empty() {
            return Err(TermsError::NoCard { from });
        }
        let discount = discount_percent.normalize();
        if discount < Decimal::ZERO || Decimal::ONE_HUNDRED < discount || DISCOUNT_DECIMALS < discount.scale() {
            return Err(TermsError::Discount { discount });
        }
        for agreed in &mut overrides {
            agreed.unit_price = agreed.unit_price.normalize();
            let is_in_range = Decimal::ZERO <= agreed.unit_price && agreed.unit_price < PRICE_END.into();
            if !is_in_range || PRICE_DECIMALS < agreed.unit_price.scale() {
                return Err(TermsError::Price {
                    sku: agreed.sku.clone(),
                    unit_price: agreed.unit_price,
                });
            }
        }
        overrides.sort();
        if let Some(pair) = overrides.windows(2).find(|pair| pair[0].scope() == pair[1].scope()) {
            return Err(TermsError::Twice {
                sku: pair[0].sku.clone(),
                region_group: pair[0].region_group.clone(),
            });
        }
        Ok(Self {
            from,
            card,
            zone,
            cycle,
            discount_percent: discount,
            overrides,
        })
    }

    /// The agreed unit price of a SKU in a region group: one for that group before one for all.
    pub fn agreed_price(&self, sku: &str, region_group: &str) -> Option<Decimal> {
        let of = |group: Option<&str>| {
            let at = self
                .overrides
                .binary_search_by(|agreed| agreed.scope().cmp(&(sku, group)))
                .ok()?;
            Some(self.overrides[at].unit_price)
        };
        if self.overrides.is_empty() {
            return None;
        }
        of(Some(region_group)).or_else(|| of(None))
    }
}

impl PriceOverride {
    /// What it is a price of: SKU and region group.
    pub(super) fn scope(&self) -> (&str, Option<&str>) {
        (&self.sku, self.region_group.as_deref())
    }
}

/// [`Terms`] as they are stored: a zone by name, nothing checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TermsText {
    from: NaiveDate,
    card: String,
    zone: String,
    cycle: Cycle,
    #[serde(default)]
    discount_percent: Decimal,
    #[serde(default)]
    overrides: Vec<PriceOverride>,
}

impl TryFrom<TermsText> for Terms {
    type Error = TermsError;

    fn try_from(text: TermsText) -> Result<Self, TermsError> {
        let zone = text.zone.parse().map_err(|_| TermsError::Zone {
            zone: text.zone.clone(),
        })?;
        Self::new(
            text.from,
            text.card,
            zone,
            text.cycle,
            text.discount_percent,
            text.overrides,
        )
    }
}

impl From<Terms> for TermsText {
    fn from(terms: Terms) -> Self {
        Self {
            from: terms.from,
            card: terms.card,
            zone: terms.zone.name().to_owned(),
            cycle: terms.cycle,
            discount_percent: terms.discount_percent,
            overrides: terms.overrides,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::money::parse_plain;

    fn agreed(sku: &str, group: Option<&str>, price: &str) -> PriceOverride {
        PriceOverride {
            sku: sku.to_owned(),
            region_group: group.map(str::to_owned),
            unit_price: parse_plain(price).unwrap(),
        }
    }

    fn terms(discount: &str, overrides: Vec<PriceOverride>) -> Result<Terms, TermsError> {
        let from = "2024-01-01".parse().unwrap();
        let discount = parse_plain(discount).unwrap();
        Terms::new(
            from,
            "mps-cn".to_owned(),
            Tz::Asia__Shanghai,
            Cycle::Daily,
            discount,
            overrides,
        )
    }

    #[test]
    fn terms_survive_the_ledger_as_json() {
        let terms = terms("12.50", vec![agreed("B", None, "0.10"), agreed("A", Some("us"), "0")]).unwrap();
        let text = serde_json::to_string(&terms).unwrap();
        assert_eq!(
            text,
            r#"{"from":"2024-01-01","card":"mps-cn","zone":"Asia/Shanghai","cycle":"daily","discount_percent":"12.5","overrides":[{"sku":"A","region_group":"us","unit_price":"0"},{"sku":"B","unit_price":"0.1"}]}"#
        );
        assert_eq!(serde_json::from_str::<Terms>(&text).unwrap(), terms);
    }

    #[test]
    fn a_price_for_the_group_comes_before_a_price_for_all() {
        let terms = terms("0", vec![agreed("A", None, "2"), agreed("A", Some("us"), "1")]).unwrap();
        assert_eq!(terms.agreed_price("A", "us"), Some(Decimal::ONE));
        assert_eq!(terms.agreed_price("A", "other"), Some(Decimal::TWO));
        assert_eq!(terms.agreed_price("B", "us"), None);
    }

    #[test]
    fn what_is_out_of_its_limits_is_refused_by_name() {
        for discount in ["-1", "100.01", "1.005"] {
            assert!(terms(discount, vec![]).unwrap_err().to_string().contains(discount));
        }
        for price in ["-0.1", "0.0000000000001", "1000000000000"] {
            assert!(
                terms("0", vec![agreed("A", None, price)])
                    .unwrap_err()
                    .to_string()
                    .contains(price)
            );
        }
        let twice = vec![agreed("A", None, "1"), agreed("B", None, "1"), agreed("A", None, "2")];
        assert!(matches!(terms("0", twice), Err(TermsError::Twice { sku, .. }) if sku == "A"));
    }

    #[test]
    fn a_stored_zone_or_key_that_is_misspelt_is_no_default() {
        let text = r#"{"from":"2024-01-01","card":"c","zone":"Asia/Shangai","cycle":"daily"}"#;
        assert!(
            serde_json::from_str::<Terms>(text)
                .unwrap_err()
                .to_string()
                .contains("Asia/Shangai")
        );
        let text = r#"{"from":"2024-01-01","card":"c","zone":"UTC","cycle":"daily","discount":"5"}"#;
        assert!(serde_json::from_str::<Terms>(text).is_err());
    }
}
