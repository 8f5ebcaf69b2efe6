//! `[[meter]]`: what is measured.

use toml::Spanned;
use toml::de::DeValue;

use super::reader::{Entry, a, digits, integer, table, texts};
use crate::catalog::rate_card::finding::Findings;
use crate::catalog::rate_card::meter::{Dimension, Fits, Meter, Of, Quantity, SHORT_SIDE, Step, Unit};
use crate::catalog::rate_card::template::Template;

/// A meter, or `None` where it could not be read.
pub(in crate::catalog::rate_card) type Draft = Option<Meter>;

const KEYS: [&str; 9] = [
    "name",
    "task_type",
    "sku",
    "quantity",
    "unit",
    "minimum",
    "round_up_to",
    "dimensions",
    "not_sold",
];

/// Largest base units of a minimum, a rounding, a unit or a package: the largest duration that a record can have, 2^53 ms.
pub(super) const MAX_BASE_UNITS: u64 = 1 << 53;

/// Units of a duration, in ms.
const DURATION_UNITS: [(&str, u64); 3] = [("second", 1_000), ("minute", 60_000), ("hour", 3_600_000)];

/// What a duration may end in, in ms; longest first where one ends in another.
const DURATION_SUFFIXES: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// All `[[meter]]` of a card, in the file's order, with their places.
pub(super) fn read(top: &Entry, findings: &mut Findings) -> Vec<(Draft, usize)> {
    let cure = "write [[meter]] and below it name, task_type, sku, quantity and unit";
    let Some(value) = top.required("meter", cure, findings) else {
        return vec![(None, top.at)];
    };
    let Some(list) = value.get_ref().as_array() else {
        findings.add(value.span().start, format!("`meter` is {}, not a list", a(value)), cure);
        return vec![(None, value.span().start)];
    };
    let mut meters = Vec::with_capacity(list.len());
    for item in list {
        let before = findings.count();
        let meter = read_meter(item, findings).filter(|_| findings.count() == before);
        meters.push((meter, item.span().start));
    }
    meters
}

fn read_meter(value: &Spanned<DeValue>, findings: &mut Findings) -> Option<Meter> {
    let mut entry = table(value, "a meter", "write it as [[meter]]", findings)?;
    let name = entry.required_text("name", "write name = \"transcode\"", findings);
    if let Some((name, _)) = name {
        entry.name = format!("meter `{name}`");
    }
    entry.only(&KEYS, findings);
    let task_type = entry.required_text("task_type", "write task_type = \"Transcode\"", findings);
    let quantity = read_quantity(&entry, findings);
    let unit = quantity
        .as_ref()
        .and_then(|quantity| read_unit(&entry, quantity, findings));
    let mut policy = |key| {
        quantity
            .as_ref()
            .and_then(|quantity| read_policy(&entry, key, quantity, findings))
    };
    let (minimum, round_up_to) = (policy("minimum"), policy("round_up_to"));
    let sku = read_sku(&entry, findings);
    let dimensions = read_dimensions(&entry, sku.as_ref(), findings);
    let not_sold = read_not_sold(&entry, findings);
    for (key, text) in [("name", name), ("task_type", task_type)] {
        if let Some(("", at)) = text {
            findings.add(at, format!("`{key}` of {} is empty", entry.name), "write a name");
        }
    }
    Some(Meter {
        name: name?.0.to_owned(),
        task_type: task_type?.0.to_owned(),
        dimensions: dimensions?,
        sku: sku?.0,
        quantity: quantity?,
        unit: unit?,
        minimum: minimum?,
        round_up_to: round_up_to?,
        not_sold,
    })
}

fn read_quantity(entry: &Entry, findings: &mut Findings) -> Option<Quantity> {
    let cure = "write \"duration\", \"count\", or the name of a whole-number parameter such as \"images\"";
    let (text, at) = entry.required_text("quantity", cure, findings)?;
    match text {
        "duration" => Some(Quantity::Duration),
        "count" => Some(Quantity::Count),
        "" => {
            findings.add(at, format!("`quantity` of {} is empty", entry.name), cure);
            None
        }
        parameter => Some(Quantity::Parameter(parameter.to_owned())),
    }
}

/// `unit = "minute"`, or `unit = { name = "1000 images", of = 1000 }` for one of several counts.
fn read_unit(entry: &Entry, quantity: &Quantity, findings: &mut Findings) -> Option<Unit> {
    let duration = *quantity == Quantity::Duration;
    let cure = if duration {
        "write \"second\", \"minute\" or \"hour\""
    } else {
        "write what is counted, such as \"image\", or { name = \"1000 images\", of = 1000 }"
    };
    let value = entry.required("unit", cure, findings)?;
    let unit = match value.get_ref() {
        DeValue::String(name) => {
            let in_ms = DURATION_UNITS.iter().find(|(unit, _)| unit == name).map(|(_, ms)| *ms);
            let base_units = if duration {
                in_ms
            } else if in_ms.is_some() || name.is_empty() {
                None
            } else {
                Some(1)
            };
            base_units.map(|base_units| Unit {
                name: name.to_string(),
                base_units,
            })
        }
        DeValue::Table(_) if !duration => {
            let unit = table(value, &format!("`unit` of {}", entry.name), cure, findings)?;
            unit.only(&["name", "of"], findings);
            let (name, _) = unit.required_text("name", cure, findings)?;
            let of = unit.required("of", cure, findings)?;
            let base_units = integer(of.get_ref()).filter(|of| (1..=MAX_BASE_UNITS).contains(of));
            base_units.filter(|_| !name.is_empty()).map(|base_units| Unit {
                name: name.to_owned(),
                base_units,
            })
        }
        _ => None,
    };
    if unit.is_none() {
        let written = findings.source(value.span());
        let measured = if duration { "a duration" } else { "a count" };
        findings.add(
            value.span().start,
            format!(
                "`unit` of {} is {written}, which does not measure {measured}",
                entry.name
            ),
            cure,
        );
    }
    unit
}

/// `minimum` or `round_up_to` in base units; 0 where it is not written.
fn read_policy(entry: &Entry, key: &str, quantity: &Quantity, findings: &mut Findings) -> Option<u64> {
    let Some(value) = entry.get(key) else { return Some(0) };
    let (units, cure) = match quantity {
        Quantity::Duration => (
            value.get_ref().as_str().and_then(duration_ms),
            "write a duration such as \"60s\", \"500ms\" or \"1m\"",
        ),
        Quantity::Count | Quantity::Parameter(_) => (integer(value.get_ref()), "write a whole number such as 10"),
    };
    let units = units.filter(|units| (1..=MAX_BASE_UNITS).contains(units));
    if units.is_none() {
        let written = findings.source(value.span());
        findings.add(
            value.span().start,
            format!("`{key}` of {} is {written}", entry.name),
            format!("{cure}, above 0, or leave it out"),
        );
    }
    units
}

pub(super) fn duration_ms(text: &str) -> Option<u64> {
    let (number, ms) = DURATION_SUFFIXES
        .iter()
        .find_map(|(suffix, ms)| Some((text.strip_suffix(suffix)?, ms)))?;
    digits(number)?.checked_mul(*ms)
}

fn read_sku(entry: &Entry, findings: &mut Findings) -> Option<(Template, usize)> {
    let (text, at) = entry.required_text("sku", "write sku = \"AIReview\" or sku = \"{type}.{codec}\"", findings)?;
    match text.parse::<Template>() {
        Ok(template) => Some((template, at)),
        Err(error) => {
            findings.add(at, format!("`sku` of {} is {text:?}", entry.name), error.to_string());
            None
        }
    }
}

fn read_not_sold(entry: &Entry, findings: &mut Findings) -> Vec<String> {
    let Some(value) = entry.get("not_sold") else {
        return Vec::new();
    };
    let mut skus: Vec<String> = texts(value, &format!("`not_sold` of {}", entry.name), findings)
        .iter()
        .map(|(sku, _)| (*sku).to_owned())
        .collect();
    skus.sort();
    skus.dedup();
    skus
}

/// The dimensions: those of the SKU in its order, then the others by name.
fn read_dimensions(entry: &Entry, sku: Option<&(Template, usize)>, findings: &mut Findings) -> Option<Vec<Dimension>> {
    let mut dimensions = Vec::new();
    if let Some(value) = entry.get("dimensions") {
        let written = table(
            value,
            &format!("`dimensions` of {}", entry.name),
            "write [meter.dimensions] and below it type = [\"Standard\"]",
            findings,
        )?;
        for (key, value) in written.table {
            dimensions.extend(read_dimension(key.get_ref(), value, entry, findings));
        }
    }
    let (template, at) = sku?;
    let named: Vec<&str> = template.dimensions().collect();
    for name in named
        .iter()
        .filter(|name| !dimensions.iter().any(|dimension| dimension.name == **name))
    {
        // A dimension that is there and could not be read has its own finding.
        let unreadable = entry
            .get("dimensions")
            .and_then(|value| value.get_ref().get(*name))
            .is_some();
        if !unreadable {
            let cure = format!("add {name} = [\"...\"] to its [meter.dimensions], so that every SKU is known");
            findings.add(
                *at,
                format!(
                    "`sku` of {} names the dimension `{name}`, which it does not have",
                    entry.name
                ),
                cure,
            );
        }
    }
    let place = |dimension: &Dimension| {
        named
            .iter()
            .position(|name| *name == dimension.name)
            .unwrap_or(named.len())
    };
    dimensions.sort_by(|left, right| (place(left), &left.name).cmp(&(place(right), &right.name)));
    Some(dimensions)
}

/// `codec = ["H264"]`, `c = { of = "codec", values = ["H264"] }` or `r = { of = "short_side", steps = { SD = 480 } }`.
fn read_dimension(name: &str, value: &Spanned<DeValue>, meter: &Entry, findings: &mut Findings) -> Option<Dimension> {
    let called = format!("dimension `{name}` of {}", meter.name);
    let cure = "write a list of values, { of = \"parameter\", values = [..] } or { of = \"short_side\", steps = { SD = 480 } }";
    let of = |parameter: &str| {
        if parameter == SHORT_SIDE {
            Of::ShortSide
        } else {
            Of::Parameter(parameter.to_owned())
        }
    };
    if value.get_ref().is_array() {
        let fits = Fits::Values(read_values(value, &called, findings));
        return Some(Dimension {
            name: name.to_owned(),
            of: of(name),
            fits,
        });
    }
    let entry = table(value, &called, cure, findings)?;
    entry.only(&["of", "values", "steps"], findings);
    let parameter = entry
        .text("of", cure, findings)
        .map_or(name, |(parameter, _)| parameter);
    let fits = match (entry.get("values"), entry.get("steps")) {
        (Some(values), None) => Fits::Values(read_values(values, &called, findings)),
        (None, Some(steps)) => Fits::Steps(read_steps(steps, &called, findings)?),
        _ => {
            findings.add(entry.at, format!("{called} must have either `values` or `steps`"), cure);
            return None;
        }
    };
    Some(Dimension {
        name: name.to_owned(),
        of: of(parameter),
        fits,
    })
}

fn read_values(value: &Spanned<DeValue>, called: &str, findings: &mut Findings) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for (text, at) in texts(value, called, findings) {
        if text.is_empty() || values.iter().any(|before| before == text) {
            findings.add(
                at,
                format!("{called} has {text:?} twice or empty"),
                "write each value once",
            );
        }
        values.push(text.to_owned());
    }
    values.sort();
    values
}

/// Steps by their upper bounds, which are included; they must be written in ascending order.
fn read_steps(value: &Spanned<DeValue>, called: &str, findings: &mut Findings) -> Option<Vec<Step>> {
    let cure = "write steps with their upper bounds, ascending, such as { SD = 480, HD = 720 }";
    let entry = table(value, &format!("`steps` of {called}"), cure, findings)?;
    let mut written: Vec<_> = entry.table.iter().collect();
    written.sort_by_key(|(key, _)| key.span().start);
    if written.is_empty() {
        findings.add(entry.at, format!("{} is empty", entry.name), cure);
    }
    let mut steps: Vec<Step> = Vec::with_capacity(written.len());
    for (key, value) in written {
        let name = key.get_ref().to_string();
        if name.is_empty() {
            findings.add(
                key.span().start,
                format!("a step of {called} has an empty name"),
                "give each step a name",
            );
        }
        let Some(up_to) = integer(value.get_ref()) else {
            findings.add(
                value.span().start,
                format!("step `{name}` of {called} is {}", findings.source(value.span())),
                "write a whole number, 0 or more",
            );
            continue;
        };
        if let Some(before) = steps.last().filter(|before| up_to <= before.up_to) {
            let what = format!(
                "step `{name}` of {called} ends at {up_to}, not above step `{}`, which ends at {}",
                before.name, before.up_to
            );
            findings.add(value.span().start, what, cure);
        }
        steps.push(Step { name, up_to });
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use crate::catalog::rate_card::file::meters::duration_ms;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration_ms("500ms"), Some(500));
        assert_eq!(duration_ms("60s"), Some(60_000));
        assert_eq!(duration_ms("1m"), Some(60_000));
        assert_eq!(duration_ms("2h"), Some(7_200_000));
        for text in [
            "",
            "s",
            "60",
            "-1s",
            "1.5s",
            "1 s",
            "+1s",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
    }
}
