//! `[prices]`: one line per SKU.

use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::DeValue;

use super::model_keys::{self, ModelKeys, PackageSize};
use super::reader::{Entry, a, price, quantity, table};
use crate::catalog::rate_card::finding::Findings;
use crate::catalog::rate_card::price::{Model, Origin, Tier};

/// The line of one SKU.
pub(in crate::catalog::rate_card) struct Draft {
    /// The SKU.
    pub(in crate::catalog::rate_card) sku: String,
    /// Where it is written.
    pub(in crate::catalog::rate_card) at: usize,
    /// The counter that it counts on.
    pub(in crate::catalog::rate_card) counter: Option<String>,
    /// Where the price comes from; `None` where that could not be read.
    pub(in crate::catalog::rate_card) origin: Option<Origin>,
    /// By region group: how it is priced there.
    pub(in crate::catalog::rate_card) groups: Vec<(String, InGroup)>,
    /// By region group: what costs nothing.
    pub(in crate::catalog::rate_card) included: Vec<(String, Decimal)>,
    /// What the usage is multiplied by.
    pub(in crate::catalog::rate_card) multiplier: Option<Decimal>,
    /// The size of its packages.
    pub(in crate::catalog::rate_card) package: Option<PackageSize>,
}

/// How a SKU is priced in one region group.
pub(in crate::catalog::rate_card) enum InGroup {
    /// With this model.
    Priced(Model),
    /// It is not sold there.
    NotSold,
    /// It is written, but not in a way that could be read.
    Unreadable,
}

const KEYS: [&str; 9] = [
    "unit_price",
    "tiers",
    "model",
    "package",
    "per",
    "included",
    "multiplier",
    "origin",
    "counter",
];

/// How a line says that a SKU is not sold in a region group.
const NOT_SOLD: &str = "not sold";

const CURE: &str = "write { unit_price = \"0.0325\", origin = \"published\" }";

/// All lines of `[prices]`, by SKU.
pub(super) fn read(top: &Entry, groups: &[&str], findings: &mut Findings) -> Vec<Draft> {
    let cure = "write [prices] and below it \"SKU\" = { unit_price = \"0.0325\", origin = \"published\" }";
    let Some(prices) = top.required_table("prices", cure, findings) else {
        return Vec::new();
    };
    let mut drafts = Vec::with_capacity(prices.table.len());
    for (key, value) in prices.table {
        let sku = key.get_ref().to_string();
        for (sku, at, value) in quoted(sku, key.span().start, value, findings) {
            drafts.push(read_line(sku, at, value, groups, findings));
        }
    }
    drafts.sort_by(|left, right| left.sku.cmp(&right.sku));
    drafts
}

/// To TOML, `Standard.H264 = {}` without quotes is a table in a table: the lines that are meant.
fn quoted<'t, 'i>(
    sku: String,
    at: usize,
    value: &'t Spanned<DeValue<'i>>,
    findings: &mut Findings,
) -> Vec<(String, usize, &'t Spanned<DeValue<'i>>)> {
    let mut lines = Vec::new();
    let mut left = vec![(sku, at, value, false)];
    while let Some((sku, at, value, unquoted)) = left.pop() {
        let parts = value.get_ref().as_table().filter(|table| {
            !table.is_empty()
                && table
                    .iter()
                    .all(|(key, value)| value.get_ref().is_table() && !KEYS.contains(&key.get_ref().as_ref()))
        });
        if let Some(parts) = parts {
            left.extend(
                parts
                    .iter()
                    .map(|(key, value)| (format!("{sku}.{}", key.get_ref()), key.span().start, value, true)),
            );
        } else {
            if unquoted {
                findings.add(
                    at,
                    format!("the SKU {sku} has no quotes"),
                    format!("write \"{sku}\", because a point separates keys"),
                );
            }
            lines.push((sku, at, value));
        }
    }
    lines
}

fn read_line(sku: String, at: usize, value: &Spanned<DeValue>, groups: &[&str], findings: &mut Findings) -> Draft {
    let unreadable = || {
        groups
            .iter()
            .map(|group| ((*group).to_owned(), InGroup::Unreadable))
            .collect()
    };
    let Some(line) = table(value, &format!("the price of `{sku}`"), CURE, findings) else {
        return Draft {
            sku,
            at,
            counter: None,
            origin: None,
            groups: unreadable(),
            included: Vec::new(),
            multiplier: None,
            package: None,
        };
    };
    line.only(&KEYS, findings);
    let origin = read_origin(&line, findings);
    let counter = read_counter(&line, findings);
    let keys: ModelKeys = model_keys::read(&line, groups, findings);
    let mut priced = Vec::new();
    for (key, model) in [("unit_price", read_unit_price as ReadModel), ("tiers", read_tiers)] {
        if let Some(value) = line.get(key) {
            priced.extend(by_group(&line, key, value, groups, model, findings));
        }
    }
    if line.get("unit_price").is_none() && line.get("tiers").is_none() {
        findings.add(at, format!("{} has neither `unit_price` nor `tiers`", line.name), CURE);
        priced = unreadable();
    }
    once_per_group(&line, &priced, findings);
    ModelKeys::check_sold(&line, &priced, findings);
    keys.apply(&mut priced);
    Draft {
        sku,
        at,
        counter,
        origin,
        groups: priced,
        package: keys.package_size(),
        included: keys.included,
        multiplier: keys.multiplier,
    }
}

fn read_origin(line: &Entry, findings: &mut Findings) -> Option<Origin> {
    let cure = "write origin = \"published\" for a price of the vendor's list, origin = \"inferred\" for one computed from it, \
                origin = \"illustrative\" for one of ours";
    let (text, at) = line.required_text("origin", cure, findings)?;
    match text {
        "published" => Some(Origin::Published),
        "inferred" => Some(Origin::Inferred),
        "illustrative" => Some(Origin::Illustrative),
        other => {
            findings.add(at, format!("`origin` of {} is {other:?}", line.name), cure);
            None
        }
    }
}

fn read_counter(line: &Entry, findings: &mut Findings) -> Option<String> {
    let (text, at) = line.text("counter", "write counter = \"a name\"", findings)?;
    if ["tiers", "package", "included"]
        .iter()
        .all(|key| line.get(key).is_none())
    {
        findings.add(
            at,
            format!(
                "`counter` of {} has no effect without `tiers`, `package` or `included`",
                line.name
            ),
            "remove it, or write what counts on it",
        );
    }
    if text.is_empty() {
        findings.add(
            at,
            format!("`counter` of {} is empty", line.name),
            "write a name, or remove it",
        );
    }
    Some(text.to_owned())
}

type ReadModel = fn(&Spanned<DeValue>, &str, &mut Findings) -> Option<Model>;

/// A model for all groups, or a table with one for each.
fn by_group(
    line: &Entry,
    key: &str,
    value: &Spanned<DeValue>,
    groups: &[&str],
    read: ReadModel,
    findings: &mut Findings,
) -> Vec<(String, InGroup)> {
    let called = format!("`{key}` of {}", line.name);
    let Some(written) = value.get_ref().as_table() else {
        let model = read(value, &called, findings);
        let in_group = || model.clone().map_or(InGroup::Unreadable, InGroup::Priced);
        return groups.iter().map(|group| ((*group).to_owned(), in_group())).collect();
    };
    let mut priced = Vec::with_capacity(written.len());
    for (group, value) in written {
        let name = group.get_ref().to_string();
        if !groups.contains(&name.as_str()) {
            let cure = format!("write one of {}", groups.join(", "));
            findings.add(
                group.span().start,
                format!("{called} names the region group `{name}`, which [regions] does not have"),
                cure,
            );
            continue;
        }
        let in_group = match value.get_ref().as_str() {
            Some(NOT_SOLD) => InGroup::NotSold,
            _ => read(value, &format!("{called} in group `{name}`"), findings)
                .map_or(InGroup::Unreadable, InGroup::Priced),
        };
        priced.push((name, in_group));
    }
    priced
}

fn once_per_group(line: &Entry, priced: &[(String, InGroup)], findings: &mut Findings) {
    for (at, (group, _)) in priced.iter().enumerate() {
        if priced[..at].iter().any(|(before, _)| before == group) {
            let what = format!(
                "{} has both `unit_price` and `tiers` in region group `{group}`: a duplicate SKU",
                line.name
            );
            findings.add(line.at, what, "keep one of the two for each region group");
        }
    }
}

fn read_unit_price(value: &Spanned<DeValue>, called: &str, findings: &mut Findings) -> Option<Model> {
    price(value, called, findings).map(|unit_price| Model::Unit { unit_price })
}

/// A tier as it is written, with the places of its bounds.
struct WrittenTier {
    at: usize,
    from: Option<(Decimal, usize)>,
    to: Option<(Decimal, usize)>,
    unit_price: Option<Decimal>,
}

fn read_tiers(value: &Spanned<DeValue>, called: &str, findings: &mut Findings) -> Option<Model> {
    let cure = "write tiers = [{ from = 0, to = 100, unit_price = \"0.02\" }, { from = 100, unit_price = \"0.01\" }]";
    let before = findings.count();
    let Some(list) = value.get_ref().as_array() else {
        findings.add(
            value.span().start,
            format!("{called} is {}, not a list", a(value)),
            cure,
        );
        return None;
    };
    if list.is_empty() {
        findings.add(value.span().start, format!("{called} is empty"), cure);
    }
    let mut tiers = Vec::with_capacity(list.len());
    for (at, item) in list.iter().enumerate() {
        let Some(entry) = table(item, &format!("tier {} of {called}", at + 1), cure, findings) else {
            continue;
        };
        entry.only(&["from", "to", "unit_price"], findings);
        let from = entry.required("from", "write where it begins, such as from = 0", findings);
        let unit_price = entry.required("unit_price", "write unit_price = \"0.02\"", findings);
        tiers.push(WrittenTier {
            at: entry.at,
            from: from.and_then(|from| quantity(from, &format!("`from` of {}", entry.name), findings)),
            to: entry
                .get("to")
                .and_then(|to| quantity(to, &format!("`to` of {}", entry.name), findings)),
            unit_price: unit_price
                .and_then(|written| price(written, &format!("`unit_price` of {}", entry.name), findings)),
        });
    }
    // A bound that could not be read would be taken for one that is missing.
    if findings.count() == before {
        check_bounds(&tiers, called, findings);
    }
    let read = |tier: &WrittenTier| {
        Some(Tier {
            from: tier.from?.0,
            unit_price: tier.unit_price?,
        })
    };
    let tiers = tiers.iter().map(read).collect::<Option<Vec<_>>>()?;
    (findings.count() == before).then_some(Model::Graduated { tiers })
}

/// From 0, each from where the one before ends, the last without an end.
fn check_bounds(tiers: &[WrittenTier], called: &str, findings: &mut Findings) {
    for (at, tier) in tiers.iter().enumerate() {
        let Some((from, from_at)) = tier.from else { continue };
        let number = at + 1;
        if at == 0 && !from.is_zero() {
            findings.add(
                from_at,
                format!("the first tier of {called} starts at {from}"),
                "let it start at 0",
            );
        }
        match (tier.to, tiers.get(number).and_then(|next| next.from)) {
            (Some((to, to_at)), _) if to <= from => {
                findings.add(
                    to_at,
                    format!("tier {number} of {called} is [{from}, {to}), which is empty"),
                    "let it end above its start",
                );
            }
            (Some((to, _)), Some((next, next_at))) if to < next => {
                findings.add(
                    next_at,
                    format!("{called} has a gap: nothing prices [{to}, {next})"),
                    format!("let tier {} start at {to}", number + 1),
                );
            }
            (Some((to, _)), Some((next, next_at))) if next < to => {
                let what = format!(
                    "{called} has an overlap: tiers {number} and {} both price [{next}, {to})",
                    number + 1
                );
                findings.add(next_at, what, format!("let tier {} start at {to}", number + 1));
            }
            (Some((to, to_at)), None) => {
                findings.add(
                    to_at,
                    format!("the last tier of {called} ends at {to}: nothing prices what is above"),
                    "leave out its `to`",
                );
            }
            (None, Some((next, _))) => {
                findings.add(
                    tier.at,
                    format!("tier {number} of {called} has no `to`, but another tier follows"),
                    format!("write to = {next}"),
                );
            }
            _ => {}
        }
    }
}
