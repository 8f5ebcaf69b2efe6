//! The reader of rate cards.
//!
//! What is held, beyond that nothing panics: a card survives its canonical text, a comment does not change it, its prices
//! are found and price a quantity, and it assigns what its meters take; findings stand in the text, each once, in order.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use rust_decimal::Decimal;
use tallybook::catalog::rate_card::meter::{Fits, Of};
use tallybook::catalog::rate_card::{EVERY_REGION, Finding, Meter, RateCard, Revision, compare};
use tallybook::pipeline::rate::{Counted, Quantity, slice};
use tallybook::values::money::PRICE_DECIMALS;
use tallybook::values::parameters::{Parameters, Scalar};

const FILE: &str = "2024-01-01.toml";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    match RateCard::parse(text, FILE) {
        Ok(card) => {
            hold_canonical(&card, text);
            hold_prices(&card);
            card.meters.iter().for_each(|meter| hold_assignment(&card, meter));
        }
        Err(found) => hold_findings(&found, text),
    }
});

fn hold_findings(found: &[Finding], text: &str) {
    assert!(!found.is_empty(), "refused without a finding");
    assert!(found.is_sorted_by(|one, next| one < next));
    // After a last line end there is one more line, which is empty: what is missing at the end is missing there.
    let lines = text.split('\n').count();
    for finding in found {
        assert_eq!(finding.file, FILE);
        assert!((1..=lines).contains(&finding.line), "{finding} of {lines} lines");
        assert!(!finding.what.is_empty() && !finding.cure.is_empty(), "{finding:?}");
    }
}

fn hold_canonical(card: &RateCard, text: &str) {
    let canonical = card.canonical();
    let again = RateCard::from_canonical(&canonical).expect("a canonical text is a card");
    assert_eq!(*card, again);
    assert_eq!(card.digest(), again.digest());
    assert_eq!(canonical, again.canonical());
    assert_eq!(compare(card, &again), Revision::Same);
    let commented = RateCard::parse(&format!("{text}\n# A comment."), FILE).expect("a comment says nothing");
    assert_eq!(card.digest(), commented.digest());
}

fn hold_prices(card: &RateCard) {
    assert!(card.region_group(&card.default_region).is_some());
    let key = |at: usize| (&card.prices[at].sku, &card.prices[at].region_group);
    assert!(
        (1..card.prices.len()).all(|at| key(at - 1) < key(at)),
        "sorted, each once"
    );
    for price in &card.prices {
        let group = card
            .region_groups
            .iter()
            .find(|group| group.name == price.region_group)
            .expect("a price is for a group of the card");
        for region in group.regions.iter().filter(|region| *region != EVERY_REGION) {
            assert_eq!(card.price(&price.sku, region), Some(price));
        }
        assert!(1 <= price.unit.base_units);
        for (from, unit_price) in price.model.steps() {
            assert!(Decimal::ZERO <= unit_price);
            // Trailing zeros would be another digest for the same price.
            for decimal in [from, unit_price] {
                assert!(decimal.scale() <= PRICE_DECIMALS, "{decimal}");
                assert_eq!(decimal.scale(), decimal.normalize().scale(), "{decimal}");
            }
            let position = Quantity::from_decimal(from).expect("a bound is a quantity");
            let mut slices = Vec::new();
            let counted = Counted {
                position,
                end: position,
                packages: 0,
            };
            slice(&price.model, &counted, Quantity::ZERO, &mut slices).expect("a card's model prices");
            assert!(slices.len() == 1 && slices[0].unit_price == unit_price, "{slices:?}");
        }
    }
}

/// A record with what the meter asks for.
fn hold_assignment(card: &RateCard, meter: &Meter) {
    let mut parameters = BTreeMap::new();
    for dimension in &meter.dimensions {
        let value = match &dimension.fits {
            Fits::Values(values) => values.first().cloned().map(Scalar::Text),
            Fits::Steps(steps) => steps.first().map(|step| Scalar::Number(step.up_to.to_string())),
        };
        let names = match &dimension.of {
            Of::Parameter(name) => vec![name.clone()],
            Of::ShortSide => vec!["width".to_owned(), "height".to_owned()],
        };
        parameters.extend(names.into_iter().filter_map(|name| Some((name, value.clone()?))));
    }
    match card.assign(&meter.task_type, &Parameters(parameters)) {
        Ok(assigned) => {
            assert_eq!(card.meters[assigned.meter].task_type, meter.task_type);
            assert!(card.region_group(&assigned.region).is_some());
            assert!(!assigned.sku.is_empty());
        }
        Err(unmetered) => assert!(!unmetered.code.is_empty() && !unmetered.sentence.is_empty()),
    }
}
