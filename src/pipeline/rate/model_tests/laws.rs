//! What holds under every model, whatever the usage.

use std::collections::BTreeMap;

use chrono::Datelike;
use proptest::prelude::*;

use super::*;
use crate::values::money::sum;

/// Every model, with and without what is included, on counters of all widths.
fn all_models() -> Vec<Arc<RateCard>> {
    let tiers =
        "tiers = [{ from = 0, to = 20, unit_price = \"0.0325\" }, { from = 20, unit_price = \"0.030000000001\" }]";
    let first = format!(
        "A = {{ included = \"7.5\", counter = \"all\", {tiers} }}\nB = {{ included = \"7.5\", counter = \"all\", multiplier = \"1.3333\", \
         {tiers} }}\nC = {{ package = \"90s\", included = 2, unit_price = \"0.05\" }}\n"
    );
    let second = format!(
        "A = {{ model = \"volume\", {tiers} }}\nB = {{ unit_price = \"0.04\", included = 3 }}\nC = {{ package = \"70s\", included = 3, \
         per = \"day\", unit_price = \"0.05\" }}\n"
    );
    vec![version("2024-01-01", &first), version("2024-11-12", &second)]
}

fn any_usage() -> impl Strategy<Value = Vec<DayUsage<'static>>> {
    let row = (0_u64..3, 0_usize..3, 0_usize..3, 1_u32..=30, 0_i64..3, 0_i64..900_000);
    prop::collection::vec(row, 0..30).prop_map(|rows| {
        let made = rows
            .into_iter()
            .map(|(appid, region, sku, on, records, billable)| DayUsage {
                appid,
                region: ["cn", "cn2", "us"][region],
                records: records + 1,
                ..used(["A", "B", "C"][sku], on, billable)
            });
        made.collect()
    })
}

fn amount(cards: &[Arc<RateCard>], usage: &[DayUsage]) -> Decimal {
    let terms = monthly();
    let charges = rate(&november(&terms, cards, usage)).unwrap().complete().unwrap();
    sum(charges.iter().map(|charge| charge.amount)).unwrap()
}

/// Quantity and packages of each slice, whatever line they stand on.
fn totals(cards: &[Arc<RateCard>], usage: &[DayUsage]) -> BTreeMap<(Kind, u32), (Decimal, i64)> {
    let terms = monthly();
    let mut totals: BTreeMap<(Kind, u32), (Decimal, i64)> = BTreeMap::new();
    for charge in rate(&november(&terms, cards, usage)).unwrap().complete().unwrap() {
        let total = totals.entry((charge.kind, charge.slice)).or_default();
        total.0 = sum([total.0, charge.quantity]).unwrap();
        total.1 += charge.packages.unwrap_or(0);
    }
    totals.retain(|_, total| !total.0.is_zero() || total.1 != 0);
    totals
}

proptest! {
    #[test]
    fn under_every_model_the_order_and_the_split_of_the_usage_do_not_matter(
        (usage, shuffled) in any_usage().prop_flat_map(|usage| (Just(usage.clone()), Just(usage).prop_shuffle())),
        cut in 0_i64..1_000,
    ) {
        let (cards, terms) = (all_models(), terms(Cycle::Monthly { anchor_day: 1 }, "7.25", vec![]));
        let split = |row: DayUsage<'static>| [
            DayUsage { records: row.records + 5, billable: row.billable - cut, ..row },
            DayUsage { records: -5, billable: cut, ..row },
        ];
        let split: Vec<_> = shuffled.into_iter().flat_map(split).collect();
        let one = rate(&november(&terms, &cards, &usage)).unwrap();
        let other = rate(&november(&terms, &cards, &split)).unwrap();
        prop_assert_eq!(one.complete().unwrap(), other.complete().unwrap());
    }

    #[test]
    fn slices_add_up_to_the_line_and_included_lines_cost_nothing(usage in any_usage()) {
        let (cards, terms) = (all_models(), monthly());
        let input = november(&terms, &cards, &usage);
        for step in steps(&input).unwrap() {
            let total = step.slices.iter().fold(Quantity::ZERO, |sum, slice| sum.checked_add(slice.quantity).unwrap());
            prop_assert_eq!(total, step.quantity);
        }
        let charges = rate(&input).unwrap().complete().unwrap();
        for charge in charges {
            let priced = charge.packages.map_or(charge.quantity, Decimal::from);
            prop_assert!(charge.kind != Kind::Included || charge.amount.is_zero());
            prop_assert!(Decimal::ZERO <= priced && Decimal::ZERO <= charge.quantity);
        }
        let records: i64 = usage.iter().map(|row| row.records).sum();
        let charged: i64 = rate(&input).unwrap().complete().unwrap().iter().map(|charge| charge.records).sum();
        prop_assert_eq!(records, charged);
    }

    #[test]
    fn more_usage_never_costs_less_under_graduated_units_and_packages(
        usage in any_usage(), more in 0_i64..100_000_000, at in any::<prop::sample::Index>(),
    ) {
        let tiers = "tiers = [{ from = 0, to = 20, unit_price = \"0.0325\" }, { from = 20, unit_price = \"0.03\" }]";
        let prices = format!(
            "A = {{ included = \"7.5\", {tiers} }}\nB = {{ unit_price = \"0.04\", included = 3 }}\nC = {{ package = \"70s\", included = 3, \
             unit_price = \"0.05\" }}\n"
        );
        let cards = [version("2024-01-01", &prices)];
        prop_assume!(!usage.is_empty());
        let mut greater = usage.clone();
        let row = at.index(usage.len());
        greater[row].billable += more;
        // Each line's amount is rounded by itself, by half of 10^-10 at most.
        let slack = Decimal::new(i64::try_from(usage.len()).unwrap() * 2, 10);
        prop_assert!(amount(&cards, &usage) <= amount(&cards, &greater) + slack);
    }

    #[test]
    fn versions_that_say_the_same_or_sell_less_leave_the_totals_of_a_counter_as_they_are(
        usage in any_usage(), model in 0_usize..4,
    ) {
        let tiers = "tiers = [{ from = 0, to = 20, unit_price = \"0.03\" }, { from = 20, unit_price = \"0.02\" }]";
        let model = [
            format!("included = 9, {tiers}"),
            format!("included = 9, model = \"volume\", {tiers}"),
            "included = 9, package = \"7m\", unit_price = \"1\"".to_owned(),
            tiers.to_owned(),
        ][model].clone();
        let selling = |skus: &[&str]| -> String {
            skus.iter().map(|sku| format!("{sku} = {{ counter = \"all\", {model} }}\n")).collect()
        };
        let (all, some) = (selling(&["A", "B", "C"]), selling(&["B"]));
        let one = [version("2024-01-01", &all)];
        let same = [version("2024-01-01", &all), version("2024-11-08", &all), version("2024-11-19", &all)];
        let less = [version("2024-01-01", &all), version("2024-11-08", &some), version("2024-11-19", &all)];
        // Whole minutes, so that nothing is rounded; from 8 to 18 November `B` alone.
        let sold = |row: &&DayUsage| row.sku == "B" || !(8..19).contains(&row.day.day());
        let usage: Vec<_> = usage.iter().filter(sold)
            .map(|row| DayUsage { billable: row.billable / MINUTE * MINUTE, ..*row }).collect();
        let expected = totals(&one, &usage);
        prop_assert_eq!(totals(&same, &usage), expected.clone());
        prop_assert_eq!(totals(&less, &usage), expected);
    }

    #[test]
    fn packages_of_all_lines_are_those_of_their_sum(parts in prop::collection::vec(0_i64..200_000, 1..20)) {
        let cards = [version("2024-01-01", PACKAGES)];
        let terms = monthly();
        let usage: Vec<_> = (0..).zip(&parts).map(|(appid, part)| DayUsage { appid, ..used("A", 1, *part) }).collect();
        let charges = rate(&november(&terms, &cards, &usage)).unwrap().complete().unwrap();
        let packages: i64 = charges.iter().filter_map(|charge| charge.packages).sum();
        let total: i64 = parts.iter().sum();
        prop_assert_eq!(packages, (total + MINUTE - 1) / MINUTE);
    }
}
