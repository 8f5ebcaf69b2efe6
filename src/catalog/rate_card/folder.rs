//! A folder of cards: each version of a card once, under its own name.

use std::path::Path;
use std::sync::Arc;

use super::RateCard;
use super::finding::{Finding, Findings};
use super::running_counter::{UNIT_CURE, unlike_units};

/// What a folder of cards holds.
#[derive(Debug, Default)]
pub struct Folder {
    /// The cards without a finding of their own, by name and date.
    pub cards: Vec<RateCard>,
    /// All findings, file by file.
    pub findings: Vec<Finding>,
    /// Counters that run on in another unit: findings for versions that are not imported yet.
    pub unlike_units: Vec<Finding>,
}

/// Reads the cards of a folder: pairs of path (`<card>/<date>.toml`, below whatever) and text.
#[must_use]
pub fn check_folder(files: &[(&str, &str)]) -> Folder {
    let mut folder = Folder::default();
    let mut read: Vec<(&str, &str, RateCard)> = Vec::new();
    for &(path, text) in files {
        match RateCard::parse(text, path) {
            Ok(card) => read.push((path, text, card)),
            Err(found) => folder.findings.extend(found),
        }
    }
    read.sort_by(|(left_path, _, left), (right_path, _, right)| {
        (&left.name, left.from, left_path).cmp(&(&right.name, right.from, right_path))
    });
    for (number, (path, text, card)) in read.iter().enumerate() {
        let before = number
            .checked_sub(1)
            .map(|before| &read[before])
            .filter(|(_, _, before)| before.name == card.name);
        let mut findings = Findings::new(path, text);
        check_folder_name(path, text, card, &mut findings);
        if let Some((other_path, _, other)) = before {
            check_versions(text, card, other_path, other, &mut findings);
        }
        folder.findings.extend(findings.into_sorted());
    }
    folder.unlike_units = check_units(&read);
    folder.cards = read.into_iter().map(|(_, _, card)| card).collect();
    folder
}

/// Each card beside the versions before it.
fn check_units(read: &[(&str, &str, RateCard)]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut before: Vec<Arc<RateCard>> = Vec::new();
    for (path, text, card) in read {
        before.retain(|other| other.name == card.name && other.from < card.from);
        let mut findings = Findings::new(path, text);
        for what in unlike_units(card, &before) {
            findings.add(place_of(text, "from"), what, UNIT_CURE);
        }
        found.extend(findings.into_sorted());
        before.push(Arc::new(card.clone()));
    }
    found
}

fn check_folder_name(path: &str, text: &str, card: &RateCard, findings: &mut Findings) {
    let parent = Path::new(path)
        .parent()
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy());
    if parent.as_deref() != Some(&card.name) {
        let what = format!(
            "the card is `{}`, but its folder is `{}`",
            card.name,
            parent.unwrap_or_default()
        );
        findings.add(
            place_of(text, "card"),
            what,
            format!("move the file to {}/{}.toml, or correct `card`", card.name, card.from),
        );
    }
}

fn check_versions(text: &str, card: &RateCard, other_path: &str, other: &RateCard, findings: &mut Findings) {
    let name = &card.name;
    if other.from == card.from {
        let what = format!(
            "the dates overlap: {other_path} is card `{name}` from {} too",
            card.from
        );
        findings.add(
            place_of(text, "from"),
            what,
            "keep one of the files, or give one another date",
        );
    }
    if other.currency != card.currency {
        let what = format!(
            "card `{name}` has prices in {} from {}, and in {} before",
            card.currency, card.from, other.currency
        );
        findings.add(
            place_of(text, "currency"),
            what,
            "give a card in another currency another name: a statement has one currency",
        );
    }
}

/// Where a top-level key of a card that could be read is written.
fn place_of(text: &str, key: &str) -> usize {
    let table = toml::de::DeTable::parse(text).ok();
    table
        .and_then(|table| Some(table.get_ref().get_key_value(key)?.0.span().start))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::rate_card::samples::SMALL;

    #[test]
    fn a_folder_has_each_version_once_under_its_own_name() {
        let later = SMALL.replace("2024-01-01", "2024-03-01").replace("USD", "JPY");
        let folder = check_folder(&[
            ("cards/small/2024-01-01.toml", SMALL),
            ("old/small/2024-01-01.toml", SMALL),
            ("cards/other/2024-01-01.toml", SMALL),
            ("cards/small/2024-03-01.toml", &later),
        ]);
        let found: Vec<String> = folder.findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "cards/other/2024-01-01.toml:1: the card is `small`, but its folder is `other`; move the file to small/2024-01-01.toml, or correct `card`",
                "cards/small/2024-01-01.toml:2: the dates overlap: cards/other/2024-01-01.toml is card `small` from 2024-01-01 too; \
                 keep one of the files, or give one another date",
                "old/small/2024-01-01.toml:2: the dates overlap: cards/small/2024-01-01.toml is card `small` from 2024-01-01 too; \
                 keep one of the files, or give one another date",
                "cards/small/2024-03-01.toml:3: card `small` has prices in JPY from 2024-03-01, and in USD before; \
                 give a card in another currency another name: a statement has one currency",
            ]
        );
        assert_eq!(check_folder(&[("cards/small/2024-01-01.toml", SMALL)]).cards.len(), 1);
    }

    #[test]
    fn a_version_that_counts_on_in_another_unit_is_found_with_both_versions_and_the_cure() {
        let later = SMALL
            .replace("2024-01-01", "2024-03-01")
            .replace("unit = \"minute\"", "unit = \"second\"");
        let folder = check_folder(&[
            ("cards/small/2024-01-01.toml", SMALL),
            ("cards/small/2024-03-01.toml", &later),
        ]);
        assert_eq!(folder.findings, []);
        let found: Vec<String> = folder.unlike_units.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "cards/small/2024-03-01.toml:2: a counter that runs on from one version to the other counts `V.SD` in units of minute \
                 (60000 base units) from 2024-01-01 and `V.SD` in units of second (1000 base units) from 2024-03-01; keep the unit, or \
                 give the SKU and the counter that it names other names in the later version"
            ]
        );
    }
}
