//! What shares a counter must count alike.

use std::collections::BTreeMap;

use super::check::find;
use super::file::Draft;
use super::finding::Findings;
use super::price::{Model, Per, Price};

/// What counts together has the same unit (minutes and images have no sum), the same packages, and the same included quantity.
pub(super) fn check_counters(draft: &Draft, prices: &[Price], findings: &mut Findings) {
    let mut first: BTreeMap<&str, &Price> = BTreeMap::new();
    for price in prices {
        let Some(counter) = &price.counter else { continue };
        let before = *first.entry(counter).or_insert(price);
        let (Some(line), Some((what, cure))) = (find(&draft.prices, &price.sku), difference(counter, before, price))
        else {
            continue;
        };
        findings.add(line.at, what, cure);
    }
}

/// Why two prices cannot count on one counter.
fn difference(counter: &str, before: &Price, price: &Price) -> Option<(String, &'static str)> {
    let both = |before_is: &str, is: &str| {
        format!(
            "counter `{counter}` counts `{}` in {before_is} and `{}` in {is}",
            before.sku, price.sku
        )
    };
    if before.unit != price.unit {
        return Some((both(&before.unit.name, &price.unit.name), "use one counter per unit"));
    }
    if packages(before) != packages(price) {
        let what = both(&packages_text(before), &packages_text(price));
        return Some((what, "use one counter per size of a package, with the same `per`"));
    }
    if before.included != price.included {
        let text = |price: &Price| {
            price
                .included
                .map_or("nothing".to_owned(), |included| included.to_string())
        };
        let what = format!(
            "counter `{counter}` includes {} for `{}` in region group {} and {} for `{}` in region group {}",
            text(before),
            before.sku,
            before.region_group,
            text(price),
            price.sku,
            price.region_group
        );
        return Some((
            what,
            "write the same `included` in all of its prices, or use one counter each",
        ));
    }
    None
}

fn packages(price: &Price) -> Option<(u64, Per)> {
    match price.model {
        Model::Package { size, per, .. } => Some((size, per)),
        _ => None,
    }
}

fn packages_text(price: &Price) -> String {
    match packages(price) {
        None => "units".to_owned(),
        Some((size, Per::Period)) => format!("packages of {size} base units"),
        Some((size, Per::Day)) => format!("packages of {size} base units per day"),
        Some((size, Per::Month)) => format!("packages of {size} base units per month"),
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use crate::catalog::rate_card::samples::SMALL;
    use crate::catalog::rate_card::{Model, Origin, Per, Price, RateCard};

    /// The small card with these prices of `V.HD` and `Shot`.
    fn with(hd: &str, shot: &str) -> Result<RateCard, String> {
        let (before, _) = SMALL.split_once("\"V.HD\" = ").unwrap();
        let text = format!(
            "{before}\"V.HD\" = {{ {hd}, origin = \"inferred\" }}\nShot = {{ {shot}, origin = \"inferred\" }}\n"
        );
        let card = RateCard::parse(&text, "2024-01-01.toml");
        card.map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    const PLAIN: &str = "unit_price = \"1\"";

    fn hd(keys: &str) -> Price {
        let card = with(keys, PLAIN).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(RateCard::from_canonical(&card.canonical()).unwrap(), card);
        card.price("V.HD", "r1").unwrap().clone()
    }

    /// What is found in a price of `V.HD`.
    fn found(keys: &str) -> String {
        with(keys, PLAIN).unwrap_err()
    }

    const TIERS: &str =
        "tiers = [{ from = 0, to = 5, unit_price = \"0.000000000001\" }, { from = 5, unit_price = \"1\" }]";

    #[test]
    fn each_model_is_read_with_what_is_counted_before_it() {
        let price = hd(&format!(
            "model = \"volume\", included = \"2.5\", multiplier = \"1.75\", {TIERS}"
        ));
        assert!(matches!(&price.model, Model::Volume { tiers } if tiers.len() == 2));
        assert_eq!(price.included, Some(Decimal::new(25, 1)));
        assert_eq!(price.multiplier, Some(Decimal::new(175, 2)));
        assert_eq!(price.origin, Origin::Inferred);
        assert!(matches!(
            hd(&format!("model = \"graduated\", {TIERS}")).model,
            Model::Graduated { .. }
        ));
        let package = |keys: &str| match hd(keys).model {
            Model::Package { size, per, .. } => (size, per),
            other => panic!("{other:?}"),
        };
        assert_eq!(package("package = \"60s\", unit_price = \"1\""), (60_000, Per::Period));
        assert_eq!(
            package("package = \"1ms\", per = \"day\", unit_price = \"1\""),
            (1, Per::Day)
        );
        assert_eq!(
            package("package = \"1h\", per = \"month\", unit_price = \"1\""),
            (3_600_000, Per::Month)
        );
    }

    #[test]
    fn what_is_included_may_differ_between_region_groups() {
        let card = with("unit_price = \"1\", included = { one = 10 }", PLAIN).unwrap();
        assert_eq!(card.price("V.HD", "r1").unwrap().included, Some(Decimal::TEN));
        assert_eq!(card.price("V.HD", "r2").unwrap().included, None);
        let sold = "unit_price = { one = \"1\", two = \"not sold\" }";
        for included in ["10", "{ one = 10 }"] {
            let card = with(&format!("{sold}, included = {included}"), PLAIN).unwrap();
            assert_eq!(card.price("V.HD", "r1").unwrap().included, Some(Decimal::TEN));
        }
    }

    #[test]
    fn a_card_without_the_keys_has_the_text_that_it_had_before_them() {
        let text = with(PLAIN, PLAIN).unwrap().canonical();
        assert!(!text.contains("included") && !text.contains("multiplier"), "{text}");
    }

    #[test]
    fn keys_that_cannot_be_meant_are_found_with_the_cure() {
        for (keys, what) in [
            (
                "unit_price = \"1\", model = \"volume\"",
                "`model` of the price of `V.HD` has no effect without `tiers`; remove it, or write tiers",
            ),
            (
                &*format!("model = \"all\", {TIERS}"),
                "`model` of the price of `V.HD` is \"all\"; write model = \"volume\"",
            ),
            (
                "unit_price = \"1\", per = \"day\"",
                "`per` of the price of `V.HD` has no effect without `package`; remove it, or write package",
            ),
            (
                "unit_price = \"1\", package = \"60s\", per = \"week\"",
                "`per` of the price of `V.HD` is \"week\"; write per = \"day\" or per = \"month\"",
            ),
            (
                "unit_price = \"1\", package = 60",
                "`package` of the price of `V.HD` is a count, and its meter measures a duration; write a duration such as \"60s\"",
            ),
            (
                "unit_price = \"1\", package = \"0s\"",
                "`package` of the price of `V.HD` is \"0s\"; write the size of a package above 0",
            ),
            (
                &*format!("package = \"60s\", {TIERS}"),
                "the price of `V.HD` has both `package` and `tiers`; write unit_price, the price of a package",
            ),
            (
                "package = \"60s\"",
                "the price of `V.HD` has neither `unit_price` nor `tiers`",
            ),
            (
                "unit_price = \"1\", package = \"60s\", multiplier = 2",
                "the price of `V.HD` has both `package` and `multiplier`, and packages count what is measured; remove one of the two",
            ),
            (
                "unit_price = \"1\", included = 0",
                "`included` of the price of `V.HD` is 0; write what costs nothing, or leave it out",
            ),
            (
                "unit_price = \"1\", included = \"0.0000001\"",
                "`included` of the price of `V.HD` is \"0.0000001\", which has more than 6 decimals",
            ),
            (
                "unit_price = \"1\", included = {}",
                "`included` of the price of `V.HD` is empty; write what costs nothing by region group, or leave it out",
            ),
            (
                "unit_price = \"1\", package = \"60s\", included = \"0.000001\"",
                "`included` of the price of `V.HD`, 0.000001 minute, is less than one base unit of its packages; include more",
            ),
            (
                "unit_price = \"1\", included = { three = 1 }",
                "names the region group `three`, which [regions] does not have; write one of one, two",
            ),
            (
                "unit_price = { one = \"1\", two = \"not sold\" }, included = { one = 5, two = 7 }",
                "`included` of the price of `V.HD` names the region group `two`, in which it is not sold; remove it there, or write a price",
            ),
            (
                "unit_price = \"1\", multiplier = \"1.00001\"",
                "`multiplier` of the price of `V.HD` is \"1.00001\", which has more than 4 decimals",
            ),
            (
                "unit_price = \"1\", multiplier = 1.5",
                "`multiplier` of the price of `V.HD` is a float (1.5), not a decimal text; write it in quotes, \"1.5\"",
            ),
            (
                "unit_price = \"1\", multiplier = 0",
                "`multiplier` of the price of `V.HD` is 0; write what the usage is multiplied by",
            ),
            (
                "unit_price = \"1\", multiplier = \"1000000\"",
                "`multiplier` of the price of `V.HD` is 1000000, which is not below 1000000; write a smaller one",
            ),
            (
                "unit_price = \"1\", counter = \"c\"",
                "`counter` of the price of `V.HD` has no effect without `tiers`, `package` or `included`",
            ),
        ] {
            assert!(found(keys).contains(what), "{keys}:\n{}", found(keys));
        }
        let of_images = with(PLAIN, "unit_price = \"1\", package = \"60s\"").unwrap_err();
        let what =
            "`package` of the price of `Shot` is a duration, and its meter counts; write a whole number such as 1000";
        assert!(of_images.contains(what), "{of_images}");
    }

    #[test]
    fn a_counter_has_one_size_of_packages_and_one_included_quantity() {
        // `V.SD` of the small card is graduated on the counter `all`.
        assert!(
            found("unit_price = \"1\", package = \"60s\", counter = \"all\"").contains(
                "counter `all` counts `V.HD` in packages of 60000 base units and `V.SD` in units; use one counter per size of a package, \
                 with the same `per`"
            )
        );
        assert!(
            found("unit_price = \"1\", included = 5, counter = \"all\"").contains(
                "counter `all` includes 5 for `V.HD` in region group one and nothing for `V.SD` in region group one; write the same \
                 `included` in all of its prices, or use one counter each"
            )
        );
    }
}
