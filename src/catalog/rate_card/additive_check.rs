//! Whether one revision of a card only adds to another: then nothing that was priced changes.

use std::sync::Arc;

use super::RateCard;
use super::difference::{Difference, of_card, of_regions};
use super::meter::{Dimension, Fits, Meter};
use super::price::Price;
use super::running_counter::moved;

/// What a new revision of a card version is to the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revision {
    /// They say the same.
    Same,
    /// The new one only prices what had no price, or places what was unmetered.
    Extends,
    /// Something that was metered or priced would be so in another way; a sentence for each.
    Changes(Vec<String>),
}

/// Compares two revisions of one version of a card. `versions` are all versions of the card, ascending: what is added may move their
/// usage from one counter to another.
#[must_use]
pub fn compare(old: &RateCard, new: &RateCard, versions: &[Arc<RateCard>]) -> Revision {
    if old == new {
        return Revision::Same;
    }
    let mut changes = Vec::new();
    compare_top(old, new, &mut changes);
    compare_regions(old, new, &mut changes);
    compare_meters(old, new, &mut changes);
    compare_prices(old, new, &mut changes);
    changes.extend(moved(old, new, versions));
    if changes.is_empty() {
        Revision::Extends
    } else {
        Revision::Changes(changes)
    }
}

/// What is different beside prices and the grace; empty when nothing is.
#[must_use]
pub fn changes_beyond_prices(old: &RateCard, new: &RateCard) -> Vec<String> {
    let mut changes = Vec::new();
    let graced = RateCard {
        grace_days: new.grace_days,
        ..old.clone()
    };
    compare_top(&graced, new, &mut changes);
    compare_regions(old, new, &mut changes);
    compare_meters(old, new, &mut changes);
    changes
}

fn compare_top(old: &RateCard, new: &RateCard, changes: &mut Vec<String>) {
    changes.extend(of_card(old, new).iter().map(Difference::sentence));
}

/// Every region that had a group keeps it.
fn compare_regions(old: &RateCard, new: &RateCard, changes: &mut Vec<String>) {
    for moved in of_regions(old, new) {
        let Some(before) = moved.old else { continue };
        let now = moved
            .new
            .map_or_else(|| "no group".into(), |group| format!("group {group}"));
        changes.push(format!(
            "region {} was in group {before} and is in {now}",
            moved.subject
        ));
    }
}

/// Each meter stays in its place and takes what it took; what it takes in addition, no later meter took.
fn compare_meters(old: &RateCard, new: &RateCard, changes: &mut Vec<String>) {
    for (at, meter) in old.meters.iter().enumerate() {
        let place = at + 1;
        let Some(now) = new.meters.get(at) else {
            changes.push(format!("meter {place}, `{}`, was removed", meter.name));
            continue;
        };
        if meter.name != now.name || !meter.measures_like(now) || meter.sku != now.sku {
            changes.push(format!(
                "meter {place}, `{}`, has a different name, task_type, sku, quantity, unit, minimum or round_up_to",
                meter.name
            ));
            continue;
        }
        let before = changes.len();
        compare_dimensions(place, meter, now, changes);
        if changes.len() == before {
            let later = old.meters[place..]
                .iter()
                .filter(|later| later.task_type == meter.task_type);
            let taken = later.filter(|later| {
                additions(meter, now)
                    .iter()
                    .any(|added| overlap(added, &later.dimensions))
            });
            changes.extend(taken.map(|later| {
                format!(
                    "meter {place}, `{}`, may match records that the later meter `{}` with SKU {} matched",
                    meter.name, later.name, later.sku
                )
            }));
        }
    }
}

fn compare_dimensions(place: usize, old: &Meter, new: &Meter, changes: &mut Vec<String>) {
    let looks_at = |meter: &Meter| {
        meter
            .dimensions
            .iter()
            .map(|dimension| (dimension.name.clone(), dimension.of.clone()))
            .collect::<Vec<_>>()
    };
    if looks_at(old) != looks_at(new) {
        changes.push(format!("meter {place}, `{}`, has different dimensions", old.name));
        return;
    }
    for (before, now) in old.dimensions.iter().zip(&new.dimensions) {
        let kept = match (&before.fits, &now.fits) {
            (Fits::Values(before), Fits::Values(now)) => before.iter().all(|value| now.contains(value)),
            (Fits::Steps(before), Fits::Steps(now)) => now.starts_with(before),
            _ => false,
        };
        if !kept {
            changes.push(format!(
                "meter {place}, `{}`: dimension `{}` has changed values or steps; only new values or higher steps \
                may be added",
                old.name, before.name
            ));
        }
    }
}

/// What a meter takes that it did not take: for each dimension with something new, the new with all of the others.
fn additions(old: &Meter, new: &Meter) -> Vec<Vec<Dimension>> {
    let mut boxes = Vec::new();
    for (at, (before, now)) in old.dimensions.iter().zip(&new.dimensions).enumerate() {
        let fits = match (&before.fits, &now.fits) {
            (Fits::Values(before), Fits::Values(now)) => {
                Fits::Values(now.iter().filter(|value| !before.contains(value)).cloned().collect())
            }
            (Fits::Steps(before), Fits::Steps(now)) => Fits::Steps(now[before.len()..].to_vec()),
            (_, now) => now.clone(),
        };
        if fits.names().next().is_some() {
            let mut added = new.dimensions.clone();
            added[at].fits = fits;
            boxes.push(added);
        }
    }
    boxes
}

/// Whether a record can fit both. Only lists of values of the same thing are told apart; in doubt, it can.
fn overlap(left: &[Dimension], right: &[Dimension]) -> bool {
    left.iter().all(|one| {
        right
            .iter()
            .filter(|other| other.of == one.of)
            .all(|other| may_meet(one, other))
    })
}

fn may_meet(one: &Dimension, other: &Dimension) -> bool {
    match (&one.fits, &other.fits) {
        (Fits::Values(one), Fits::Values(other)) => one.iter().any(|value| other.contains(value)),
        _ => true,
    }
}

/// Prices of the old card that the new one has not.
#[must_use]
pub fn prices_gone(old: &RateCard, new: &RateCard) -> Vec<String> {
    let key = |price: &Price| (price.sku.clone(), price.region_group.clone());
    let gone = old
        .prices
        .iter()
        .filter(|price| new.prices.binary_search_by_key(&key(price), key).is_err());
    gone.map(|price| {
        format!(
            "the price of `{}` in region group {} was removed",
            price.sku, price.region_group
        )
    })
    .collect()
}

/// Every price stays as it is.
fn compare_prices(old: &RateCard, new: &RateCard, changes: &mut Vec<String>) {
    for price in &old.prices {
        let key = |price: &Price| (price.sku.clone(), price.region_group.clone());
        let Ok(at) = new.prices.binary_search_by_key(&key(price), key) else {
            changes.push(format!(
                "the price of `{}` in region group {} was removed",
                price.sku, price.region_group
            ));
            continue;
        };
        if *price != new.prices[at] {
            changes.push(format!(
                "the price of `{}` in region group {} has a different model, amount, counter, included quantity, multiplier, origin or meter",
                price.sku, price.region_group
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::rate_card::meter::{Of, Step};
    use crate::catalog::rate_card::samples::{CN, INTL, card};

    fn changes(old: &str, from: &str, to: &str) -> Revision {
        assert!(old.contains(from), "{from}");
        compare(&card(old), &card(&old.replace(from, to)), &[])
    }

    fn one_change(old: &str, from: &str, to: &str) -> String {
        match changes(old, from, to) {
            Revision::Changes(sentences) => sentences.join("\n"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn other_words_are_the_same_card() {
        assert_eq!(changes(INTL, "# Media", "# Some media"), Revision::Same);
        assert_eq!(
            changes(INTL, "[\"H264\", \"H265\"]", "[\"H265\", \"H264\"]"),
            Revision::Same
        );
    }

    #[test]
    fn a_new_meter_a_new_region_and_a_price_for_what_was_not_sold_extend() {
        assert_eq!(
            changes(INTL, "us = [\"na-ashburn\"", "us = [\"na-new\", \"na-ashburn\""),
            Revision::Extends
        );
        let audio = "[[meter]]\nname = \"audio\"\ntask_type = \"Transcode\"\nsku = \"Audio\"\nquantity = \"duration\"\nunit = \"minute\"\n\
                     dimensions.type = [\"Audio\"]\n[prices]\nAudio = { unit_price = \"1\", origin = \"illustrative\" }";
        assert_eq!(changes(INTL, "[prices]", audio), Revision::Extends);
        let text = CN.replace("    \"Standard.H264.8K\",\n", "").replace(
            "[prices]",
            "[prices]\n\"Standard.H264.8K\" = { unit_price = \"1\", origin = \"illustrative\" }",
        );
        assert_eq!(compare(&card(CN), &card(&text), &[]), Revision::Extends);
    }

    #[test]
    fn a_step_at_the_end_extends_and_one_between_changes() {
        let with = |steps: &str, name: &str| {
            let prices = ["H264", "H265"]
                .map(|codec| {
                    format!("\"Standard.{codec}.{name}\" = {{ unit_price = \"1\", origin = \"illustrative\" }}\n")
                })
                .concat();
            let text = INTL
                .replace("4K = 2160", steps)
                .replace("[prices]\n", &format!("[prices]\n{prices}"));
            compare(&card(INTL), &card(&text), &[])
        };
        assert_eq!(with("4K = 2160, 8K = 4320", "8K"), Revision::Extends);
        assert!(matches!(with("3K = 1800, 4K = 2160", "3K"), Revision::Changes(_)));
    }

    #[test]
    fn a_value_that_a_later_meter_took_changes() {
        // Without its own pattern the earlier meter would take a type from the later one.
        let steal = CN
            .replace(
                "type = [\"Audio\", \"Remuxing\"]",
                "type = [\"Audio\", \"Remuxing\", \"Standard\"]",
            )
            .replace(
                "[prices]\n",
                "[prices]\nStandard = { unit_price = \"1\", origin = \"illustrative\" }\n",
            );
        let Revision::Changes(sentences) = compare(&card(CN), &card(&steal), &[]) else {
            panic!("it takes Standard")
        };
        assert_eq!(
            sentences,
            [
                "meter 1, `transcode`, may match records that the later meter `transcode` with SKU {type}.{codec}.{resolution} \
                 matched"
            ]
        );
        let fine = steal
            .replace("\"Remuxing\", \"Standard\"", "\"Remuxing\", \"Edit\"")
            .replace("\nStandard = ", "\nEdit = ");
        assert_eq!(compare(&card(CN), &card(&fine), &[]), Revision::Extends);
    }

    #[test]
    fn everything_else_changes() {
        assert_eq!(
            one_change(INTL, "\"0.0480\"", "\"0.0481\""),
            "the price of `Standard.H264.4K` in region group other has a different model, amount, counter, included quantity, multiplier, origin or meter"
        );
        assert_eq!(
            one_change(INTL, "grace = \"3d\"", "grace = \"4d\""),
            "grace changed from 3d to 4d"
        );
        assert_eq!(
            one_change(INTL, "    \"eu-moscow\",\n", ""),
            "region eu-moscow was in group other and is in no group"
        );
        assert_eq!(
            one_change(CN, "all = [\"*\"]", "all = [\"ap-guangzhou\"]"),
            "region * was in group all and is in no group"
        );
        assert!(
            one_change(INTL, "unit = \"minute\"", "unit = \"minute\"\nround_up_to = \"60s\"").contains("round_up_to")
        );
        assert!(
            one_change(INTL, "other = \"0.0480\"", "other = \"not sold\"")
                .ends_with("in region group other was removed")
        );
    }

    #[test]
    fn steps_and_values_are_never_told_apart() {
        let dimension = |fits| Dimension {
            name: "d".into(),
            of: Of::Parameter("fps".into()),
            fits,
        };
        let steps = dimension(Fits::Steps(vec![Step {
            name: "low".into(),
            up_to: 30,
        }]));
        let values = dimension(Fits::Values(vec!["60".into()]));
        assert!(overlap(&[steps], &[values]));
    }
}
