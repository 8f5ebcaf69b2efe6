//! What must hold across the parts of a card: each SKU has one meter, and one price per region group.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::EVERY_REGION;
use super::counter_check::check_counters;
use super::file::{Draft, InGroup, PriceDraft};
use super::finding::Findings;
use super::meter::{Meter, Quantity};
use super::price::{Model, Price};
use crate::support::quote::quoted;

/// Most SKUs of one meter: ten times the vendor's whole list, and few enough to go through.
const MAX_SKUS_PER_METER: usize = 10_000;

/// Bytes of a SKU: it is a key of tables.
const MAX_SKU_BYTES: usize = 255;

/// SKU to the meter that yields it, and the meter's place.
type Yields<'d> = BTreeMap<String, (&'d Meter, usize)>;

/// Joins prices with the meters that yield their SKUs. The prices are complete when there is no finding.
pub(super) fn link(draft: &Draft, findings: &mut Findings) -> Vec<Price> {
    check_default_region(draft, findings);
    let readable: Option<Vec<(&Meter, usize)>> = draft
        .meters
        .iter()
        .map(|(meter, at)| Some((meter.as_ref()?, *at)))
        .collect();
    // With a meter that could not be read, its SKUs would look as if nothing yielded them.
    let Some(meters) = readable else { return Vec::new() };
    check_names(&meters, findings);
    let Some(yields) = enumerate(&meters, findings) else {
        return Vec::new();
    };
    check_not_sold(draft, &meters, &yields, findings);
    check_missing(draft, &yields, findings);
    let prices = join(draft, &yields, findings);
    check_counters(draft, &prices, findings);
    prices
}

fn check_default_region(draft: &Draft, findings: &mut Findings) {
    let Some((region, at)) = &draft.default_region else {
        return;
    };
    let mut listed = draft.groups.iter().flat_map(|(group, _)| &group.regions);
    if !draft.groups.is_empty() && !listed.any(|listed| listed == region || listed == EVERY_REGION) {
        findings.add(
            *at,
            format!("the default region {region} is in no region group"),
            "add it to a group of [regions]",
        );
    }
}

/// Meters with the same name are one meter to the reader of a statement.
fn check_names(meters: &[(&Meter, usize)], findings: &mut Findings) {
    for (number, (meter, at)) in meters.iter().enumerate() {
        let before = meters[..number].iter().find(|(before, _)| before.name == meter.name);
        if before.is_some_and(|(before, _)| !before.measures_like(meter)) {
            let what = format!("two meters are named `{}` and measure differently", meter.name);
            findings.add(
                *at,
                what,
                "give them the same task_type, quantity, unit, minimum and round_up_to, or different names",
            );
        }
    }
}

/// Every SKU that the meters can yield; `None` after a finding that makes the list incomplete.
fn enumerate<'d>(meters: &[(&'d Meter, usize)], findings: &mut Findings) -> Option<Yields<'d>> {
    let before = findings.count();
    let mut yields = Yields::new();
    for &(meter, at) in meters {
        if meter
            .combinations()
            .is_none_or(|combinations| MAX_SKUS_PER_METER < combinations)
        {
            let what = format!("meter `{}` can yield more than {MAX_SKUS_PER_METER} SKUs", meter.name);
            findings.add(at, what, "leave out values that are not sold, or split the meter");
            continue;
        }
        for sku in meter.skus() {
            if MAX_SKU_BYTES < sku.len() {
                let what = format!("meter `{}` can yield a SKU of {} bytes", meter.name, sku.len());
                findings.add(at, what, format!("shorten it to {MAX_SKU_BYTES}: {}", quoted(&sku)));
                continue;
            }
            let cure = "a SKU belongs to one meter and one combination: change a pattern or the values";
            match yields.insert(sku.clone(), (meter, at)) {
                Some((other, _)) if std::ptr::eq(other, meter) => {
                    findings.add(
                        at,
                        format!("two combinations of meter `{}` yield the SKU `{sku}`", meter.name),
                        cure,
                    );
                }
                Some((other, _)) if other.name != meter.name => {
                    findings.add(
                        at,
                        format!(
                            "the meters `{}` and `{}` both yield the SKU `{sku}`",
                            other.name, meter.name
                        ),
                        cure,
                    );
                }
                _ => {}
            }
        }
    }
    (findings.count() == before).then_some(yields)
}

fn check_not_sold(draft: &Draft, meters: &[(&Meter, usize)], yields: &Yields, findings: &mut Findings) {
    for (meter, at) in meters {
        for sku in &meter.not_sold {
            if yields.get(sku).is_none_or(|(by, _)| by.name != meter.name) {
                findings.add(
                    *at,
                    format!(
                        "`not_sold` of meter `{}` has `{sku}`, which it does not yield",
                        meter.name
                    ),
                    "correct or remove it",
                );
            } else if let Some(price) = draft.prices.iter().find(|price| price.sku == *sku) {
                findings.add(
                    price.at,
                    format!("the SKU `{sku}` has a price, but meter `{}` says not_sold", meter.name),
                    "remove one of the two",
                );
            }
        }
    }
}

/// Missing SKUs: what a meter can yield needs a price in every region group, or a word that it is not sold.
fn check_missing(draft: &Draft, yields: &Yields, findings: &mut Findings) {
    let not_sold = |sku: &str| {
        draft
            .meters
            .iter()
            .flat_map(|(meter, _)| meter)
            .any(|meter| meter.not_sold.iter().any(|other| other == sku))
    };
    for (sku, (meter, meter_at)) in yields {
        let Some(price) = find(&draft.prices, sku) else {
            if !not_sold(sku) {
                let cure = "add a line for it to [prices], or add it to the meter's not_sold";
                findings.add(
                    *meter_at,
                    format!(
                        "missing SKU: meter `{}` can yield `{sku}`, which has no price",
                        meter.name
                    ),
                    cure,
                );
            }
            continue;
        };
        let unpriced = |group: &&str| !price.groups.iter().any(|(priced, _)| priced == group);
        let missing: Vec<&str> = draft
            .groups
            .iter()
            .map(|(group, _)| group.name.as_str())
            .filter(unpriced)
            .collect();
        if !missing.is_empty() {
            let what = format!(
                "missing SKU: `{sku}` has no price in region group {}",
                missing.join(", ")
            );
            findings.add(price.at, what, format!("add {} = \"...\", or \"not sold\"", missing[0]));
        }
    }
}

pub(super) fn find<'d>(prices: &'d [PriceDraft], sku: &str) -> Option<&'d PriceDraft> {
    let at = prices.binary_search_by(|price| price.sku.as_str().cmp(sku)).ok()?;
    Some(&prices[at])
}

/// The prices, by SKU and region group.
fn join(draft: &Draft, yields: &Yields, findings: &mut Findings) -> Vec<Price> {
    let mut prices = Vec::new();
    for line in &draft.prices {
        let Some((meter, _)) = yields.get(&line.sku) else {
            let what = format!("no meter yields the SKU `{}`", line.sku);
            findings.add(
                line.at,
                what,
                "correct the SKU, or add its values to a meter's dimensions",
            );
            continue;
        };
        check_package(line, meter, findings);
        for (region_group, in_group) in &line.groups {
            let (InGroup::Priced(model), Some(origin)) = (in_group, line.origin) else {
                continue;
            };
            check_included(line, region_group, (model, meter), findings);
            prices.push(Price {
                sku: line.sku.clone(),
                region_group: region_group.clone(),
                meter: meter.name.clone(),
                unit: meter.unit.clone(),
                model: model.clone(),
                counter: line.counter.clone(),
                origin,
                included: included_in(line, region_group),
                multiplier: line.multiplier,
            });
        }
    }
    prices.sort_by(|left, right| (&left.sku, &left.region_group).cmp(&(&right.sku, &right.region_group)));
    prices
}

fn included_in(line: &PriceDraft, region_group: &str) -> Option<Decimal> {
    let of_group = line.included.iter().find(|(group, _)| group == region_group)?;
    Some(of_group.1)
}

/// What is included of packages is counted in base units: less than one would be nothing.
fn check_included(line: &PriceDraft, region_group: &str, (model, meter): (&Model, &Meter), findings: &mut Findings) {
    let Some(included) = included_in(line, region_group) else {
        return;
    };
    let base_units = included.checked_mul(meter.unit.base_units.into());
    if matches!(model, Model::Package { .. }) && base_units.is_some_and(|base_units| base_units < Decimal::ONE) {
        findings.add(
            line.at,
            format!(
                "`included` of the price of `{}`, {included} {}, is less than one base unit of its packages",
                line.sku, meter.unit.name
            ),
            "include more, or leave it out",
        );
    }
}

/// The size of a package is written in what the meter measures.
fn check_package(line: &PriceDraft, meter: &Meter, findings: &mut Findings) {
    let Some(package) = line.package else { return };
    let of_duration = meter.quantity == Quantity::Duration;
    if package.is_duration != of_duration {
        let (is, cure) = if of_duration {
            (
                "a count, and its meter measures a duration",
                "write a duration such as \"60s\"",
            )
        } else {
            ("a duration, and its meter counts", "write a whole number such as 1000")
        };
        findings.add(
            package.at,
            format!("`package` of the price of `{}` is {is}", line.sku),
            cure,
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::rate_card::RateCard;
    use crate::catalog::rate_card::samples::{CN, INTL, README, SMALL};

    /// What is wrong with a card, one line each.
    fn check(text: &str) -> String {
        let found = RateCard::parse(text, "2024-01-01.toml").err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    /// What is wrong after a change to the small card.
    fn changed(from: &str, to: &str) -> String {
        assert!(SMALL.contains(from), "{from}");
        check(&SMALL.replacen(from, to, 1))
    }

    #[test]
    fn the_cards_of_this_repository_are_right() {
        assert_eq!(check(CN), "");
        assert_eq!(check(INTL), "");
        assert_eq!(check(SMALL), "");
    }

    #[test]
    fn a_step_has_a_name() {
        let found = check(&INTL.replace("SD = 480", "\"\" = 480"));
        assert!(found.contains("has an empty name"), "{found}");
    }

    #[test]
    fn the_card_of_the_manual_is_right() {
        let (_, after) = README.split_once("```toml\n").unwrap();
        let (card, _) = after.split_once("```").unwrap();
        assert_eq!(check(card), "");
    }

    #[test]
    fn a_missing_sku_is_named_with_its_meter() {
        assert_eq!(
            changed("\"V.HD\" = { unit_price = \"0.2\", origin = \"illustrative\" }\n", ""),
            "2024-01-01.toml:10: missing SKU: meter `video` can yield `V.HD`, which has no price; \
             add a line for it to [prices], or add it to the meter's not_sold"
        );
        assert_eq!(
            changed("{ one = \"1\", two = \"2\" }", "{ one = \"1\" }"),
            "2024-01-01.toml:31: missing SKU: `Shot` has no price in region group two; add two = \"...\", or \"not sold\""
        );
        assert_eq!(changed("two = \"2\" }", "two = \"not sold\" }"), "");
    }

    #[test]
    fn names_and_skus_too_long_for_a_key_are_found() {
        let long = "x".repeat(256);
        let sku = changed("sku = \"Shot\"", &format!("sku = \"{}\"", &long[..129]));
        assert!(
            sku.contains("`sku` of meter `shot` has 129 bytes; write at most 128"),
            "{sku}"
        );
        let sku = changed("HD = 720", &format!("{long} = 720"));
        assert!(
            sku.contains("meter `video` can yield a SKU of 258 bytes; shorten it to 255"),
            "{sku}"
        );
    }

    #[test]
    fn a_duplicate_sku_is_found_on_its_line() {
        assert_eq!(
            changed(
                "Shot = ",
                "\"V.SD\" = { unit_price = \"0.1\", origin = \"published\" }\nShot = "
            ),
            "2024-01-01.toml:31: \"V.SD\" is written twice; keep one of the two"
        );
        assert_eq!(
            changed("tiers = [", "unit_price = { one = \"1\" }, tiers = ["),
            "2024-01-01.toml:26: the price of `V.SD` has both `unit_price` and `tiers` in region group `one`: a duplicate SKU; \
             keep one of the two for each region group"
        );
    }

    #[test]
    fn a_sku_that_no_meter_yields_is_found() {
        assert_eq!(
            changed(
                "\"V.HD\" = ",
                "\"V.8K\" = { unit_price = \"0.1\", origin = \"published\" }\n\"V.HD\" = "
            ),
            "2024-01-01.toml:30: no meter yields the SKU `V.8K`; correct the SKU, or add its values to a meter's dimensions"
        );
        assert_eq!(
            changed("not_sold = [\"V.4K\"]", "not_sold = [\"V.4K\", \"V.HD\", \"V.9K\"]"),
            "2024-01-01.toml:10: `not_sold` of meter `video` has `V.9K`, which it does not yield; correct or remove it\n\
             2024-01-01.toml:30: the SKU `V.HD` has a price, but meter `video` says not_sold; remove one of the two"
        );
    }

    #[test]
    fn gaps_and_overlaps_in_tiers_are_found() {
        let called = "`tiers` of the price of `V.SD`";
        let with = |tiers: &str| {
            changed(
                "{ from = 0, to = 100, unit_price = \"0.10\" },\n    { from = \"100\", unit_price = \"0.05\" },",
                tiers,
            )
        };
        assert_eq!(
            with("{ from = 0, to = 100, unit_price = \"1\" },\n{ from = \"100.5\", unit_price = \"1\" }"),
            format!("2024-01-01.toml:28: {called} has a gap: nothing prices [100, 100.5); let tier 2 start at 100")
        );
        assert_eq!(
            with("{ from = 0, to = 100, unit_price = \"1\" },\n{ from = 99, unit_price = \"1\" }"),
            format!(
                "2024-01-01.toml:28: {called} has an overlap: tiers 1 and 2 both price [99, 100); let tier 2 start at 100"
            )
        );
        assert_eq!(
            with("{ from = 1, unit_price = \"1\" }, { from = 5, to = 5, unit_price = \"1\" }"),
            format!(
                "2024-01-01.toml:27: the first tier of {called} starts at 1; let it start at 0\n\
                 2024-01-01.toml:27: tier 1 of {called} has no `to`, but another tier follows; write to = 5\n\
                 2024-01-01.toml:27: tier 2 of {called} is [5, 5), which is empty; let it end above its start"
            )
        );
        assert_eq!(
            with("{ from = 0, to = 5, unit_price = \"1\" }"),
            format!(
                "2024-01-01.toml:27: the last tier of {called} ends at 5: nothing prices what is above; leave out its `to`"
            )
        );
    }

    #[test]
    fn bad_decimals_are_found_with_the_cure() {
        let price = |written: &str| changed("one = \"1\"", &format!("one = {written}"));
        let called = "2024-01-01.toml:31: `unit_price` of the price of `Shot` in group `one` is";
        let quote = "in quotes, \"0.0325\", so that it stays exact";
        assert_eq!(
            price("0.0325"),
            format!("{called} a float (0.0325), not a decimal text; write it {quote}")
        );
        let plain = "write digits and at most 12 decimals, such as \"0.0325\"";
        assert_eq!(
            price("\"0.1234567890123\""),
            format!("{called} \"0.1234567890123\", which has more than 12 decimals; {plain}")
        );
        assert_eq!(price("\"-1\""), format!("{called} \"-1\", which is negative; {plain}"));
        assert_eq!(
            price("\"1,5\""),
            format!("{called} \"1,5\", which is not a plain decimal; {plain}")
        );
    }

    #[test]
    fn one_check_shows_all_findings_of_a_file() {
        let text = SMALL
            .replace("USD", "USX")
            .replace("Asia/Tokyo", "Asia/Nowhere")
            .replace("from = 2024-01-01", "from = 2024-02-01")
            .replace("grace = \"1d\"", "grace = 1")
            .replace("two = [\"r2\"]", "two = [\"r2\", \"r1\"]")
            .replace("default_region = \"r1\"", "default_region = \"r9\"\nowner = \"me\"")
            .replace("{ one = \"1\", two = \"2\" }", "{ one = \"1\", three = \"2\" }")
            .replace("task_type = \"Shot\"\n", "");
        assert_eq!(
            check(&text),
            "2024-01-01.toml:2: `from` is 2024-02-01, but the file's name is 2024-01-01.toml; name the file 2024-02-01.toml, or correct `from`\n\
             2024-01-01.toml:3: the currency is \"USX\", which ISO 4217 does not know; write a code such as \"CNY\" or \"USD\"\n\
             2024-01-01.toml:4: the zone is \"Asia/Nowhere\", which the time zone database does not know; write a name such as \"Asia/Shanghai\"\n\
             2024-01-01.toml:5: `grace` is 1; write days from \"0d\" to \"31d\", such as \"3d\"\n\
             2024-01-01.toml:6: the default region r9 is in no region group; add it to a group of [regions]\n\
             2024-01-01.toml:7: the card has the unknown key `owner`; correct or remove it; known are card, from, currency, zone, grace, \
             default_region, regions, meter, prices\n\
             2024-01-01.toml:10: the region r1 is in group `one` and in group `two`; leave it in one\n\
             2024-01-01.toml:20: meter `shot` has no `task_type`; write task_type = \"Transcode\"\n\
             2024-01-01.toml:31: `unit_price` of the price of `Shot` names the region group `three`, which [regions] does not have; write one of one, two"
        );
    }

    #[test]
    fn an_empty_file_lacks_everything() {
        let found = check("");
        assert_eq!(found.lines().count(), 8, "{found}");
        assert!(
            found.lines().all(|line| line.contains(":1: the card has no `")),
            "{found}"
        );
    }

    #[test]
    fn what_is_not_toml_is_found_by_line() {
        let found = changed("currency = \"USD\"", "currency = USD");
        assert!(found.starts_with("2024-01-01.toml:3: this is not TOML: "), "{found}");
    }

    #[test]
    fn a_sku_without_quotes_is_understood() {
        assert_eq!(
            changed("\"V.HD\" = ", "V.HD = "),
            "2024-01-01.toml:30: the SKU V.HD has no quotes; write \"V.HD\", because a point separates keys"
        );
    }

    #[test]
    fn meters_are_checked() {
        assert_eq!(
            changed("unit = \"minute\"", "unit = \"image\""),
            "2024-01-01.toml:15: `unit` of meter `video` is \"image\", which does not measure a duration; write \"second\", \"minute\" or \"hour\""
        );
        assert_eq!(
            changed("round_up_to = \"60s\"", "round_up_to = 60"),
            "2024-01-01.toml:16: `round_up_to` of meter `video` is 60; write a duration such as \"60s\", \"500ms\" or \"1m\", above 0, or leave it out"
        );
        assert_eq!(
            changed("sku = \"V.{size}\"", "sku = \"V.{sise}\""),
            "2024-01-01.toml:13: `sku` of meter `video` names the dimension `sise`, which it does not have; \
             add sise = [\"...\"] to its [meter.dimensions], so that every SKU is known"
        );
        assert!(
            changed("HD = 720", "HD = 480")
                .contains("step `HD` of dimension `size` of meter `video` ends at 480, not above step `SD`")
        );
        assert!(
            changed("name = \"shot\"", "name = \"video\"")
                .contains("two meters are named `video` and measure differently")
        );
        assert!(
            changed("sku = \"Shot\"", "sku = \"V.SD\"")
                .contains("the meters `video` and `shot` both yield the SKU `V.SD`")
        );
    }

    #[test]
    fn a_counter_has_tiers_and_one_unit() {
        assert!(
            changed("unit_price = { one", "counter = \"c\", unit_price = { one")
                .contains("`counter` of the price of `Shot` has no effect")
        );
        assert_eq!(
            changed(
                "unit_price = { one = \"1\", two = \"2\" }",
                "counter = \"all\", tiers = [{ from = 0, unit_price = \"1\" }]"
            ),
            "2024-01-01.toml:26: counter `all` counts `Shot` in image and `V.SD` in minute; use one counter per unit"
        );
    }
}
