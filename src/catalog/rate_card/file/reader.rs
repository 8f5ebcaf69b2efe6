//! The interface to the toml crate: values with their places, and findings for what is missing, unknown or of
//! another type.

use rust_decimal::Decimal;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::catalog::rate_card::finding::Findings;
use crate::values::money::{PRICE_DECIMALS, PRICE_END, QUANTITY_DECIMALS};

/// Bytes of a name, of a card or a meter or anything else: names are keys of tables.
const MAX_NAME_BYTES: usize = 128;

/// Most digits before the point of a price or a tier bound: far above any, and with the decimals it leaves
/// room for an exact product in 128 bits.
pub(super) const MAX_WHOLE_DIGITS: usize = 12;

/// The first whole number with more digits than that.
pub(super) const WHOLE_END: u64 = PRICE_END;

/// Most decimals of a multiplier (billing rules, section 4).
const MULTIPLIER_DECIMALS: u32 = 4;

/// The first multiplier that is too large: a unit in another one is no larger.
const MULTIPLIER_END: u64 = 1_000_000;

/// A table of the file, and how findings call it.
pub(super) struct Entry<'t, 'i> {
    /// As findings call it, such as "meter `transcode`".
    pub(super) name: String,
    /// Where it begins.
    pub(super) at: usize,
    /// Its keys and values.
    pub(super) table: &'t DeTable<'i>,
}

/// Parses TOML. Each mistake of syntax is a finding; the rest is only worth reading when all of them are repeated
/// keys, where the first one stands.
pub(super) fn read_toml<'i>(text: &'i str, findings: &mut Findings) -> Option<Spanned<DeTable<'i>>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut readable = true;
    for error in &errors {
        let span = error.span().unwrap_or_default();
        if error.message() == "duplicate key" {
            let key = text.get(span.clone()).unwrap_or_default();
            findings.add(span.start, format!("{key} is written twice"), "keep one of the two");
        } else {
            readable = false;
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            findings.add(
                span.start,
                format!("this is not TOML: {message}"),
                "correct it; text needs quotes, and each [section] its brackets",
            );
        }
    }
    readable.then_some(root)
}

impl<'t, 'i> Entry<'t, 'i> {
    /// A value, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.table.get(key)
    }

    /// Finds keys other than `known`.
    pub(super) fn only(&self, known: &[&str], findings: &mut Findings) {
        for key in self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let what = format!("{} has the unknown key `{}`", self.name, key.get_ref());
            findings.add(
                key.span().start,
                what,
                format!("correct or remove it; known are {}", known.join(", ")),
            );
        }
    }

    /// A value that must be there.
    pub(super) fn required(&self, key: &str, cure: &str, findings: &mut Findings) -> Option<&'t Spanned<DeValue<'i>>> {
        let value = self.get(key);
        if value.is_none() {
            findings.add(self.at, format!("{} has no `{key}`", self.name), cure);
        }
        value
    }

    /// A text that may be missing, and its place.
    pub(super) fn text(&self, key: &str, cure: &str, findings: &mut Findings) -> Option<(&'t str, usize)> {
        let value = self.get(key)?;
        let at = value.span().start;
        let text = value.get_ref().as_str();
        if text.is_none() {
            findings.add(at, format!("`{key}` of {} is {}, not text", self.name, a(value)), cure);
        }
        if let Some(long) = text.filter(|text| MAX_NAME_BYTES < text.len()) {
            findings.add(
                at,
                format!("`{key}` of {} has {} bytes", self.name, long.len()),
                format!("write at most {MAX_NAME_BYTES}"),
            );
        }
        Some((text?, at))
    }

    /// A text that must be there, and its place.
    pub(super) fn required_text(&self, key: &str, cure: &str, findings: &mut Findings) -> Option<(&'t str, usize)> {
        self.required(key, cure, findings)?;
        self.text(key, cure, findings)
    }

    /// A table that must be there.
    pub(super) fn required_table(&self, key: &str, cure: &str, findings: &mut Findings) -> Option<Entry<'t, 'i>> {
        let value = self.required(key, cure, findings)?;
        table(value, &format!("`{key}`"), cure, findings)
    }
}

/// A value that must be a table.
pub(super) fn table<'t, 'i>(
    value: &'t Spanned<DeValue<'i>>,
    name: &str,
    cure: &str,
    findings: &mut Findings,
) -> Option<Entry<'t, 'i>> {
    let at = value.span().start;
    let table = value.get_ref().as_table();
    if table.is_none() {
        findings.add(at, format!("{name} is {}, not a table", a(value)), cure);
    }
    Some(Entry {
        name: name.to_owned(),
        at,
        table: table?,
    })
}

/// The texts of a list that must not be empty, with their places.
pub(super) fn texts<'t>(value: &'t Spanned<DeValue>, name: &str, findings: &mut Findings) -> Vec<(&'t str, usize)> {
    let cure = "write a list of texts, such as [\"a\", \"b\"]";
    let Some(list) = value.get_ref().as_array() else {
        findings.add(value.span().start, format!("{name} is {}, not a list", a(value)), cure);
        return Vec::new();
    };
    if list.is_empty() {
        findings.add(value.span().start, format!("the list of {name} is empty"), cure);
    }
    let mut texts = Vec::with_capacity(list.len());
    for item in list {
        match item.get_ref().as_str() {
            Some(text) => texts.push((text, item.span().start)),
            None => findings.add(
                item.span().start,
                format!("the list of {name} has {}, not text", a(item)),
                cure,
            ),
        }
    }
    texts
}

/// An integer of the file that is 0 or more.
pub(super) fn integer(value: &DeValue) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Digits alone, as a number.
pub(super) fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// A price, written as text. `name` says of what, such as "`unit_price` of `Audio`".
pub(super) fn price(value: &Spanned<DeValue>, name: &str, findings: &mut Findings) -> Option<Decimal> {
    decimal(value, name, PRICE_DECIMALS, findings)
}

/// A quantity such as a tier bound: an integer or a decimal text, both are exact. With its place.
pub(super) fn quantity(value: &Spanned<DeValue>, name: &str, findings: &mut Findings) -> Option<(Decimal, usize)> {
    let at = value.span().start;
    match integer(value.get_ref()) {
        Some(whole) if whole < WHOLE_END => Some((whole.into(), at)),
        _ => Some((decimal(value, name, QUANTITY_DECIMALS, findings)?, at)),
    }
}

/// A multiplier: a whole number, or a decimal text.
pub(super) fn multiplier(value: &Spanned<DeValue>, name: &str, findings: &mut Findings) -> Option<Decimal> {
    match integer(value.get_ref()) {
        Some(whole) if whole < MULTIPLIER_END => Some(whole.into()),
        _ => decimal(value, name, MULTIPLIER_DECIMALS, findings).filter(|multiplier| {
            let fits = *multiplier < MULTIPLIER_END.into();
            if !fits {
                let what = format!("{name} is {multiplier}, which is not below {MULTIPLIER_END}");
                findings.add(value.span().start, what, "write a smaller one");
            }
            fits
        }),
    }
}

/// An exact decimal of at most so many decimals, written as text.
fn decimal(value: &Spanned<DeValue>, name: &str, decimals: u32, findings: &mut Findings) -> Option<Decimal> {
    let at = value.span().start;
    let Some(text) = value.get_ref().as_str() else {
        let written = findings.source(value.span());
        let number = value.get_ref().is_float() || value.get_ref().is_integer();
        let cure = if number {
            // Written out: an exponent is no decimal text.
            let plain = crate::values::number::canonical(written)
                .map_or_else(|_| "0.0325".into(), std::borrow::Cow::into_owned);
            format!("write it in quotes, \"{plain}\", so that it stays exact")
        } else {
            "write text such as \"0.0325\"".into()
        };
        findings.add(
            at,
            format!("{name} is {} ({written}), not a decimal text", a(value)),
            cure,
        );
        return None;
    };
    match exact(text, decimals) {
        Ok(decimal) => Some(decimal),
        Err(problem) => {
            let cure = format!("write digits and at most {decimals} decimals, such as \"0.0325\"");
            findings.add(at, format!("{name} is {text:?}, which {problem}"), cure);
            None
        }
    }
}

/// Digits, perhaps a point and digits: no sign, no exponent, nothing that would have to be rounded.
fn exact(text: &str, most: u32) -> Result<Decimal, String> {
    let (whole, decimals) = text
        .split_once('.')
        .map_or((text, None), |(whole, decimals)| (whole, Some(decimals)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.starts_with('-') {
        Err("is negative".into())
    } else if !all_digits(whole) || decimals.is_some_and(|decimals| !all_digits(decimals)) {
        Err("is not a plain decimal".into())
    } else if MAX_WHOLE_DIGITS < whole.len() {
        Err(format!("has more than {MAX_WHOLE_DIGITS} digits before the point"))
    } else if decimals.is_some_and(|decimals| (most as usize) < decimals.len()) {
        Err(format!("has more than {most} decimals"))
    } else {
        Decimal::from_str_exact(text)
            .map(|decimal| decimal.normalize())
            .map_err(|_| "is not a decimal".into())
    }
}

/// The type of a value, with its article.
pub(super) fn a(value: &Spanned<DeValue>) -> String {
    match value.get_ref() {
        DeValue::Integer(_) => "an integer".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::String(_) => "text".into(),
        DeValue::Datetime(_) => "a date or time".into(),
        other => format!("a {}", other.type_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_decimals_are_exact() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1_000",
            "NaN",
            "0x1",
            " 1",
            "1,5",
            "1.2345678",
            "1234567890123",
            "１",
        ] {
            assert!(exact(text, 6).is_err(), "{text}");
        }
        assert_eq!(exact("0.100", 6).unwrap().to_string(), "0.1");
        assert_eq!(
            exact("999999999999.999999", 6).unwrap().to_string(),
            "999999999999.999999"
        );
        assert_eq!(
            exact("999999999999.999999999999", 12).unwrap().to_string(),
            "999999999999.999999999999"
        );
        assert_eq!(exact("0.032500000000", 12).unwrap().to_string(), "0.0325");
        assert_eq!(exact("0.0000000000001", 12).unwrap_err(), "has more than 12 decimals");
        assert_eq!(exact("0", 6).unwrap(), Decimal::ZERO);
    }
}
