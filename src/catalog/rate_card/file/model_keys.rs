//! The keys of a price beside its amounts: by which model they are meant, and what is counted before them.

use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::DeValue;

use super::meters::{MAX_BASE_UNITS, duration_ms};
use super::prices::InGroup;
use super::reader::{Entry, integer, multiplier, quantity};
use crate::catalog::rate_card::finding::Findings;
use crate::catalog::rate_card::price::{Model, Per};

/// What the keys say.
#[derive(Default)]
pub(super) struct ModelKeys {
    /// The size of a package, and for how long they are counted together.
    package: Option<(PackageSize, Per)>,
    /// Whether tiers hold for all of the quantity.
    is_volume: bool,
    /// By region group: what costs nothing.
    pub(super) included: Vec<(String, Decimal)>,
    /// What the usage is multiplied by.
    pub(super) multiplier: Option<Decimal>,
}

/// The size of a package as it is written; what it must be follows from the meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::catalog::rate_card) struct PackageSize {
    /// Base units: ms or counts.
    pub(in crate::catalog::rate_card) base_units: u64,
    /// Whether it is written as a duration.
    pub(in crate::catalog::rate_card) is_duration: bool,
    /// Where it is written.
    pub(in crate::catalog::rate_card) at: usize,
}

impl ModelKeys {
    /// Turns the models of the amounts alone into those that are meant.
    pub(super) fn apply(&self, priced: &mut [(String, InGroup)]) {
        for (_, in_group) in priced {
            let InGroup::Priced(model) = in_group else { continue };
            match (&mut *model, self.package) {
                (Model::Unit { unit_price }, Some((size, per))) => {
                    *model = Model::Package {
                        size: size.base_units,
                        unit_price: *unit_price,
                        per,
                    };
                }
                (Model::Graduated { tiers }, _) if self.is_volume => {
                    *model = Model::Volume {
                        tiers: std::mem::take(tiers),
                    };
                }
                _ => {}
            }
        }
    }

    /// What is included in a region group is of something that is sold there.
    pub(super) fn check_sold(line: &Entry, priced: &[(String, InGroup)], findings: &mut Findings) {
        let written = line.get("included").and_then(|value| value.get_ref().as_table());
        for (group, _) in written.into_iter().flatten() {
            let is_not_sold = |(name, in_group): &(String, InGroup)| {
                name == group.get_ref().as_ref() && matches!(in_group, InGroup::NotSold)
            };
            if priced.iter().any(is_not_sold) {
                findings.add(
                    group.span().start,
                    format!(
                        "`included` of {} names the region group `{}`, in which it is not sold",
                        line.name,
                        group.get_ref()
                    ),
                    "remove it there, or write a price",
                );
            }
        }
    }

    /// The size of its packages.
    pub(super) fn package_size(&self) -> Option<PackageSize> {
        self.package.map(|(size, _)| size)
    }
}

/// Reads the keys of a line.
pub(super) fn read(line: &Entry, groups: &[&str], findings: &mut Findings) -> ModelKeys {
    let per = read_per(line, findings);
    let keys = ModelKeys {
        package: read_package(line, findings).map(|size| (size, per)),
        is_volume: read_model(line, findings),
        included: read_included(line, groups, findings),
        multiplier: read_multiplier(line, findings),
    };
    check_package(line, findings);
    keys
}

/// Whether it says `model = "volume"`.
fn read_model(line: &Entry, findings: &mut Findings) -> bool {
    let cure = "write model = \"volume\" for all of the quantity at the price of the slice that is reached, or leave it out for \
                each slice at its own price";
    let Some((text, at)) = line.text("model", cure, findings) else {
        return false;
    };
    if !matches!(text, "volume" | "graduated") {
        findings.add(at, format!("`model` of {} is {text:?}", line.name), cure);
    }
    if line.get("tiers").is_none() {
        findings.add(
            at,
            format!("`model` of {} has no effect without `tiers`", line.name),
            "remove it, or write tiers",
        );
    }
    text == "volume"
}

fn read_per(line: &Entry, findings: &mut Findings) -> Per {
    let cure = "write per = \"day\" or per = \"month\", or leave it out for the billing period";
    let Some((text, at)) = line.text("per", cure, findings) else {
        return Per::Period;
    };
    if line.get("package").is_none() {
        findings.add(
            at,
            format!("`per` of {} has no effect without `package`", line.name),
            "remove it, or write package",
        );
    }
    match text {
        "day" => Per::Day,
        "month" => Per::Month,
        other => {
            findings.add(at, format!("`per` of {} is {other:?}", line.name), cure);
            Per::Period
        }
    }
}

/// `package = "60s"` of a duration, `package = 1000` of a count.
fn read_package(line: &Entry, findings: &mut Findings) -> Option<PackageSize> {
    let value = line.get("package")?;
    let at = value.span().start;
    let duration = value.get_ref().as_str().and_then(duration_ms);
    let size = duration.or_else(|| integer(value.get_ref()));
    let size = size.filter(|size| (1..=MAX_BASE_UNITS).contains(size));
    if size.is_none() {
        let written = findings.source(value.span());
        findings.add(
            at,
            format!("`package` of {} is {written}", line.name),
            "write the size of a package above 0: a duration such as \"60s\", or a whole number such as 1000",
        );
    }
    Some(PackageSize {
        base_units: size?,
        is_duration: duration.is_some(),
        at,
    })
}

/// Packages have one price, and count base units as they are.
fn check_package(line: &Entry, findings: &mut Findings) {
    let Some(package) = line.get("package") else { return };
    let at = package.span().start;
    if line.get("tiers").is_some() {
        findings.add(
            at,
            format!("{} has both `package` and `tiers`", line.name),
            "write unit_price, the price of a package, in place of the tiers",
        );
    }
    if line.get("multiplier").is_some() {
        findings.add(
            at,
            format!(
                "{} has both `package` and `multiplier`, and packages count what is measured",
                line.name
            ),
            "remove one of the two",
        );
    }
}

/// A quantity for all region groups, or a table with one for each.
fn read_included(line: &Entry, groups: &[&str], findings: &mut Findings) -> Vec<(String, Decimal)> {
    let Some(value) = line.get("included") else {
        return Vec::new();
    };
    let called = format!("`included` of {}", line.name);
    let Some(written) = value.get_ref().as_table() else {
        let included = above_zero(value, &called, findings);
        return groups
            .iter()
            .filter_map(|group| Some(((*group).to_owned(), included?)))
            .collect();
    };
    if written.is_empty() {
        findings.add(
            value.span().start,
            format!("{called} is empty"),
            "write what costs nothing by region group, or leave it out",
        );
    }
    let mut included = Vec::with_capacity(written.len());
    for (group, value) in written {
        let name = group.get_ref().to_string();
        if groups.contains(&name.as_str()) {
            let called = format!("{called} in group `{name}`");
            included.extend(above_zero(value, &called, findings).map(|quantity| (name, quantity)));
        } else {
            findings.add(
                group.span().start,
                format!("{called} names the region group `{name}`, which [regions] does not have"),
                format!("write one of {}", groups.join(", ")),
            );
        }
    }
    included
}

fn above_zero(value: &Spanned<DeValue>, called: &str, findings: &mut Findings) -> Option<Decimal> {
    let (quantity, at) = quantity(value, called, findings)?;
    if quantity.is_zero() {
        findings.add(
            at,
            format!("{called} is 0"),
            "write what costs nothing, or leave it out",
        );
        return None;
    }
    Some(quantity)
}

fn read_multiplier(line: &Entry, findings: &mut Findings) -> Option<Decimal> {
    let value = line.get("multiplier")?;
    let called = format!("`multiplier` of {}", line.name);
    let multiplier = multiplier(value, &called, findings)?;
    if multiplier.is_zero() {
        findings.add(
            value.span().start,
            format!("{called} is 0"),
            "write what the usage is multiplied by, or unit_price = \"0\" for what costs nothing",
        );
        return None;
    }
    Some(multiplier)
}
