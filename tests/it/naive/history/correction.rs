//! The corrected price: a hundredth more for all that the second version of the card sells.

use rust_decimal::Decimal;

use super::rating::Group;
use crate::naive::card::{FOLDER, NAME, Version};

/// What a corrected price is higher by, in millionths.
const RISE: i128 = 10_000;

/// The unit price of a tier, in millionths.
pub fn price_of(group: &Group, tier: usize, is_corrected: bool) -> i128 {
    let (_, price) = group.sold().tiers(&group.region)[tier];
    let is_risen = is_corrected && group.version() == Version::Second;
    price + if is_risen { RISE } else { 0 }
}

/// The file of the second version with corrected prices.
pub fn corrected_card() -> String {
    let path = format!("{FOLDER}/{NAME}/{}.toml", Version::Second.from());
    let text = std::fs::read_to_string(path).expect("the card of the tests");
    let (before, prices) = text.split_once("[prices]\n").expect("a card has prices");
    // Every second part stands in quotes.
    let mut parts: Vec<String> = prices.split('"').map(str::to_owned).collect();
    for at in (1..parts.len()).step_by(2) {
        let is_price = ["unit_price = ", "mainland = ", "other = "]
            .iter()
            .any(|key| parts[at - 1].ends_with(key));
        if is_price {
            let price: Decimal = parts[at].parse().expect("a price is a decimal");
            parts[at] = (price + Decimal::new(1, 2)).to_string();
        }
    }
    format!("{before}[prices]\n{}", parts.join("\""))
}
