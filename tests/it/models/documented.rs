//! The examples of docs/reference/rate-card.md: each block is read as it stands there, and costs what the text below it says.

use std::path::Path;
use std::sync::Arc;

use rust_decimal::Decimal;
use tallybook::catalog::account::terms::Terms;
use tallybook::catalog::rate_card::RateCard;
use tallybook::pipeline::rate::{DayUsage, PeriodUsage, rate};
use tallybook::values::calendar::Cycle;
use tallybook::values::money::{plain, sum};

use super::drawn::november;

const MINUTE: i64 = 60_000;

/// A section of the page: its block, and all of its text on one line.
fn section(heading: &str) -> (String, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/rate-card.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, after) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let text = after.split("\n## ").next().unwrap();
    let (_, block) = text.split_once("```toml\n").unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    (block.split("```").next().unwrap().to_owned(), words.join(" "))
}

/// A card with these lines of `[prices]`: snapshots are images, everything else is minutes.
fn card(prices: &str) -> Arc<RateCard> {
    let lines = prices.lines().filter(|line| line.starts_with('"'));
    let skus: Vec<&str> = lines.map(|line| line.split('"').nth(1).unwrap()).collect();
    let meters = skus.iter().map(|sku| {
        let (quantity, unit) = if sku.starts_with("Snapshot") {
            ("images", "image")
        } else {
            ("duration", "minute")
        };
        format!(
            "[[meter]]\nname = \"{sku}\"\ntask_type = \"{sku}\"\nsku = \"{sku}\"\nquantity = \"{quantity}\"\nunit = \"{unit}\"\n"
        )
    });
    let text = format!(
        "card = \"c\"\nfrom = 2024-01-01\ncurrency = \"CNY\"\nzone = \"UTC\"\ndefault_region = \"r\"\n[regions]\nall = [\"*\"]\n{}[prices]\n\
         {prices}",
        meters.collect::<String>()
    );
    let card = RateCard::parse(&text, "2024-01-01.toml");
    Arc::new(card.unwrap_or_else(|findings| panic!("{findings:#?}\n{text}")))
}

/// What usage of a day costs in a month, and each line as `kind quantity (before the multiplier) in packages`.
fn cost(prices: &str, used: &[(&str, i64)]) -> (String, Vec<String>) {
    let cards = [card(prices)];
    let monthly = Cycle::Monthly { anchor_day: 1 };
    let terms = Terms::new(
        november(1),
        "c".to_owned(),
        chrono_tz::UTC,
        monthly,
        Decimal::ZERO,
        Vec::new(),
    )
    .unwrap();
    let rows = used.iter().map(|&(sku, billable)| DayUsage {
        appid: 1,
        region: "r",
        sku,
        day: november(5),
        records: 1,
        billable,
    });
    let rows: Vec<DayUsage> = rows.collect();
    let input = PeriodUsage {
        uin: 7,
        period: monthly.period_of(november(1)),
        terms: &terms,
        cards: &cards,
        usage: &rows,
        earlier: &[],
        account_terms: std::slice::from_ref(&terms),
    };
    let charges = rate(&input).unwrap().complete().unwrap();
    let shown = charges.iter().map(|charge| {
        let packages = charge
            .packages
            .map_or_else(String::new, |packages| format!(" in {packages}"));
        let usage = charge
            .usage_quantity
            .map_or_else(String::new, |usage| format!(" ({})", plain(usage, 0)));
        format!("{} {}{usage}{packages}", charge.kind, plain(charge.quantity, 0))
    });
    let total = sum(charges.iter().map(|charge| charge.amount)).unwrap();
    (plain(total, 2), shown.collect())
}

#[test]
fn the_example_of_tiers_costs_what_the_page_says() {
    let (tiers, text) = section("Tiers and counters");
    let prices = format!("\"A\" = {{ origin = \"published\", {} }}\n", tiers.trim());
    assert!(text.contains("1,200 minutes cost 1,000 x 0.03 + 200 x 0.025"), "{text}");
    assert_eq!(cost(&prices, &[("A", 1_200 * MINUTE)]).0, "35.00");
}

#[test]
fn the_example_of_a_volume_costs_what_the_page_says() {
    let (prices, text) = section("Volume");
    let says = "999 minutes cost 999 x 0.03 = 29.97, and 1,000 minutes cost 1,000 x 0.025 = 25.00";
    assert!(text.contains(says), "{text}");
    assert_eq!(cost(&prices, &[("Fast.HD", 999 * MINUTE)]).0, "29.97");
    assert_eq!(cost(&prices, &[("Fast.HD", 1_000 * MINUTE)]).0, "25.00");
}

#[test]
fn the_examples_of_packages_cost_what_the_page_says() {
    let (prices, text) = section("Packages");
    let says = "61 s are two packages of `\"60s\"`, and three records of 40 s are two packages as well";
    assert!(text.contains(says), "{text}");
    let of_61 = [("Standard.SD", 61_000)];
    let three_of_40 = [("Standard.SD", 40_000); 3];
    assert_eq!(
        cost(&prices, &of_61),
        ("0.04".to_owned(), vec!["usage 1.016667 in 2".to_owned()])
    );
    assert_eq!(
        cost(&prices, &three_of_40),
        ("0.04".to_owned(), vec!["usage 2 in 2".to_owned()])
    );
    let says = "600 sprites and 401 samples of a day are 1,001 images, two packages, 0.24";
    assert!(text.contains(says), "{text}");
    let images = [("Snapshot.Sprite", 600), ("Snapshot.Sampled", 401)];
    let lines = vec!["usage 401 in 1".to_owned(), "usage 600 in 1".to_owned()];
    assert_eq!(cost(&prices, &images), ("0.24".to_owned(), lines));
}

#[test]
fn the_example_of_what_is_included_costs_what_the_page_says() {
    let (prices, text) = section("What is included");
    let says = "1,200 minutes cost 100 x 0 + 1,000 x 0.03 + 100 x 0.025 = 32.50";
    assert!(text.contains(says), "{text}");
    let lines = ["included 100", "usage 1000", "usage 100"].map(str::to_owned).to_vec();
    assert_eq!(
        cost(&prices, &[("Standard.HD", 1_200 * MINUTE)]),
        ("32.50".to_owned(), lines)
    );
}

#[test]
fn the_example_of_a_multiplier_costs_what_the_page_says() {
    let (prices, text) = section("Multipliers");
    let says = "600 minutes count as 1,050 normalised minutes, which cost 1,000 x 0.03 + 50 x 0.025 = 31.25";
    assert!(text.contains(says), "{text}");
    let lines = ["usage 1000 (600)", "usage 50"].map(str::to_owned).to_vec();
    assert_eq!(
        cost(&prices, &[("Standard.FHD", 600 * MINUTE)]),
        ("31.25".to_owned(), lines)
    );
}
