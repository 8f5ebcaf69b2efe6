//! The TOML of a card: top level and regions here, meters and prices in files of their own.
//!
//! Reading goes on after a finding, so that one run shows them all; what could not be read is left out, and
//! the checks that would stumble over the hole are skipped.

mod meters;
mod model_keys;
mod prices;
mod reader;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;
use chrono_tz::Tz;
use toml::Spanned;
use toml::de::DeValue;

pub(super) use self::prices::{Draft as PriceDraft, InGroup};
use self::reader::{Entry, read_toml};
use super::finding::{Finding, Findings};
use super::{EVERY_REGION, Index, MAX_REGION_BYTES, RateCard, RegionGroup, check};
use crate::values::money::Currency;

/// Days between a period's end and its close where a card does not say: late records of the vendor's offline tasks
/// come within days (billing rules, section 6).
const DEFAULT_GRACE_DAYS: u32 = 3;

/// Most days of grace: longer than any billing period is a slip of the pen.
const MAX_GRACE_DAYS: u32 = 31;

const KEYS: [&str; 9] = [
    "card",
    "from",
    "currency",
    "zone",
    "grace",
    "default_region",
    "regions",
    "meter",
    "prices",
];

/// A card as far as it could be read, with the places that checks point to.
pub(super) struct Draft {
    /// The groups, and where each is written.
    pub(super) groups: Vec<(RegionGroup, usize)>,
    /// The meters, and where each is written.
    pub(super) meters: Vec<(meters::Draft, usize)>,
    /// The prices, by SKU.
    pub(super) prices: Vec<prices::Draft>,
    /// The default region, and where it is written.
    pub(super) default_region: Option<(String, usize)>,
}

/// Reads a card; see [`RateCard::parse`].
pub(super) fn parse(text: &str, file_name: &str) -> Result<RateCard, Vec<Finding>> {
    let mut findings = Findings::new(file_name, text);
    let card = read_toml(text, &mut findings).and_then(|root| {
        let top = Entry {
            name: "the card".into(),
            at: 0,
            table: root.get_ref(),
        };
        read_card(&top, file_name, &mut findings)
    });
    match (card, findings.into_sorted()) {
        (Some(card), found) if found.is_empty() => Ok(card),
        (_, found) => Err(found),
    }
}

/// `None` only after a finding.
fn read_card(top: &Entry, file_name: &str, findings: &mut Findings) -> Option<RateCard> {
    top.only(&KEYS, findings);
    let name = top.required_text("card", "write card = \"mps-cn\"", findings);
    let from = read_from(top, file_name, findings);
    let currency = read_currency(top, findings);
    let zone = read_zone(top, findings);
    let grace_days = read_grace(top, findings);
    let default_region = read_default_region(top, findings);
    let groups = read_regions(top, findings);
    let meters = meters::read(top, findings);
    let group_names: Vec<&str> = groups.iter().map(|(group, _)| group.name.as_str()).collect();
    let prices = prices::read(top, &group_names, findings);
    let draft = Draft {
        groups,
        meters,
        prices,
        default_region,
    };
    let prices = check::link(&draft, findings);
    if let Some((name, at)) = &name {
        check_name(name, *at, findings);
    }
    Some(RateCard {
        name: name?.0.to_owned(),
        from: from?,
        currency: currency?,
        zone: zone?,
        grace_days: grace_days?,
        default_region: draft.default_region?.0,
        region_groups: draft.groups.into_iter().map(|(group, _)| group).collect(),
        meters: draft
            .meters
            .into_iter()
            .map(|(meter, _)| meter)
            .collect::<Option<_>>()?,
        prices,
        index: Index::default(),
    })
}

/// A card's name is the name of a folder too.
fn check_name(name: &str, at: usize, findings: &mut Findings) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        let cure = "use letters, digits, `-` and `_`, because the card's folder has its name";
        findings.add(at, format!("the card's name is {name:?}"), cure);
    }
}

/// The date from which the card is in force; the file's name must be the same.
fn read_from(top: &Entry, file_name: &str, findings: &mut Findings) -> Option<NaiveDate> {
    let value = top.required("from", "write from = 2024-01-01", findings)?;
    let at = value.span().start;
    let written = match value.get_ref() {
        DeValue::Datetime(date) => date.to_string(),
        DeValue::String(text) => text.to_string(),
        other => other.type_str().to_owned(),
    };
    let Ok(from) = written.parse::<NaiveDate>() else {
        findings.add(
            at,
            format!("`from` is {written}, not a calendar date"),
            "write a date alone, such as from = 2024-01-01",
        );
        return None;
    };
    let stem = Path::new(file_name)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    if stem != format!("{from}.toml") {
        findings.add(
            at,
            format!("`from` is {from}, but the file's name is {stem}"),
            format!("name the file {from}.toml, or correct `from`"),
        );
    }
    Some(from)
}

fn read_currency(top: &Entry, findings: &mut Findings) -> Option<Currency> {
    let (text, at) = top.required_text("currency", "write currency = \"CNY\"", findings)?;
    let currency = text.parse();
    if currency.is_err() {
        findings.add(
            at,
            format!("the currency is {text:?}, which ISO 4217 does not know"),
            "write a code such as \"CNY\" or \"USD\"",
        );
    }
    currency.ok()
}

fn read_zone(top: &Entry, findings: &mut Findings) -> Option<Tz> {
    let (text, at) = top.required_text("zone", "write zone = \"Asia/Shanghai\"", findings)?;
    let zone = text.parse();
    if zone.is_err() {
        findings.add(
            at,
            format!("the zone is {text:?}, which the time zone database does not know"),
            "write a name such as \"Asia/Shanghai\"",
        );
    }
    zone.ok()
}

fn read_grace(top: &Entry, findings: &mut Findings) -> Option<u32> {
    let Some(value) = top.get("grace") else {
        return Some(DEFAULT_GRACE_DAYS);
    };
    let days = value
        .get_ref()
        .as_str()
        .and_then(|text| text.strip_suffix('d'))
        .and_then(reader::digits);
    match days.and_then(|days| u32::try_from(days).ok()) {
        Some(days) if days <= MAX_GRACE_DAYS => Some(days),
        _ => {
            let written = findings.source(value.span());
            findings.add(
                value.span().start,
                format!("`grace` is {written}"),
                format!("write days from \"0d\" to \"{MAX_GRACE_DAYS}d\", such as \"3d\""),
            );
            None
        }
    }
}

fn read_default_region(top: &Entry, findings: &mut Findings) -> Option<(String, usize)> {
    let (text, at) = top.required_text("default_region", "write default_region = \"ap-guangzhou\"", findings)?;
    check_region(text, at, findings).then(|| (text.to_owned(), at))
}

/// The region groups, by name.
fn read_regions(top: &Entry, findings: &mut Findings) -> Vec<(RegionGroup, usize)> {
    let cure = "write [regions] and below it all = [\"*\"], or a list of regions for each group";
    let Some(table) = top.required_table("regions", cure, findings) else {
        return Vec::new();
    };
    if table.table.is_empty() {
        findings.add(table.at, "there is no region group", cure);
    }
    let mut group_of: BTreeMap<String, String> = BTreeMap::new();
    let mut groups = Vec::new();
    for (key, value) in table.table {
        let name = key.get_ref().to_string();
        let regions = read_group(&name, value, &mut group_of, findings);
        groups.push((RegionGroup { name, regions }, key.span().start));
    }
    groups
}

fn read_group(
    name: &str,
    value: &Spanned<DeValue>,
    group_of: &mut BTreeMap<String, String>,
    findings: &mut Findings,
) -> Vec<String> {
    let mut regions = Vec::new();
    let listed = reader::texts(value, &format!("region group `{name}`"), findings);
    for (region, at) in &listed {
        if *region == EVERY_REGION {
            if 1 < listed.len() {
                findings.add(
                    *at,
                    format!("region group `{name}` lists regions beside \"*\""),
                    "write \"*\" alone: it is every region that no other group lists",
                );
            }
        } else if !check_region(region, *at, findings) {
            continue;
        }
        match group_of.insert((*region).to_owned(), name.to_owned()) {
            None => regions.push((*region).to_owned()),
            Some(other) if other == name => findings.add(
                *at,
                format!("the region {region} is twice in group `{name}`"),
                "remove one",
            ),
            Some(other) => findings.add(
                *at,
                format!("the region {region} is in group `{other}` and in group `{name}`"),
                "leave it in one",
            ),
        }
    }
    regions.sort();
    regions
}

fn check_region(region: &str, at: usize, findings: &mut Findings) -> bool {
    let fine = !region.is_empty()
        && region.len() <= MAX_REGION_BYTES
        && !region.contains(char::is_control)
        && region != EVERY_REGION;
    if !fine {
        let cure = format!(
            "write a region such as \"ap-guangzhou\", 1 to {MAX_REGION_BYTES} bytes without control characters"
        );
        findings.add(at, format!("the region is {region:?}"), cure);
    }
    fine
}
