//! Cards and parameters for the tests of this stage.

use super::RateCard;
use crate::values::parameters::{Parameters, Scalar};

/// The real card for mainland China.
pub const CN: &str = include_str!("../../../rate-cards/mps-cn/2024-01-01.toml");

/// The real card for elsewhere.
pub const INTL: &str = include_str!("../../../rate-cards/mps-intl/2024-01-01.toml");

/// The manual.
pub const README: &str = include_str!("../../../rate-cards/README.md");

/// A small card with each thing that a card can have.
pub const SMALL: &str = r#"card = "small"
from = 2024-01-01
currency = "USD"
zone = "Asia/Tokyo"
grace = "1d"
default_region = "r1"
[regions]
one = ["r1"]
two = ["r2"]
[[meter]]
name = "video"
task_type = "Video"
sku = "V.{size}"
quantity = "duration"
unit = "minute"
round_up_to = "60s"
not_sold = ["V.4K"]
dimensions.size = { of = "short_side", steps = { SD = 480, HD = 720, 4K = 2160 } }
[[meter]]
name = "shot"
task_type = "Shot"
sku = "Shot"
quantity = "images"
unit = "image"
[prices]
"V.SD" = { origin = "published", counter = "all", tiers = [
    { from = 0, to = 100, unit_price = "0.10" },
    { from = "100", unit_price = "0.05" },
] }
"V.HD" = { unit_price = "0.2", origin = "illustrative" }
Shot = { unit_price = { one = "1", two = "2" }, origin = "published" }
"#;

/// A card that must be right.
pub fn card(text: &str) -> RateCard {
    RateCard::parse(text, "2024-01-01.toml").unwrap_or_else(|findings| panic!("{findings:#?}"))
}

/// Parameters from JSON.
pub fn parameters(json: &str) -> Parameters {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).unwrap();
    let scalar = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Scalar::Text(text),
        serde_json::Value::Bool(flag) => Scalar::Bool(flag),
        number => Scalar::Number(number.to_string()),
    };
    Parameters(object.into_iter().map(|(name, value)| (name, scalar(value))).collect())
}
