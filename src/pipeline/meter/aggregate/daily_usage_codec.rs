//! The text of `usage_daily.days`: what a metering added to an account's days of a month.
//!
//! `{"appid":{"region":{"sku":[sums of a day,...]}}}`, in JSON. Each name stands once, with its days below it: a name with its quotes is
//! longer than a day's numbers. Names are keys and not values, because SQLite gives a key without making text of all that stands below it.
//!
//! The sums of a day are `[day,billable,records,raw]`, with the day of the month. Where `raw` is `billable` and all fit, they are one
//! number, of which databases read the bits several times as fast as an array: from the lowest on 1 bit that is 0, 5 of the day and 57
//! of `billable` for one record; 1 bit that is 1, 5 of the day, 18 of `records` and 39 of `billable` for more.
//!
//! `usage_daily.sku_days` looks the same, with the apps and regions added up: as days of the app 0 and of a region without a name.
//!
//! In names every ASCII sign but `-`, `.`, `_`, `/` and the space is written as `\u00xx`: the signs of JSON itself then stand for
//! themselves everywhere, and MySQL's view, which cannot ask for keys, puts arrays in their place by plain replacing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::catalog::account::store::parse_uin;
use crate::support::error::Result;

/// Records that a packed number has no room for.
const RECORDS_END: i64 = 1 << 18;

/// Usage of a day, app, region and SKU, in base units (milliseconds or counts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySums {
    /// Of the month, from 1.
    pub day: u32,
    pub records: i64,
    pub raw: i64,
    pub billable: i64,
}

impl DaySums {
    /// Two of one day; none when a sum does not fit.
    pub fn checked_add(self, more: Self) -> Option<Self> {
        Some(Self {
            day: self.day,
            records: self.records.checked_add(more.records)?,
            raw: self.raw.checked_add(more.raw)?,
            billable: self.billable.checked_add(more.billable)?,
        })
    }

    /// All in one number, if they fit; see the head of this file.
    fn packed(self) -> Option<i64> {
        if self.raw != self.billable || self.billable < 0 {
            return None;
        }
        let day = i64::from(self.day) << 1;
        match self.records {
            1 if self.billable < 1 << 57 => Some(self.billable << 6 | day),
            2..RECORDS_END if self.billable < 1 << 39 => Some(self.billable << 24 | self.records << 6 | day | 1),
            _ => None,
        }
    }

    /// None for a number that is not of [`Self::packed`].
    fn unpacked(packed: u64) -> Option<Self> {
        let (day, packed) = (u32::try_from(packed >> 1 & 31).ok()?, i64::try_from(packed).ok()?);
        let (records, billable) = match packed & 1 {
            0 => (1, packed >> 6),
            _ => (packed >> 6 & (RECORDS_END - 1), packed >> 24),
        };
        Some(Self {
            day,
            records,
            raw: billable,
            billable,
        })
    }
}

/// App, region and SKU.
type Names<'n> = (u64, &'n str, &'n str);

/// Writes the text, of sums in the order of their names.
#[derive(Default)]
pub struct DaysText<'n> {
    text: String,
    /// Whose days are being listed.
    open: Option<Names<'n>>,
    digits: itoa::Buffer,
}

impl<'n> DaysText<'n> {
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            ..Self::default()
        }
    }

    pub fn push(&mut self, names: Names<'n>, sums: DaySums) {
        if self.open == Some(names) {
            self.text.push(',');
        } else {
            self.open(names);
        }
        if let Some(packed) = sums.packed() {
            self.number(packed);
            return;
        }
        self.text.push('[');
        self.number(sums.day);
        for number in [sums.billable, sums.records, sums.raw] {
            self.text.push(',');
            self.number(number);
        }
        self.text.push(']');
    }

    /// The whole text. There is at least one day in it.
    pub fn finish(mut self) -> String {
        self.text.push_str("]}}}");
        self.text
    }

    /// Ends the list of the names before, and begins the one of these.
    fn open(&mut self, names: Names<'n>) {
        let (appid, region, sku) = names;
        let depth = match self.open.replace(names) {
            None => 0,
            Some((app, _, _)) if app != appid => 1,
            Some((_, other, _)) if other != region => 2,
            Some(_) => 3,
        };
        self.text.push_str(["{", "]}},", "]},", "],"][depth]);
        if depth < 2 {
            self.text.push('"');
            self.number(appid);
            self.text.push_str("\":{");
        }
        if depth < 3 {
            push_name(&mut self.text, region);
            self.text.push_str(":{");
        }
        push_name(&mut self.text, sku);
        self.text.push_str(":[");
    }

    fn number(&mut self, number: impl itoa::Integer) {
        self.text.push_str(self.digits.format(number));
    }
}

fn push_name(text: &mut String, name: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let stands_for_itself = |sign: char| !sign.is_ascii() || sign.is_ascii_alphanumeric() || "-._/ ".contains(sign);
    text.push('"');
    if name.chars().all(stands_for_itself) {
        text.push_str(name);
        text.push('"');
        return;
    }
    for sign in name.chars() {
        if stands_for_itself(sign) {
            text.push(sign);
        } else {
            let code = sign as usize;
            text.push_str("\\u00");
            text.push(char::from(HEX[code / 16]));
            text.push(char::from(HEX[code % 16]));
        }
    }
    text.push('"');
}

/// Hands on all that a text says: the names and their sums of each day.
pub fn for_each(days: &str, mut take: impl FnMut(Names, DaySums) -> Result<()>) -> Result<()> {
    let apps: Pairs<Pairs<Pairs<Vec<DaySums>>>> = serde_json::from_str(days)?;
    for (appid, regions) in &apps.0 {
        let appid = parse_uin(appid)?;
        for (region, skus) in &regions.0 {
            for (sku, days) in &skus.0 {
                for sums in days {
                    take((appid, region, sku), *sums)?;
                }
            }
        }
    }
    Ok(())
}

/// A JSON object as it is written: a key that stands there twice is not lost.
struct Pairs<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Reading<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reading<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Reading(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for DaySums {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = DaySums;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("[day, billable, records, raw], or all in one number")
            }

            fn visit_u64<E: serde::de::Error>(self, packed: u64) -> std::result::Result<DaySums, E> {
                DaySums::unpacked(packed).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(packed), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<DaySums, A::Error> {
                let missing = |at| A::Error::invalid_length(at, &self);
                Ok(DaySums {
                    day: seq.next_element()?.ok_or_else(|| missing(0))?,
                    billable: seq.next_element()?.ok_or_else(|| missing(1))?,
                    records: seq.next_element()?.ok_or_else(|| missing(2))?,
                    raw: seq.next_element()?.ok_or_else(|| missing(3))?,
                })
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(all: &[((u64, String, String), DaySums)]) -> String {
        let mut text = DaysText::default();
        for ((appid, region, sku), sums) in all {
            text.push((*appid, region, sku), *sums);
        }
        text.finish()
    }

    fn read(text: &str) -> Vec<((u64, String, String), DaySums)> {
        let mut all = Vec::new();
        for_each(text, |(appid, region, sku), sums| {
            all.push(((appid, region.to_owned(), sku.to_owned()), sums));
            Ok(())
        })
        .unwrap();
        all
    }

    fn sums(day: u32, records: i64, raw: i64, billable: i64) -> DaySums {
        DaySums {
            day,
            records,
            raw,
            billable,
        }
    }

    #[test]
    fn a_name_stands_once_and_what_goes_without_saying_is_left_out() {
        let of = |app, region: &str, sku: &str| (app, region.to_owned(), sku.to_owned());
        let all = [
            (of(1, "r", "A"), sums(1, 1, 60, 60)),
            (of(1, "r", "A"), sums(31, 2, 70, 70)),
            (of(1, "r", "B"), sums(2, 1, 59, 60)),
            (of(1, "s", "B"), sums(2, -1, -60, -60)),
            (of(9, "s", "B"), sums(3, 0, 0, 5)),
        ];
        let (one, two) = (60 << 6 | 1 << 1, 70 << 24 | 2 << 6 | 31 << 1 | 1);
        let text = format!(
            r#"{{"1":{{"r":{{"A":[{one},{two}],"B":[[2,60,1,59]]}},"s":{{"B":[[2,-60,-1,-60]]}}}},"9":{{"s":{{"B":[[3,5,0,0]]}}}}}}"#
        );
        assert_eq!(written(&all), text);
        assert_eq!(read(&text), all);
    }

    #[test]
    fn sums_are_one_number_as_far_as_they_fit() {
        for (one, is_packed) in [
            (sums(31, 1, (1 << 57) - 1, (1 << 57) - 1), true),
            (sums(31, 1, 1 << 57, 1 << 57), false),
            (sums(31, (1 << 18) - 1, (1 << 39) - 1, (1 << 39) - 1), true),
            (sums(31, 2, 1 << 39, 1 << 39), false),
            (sums(31, 1 << 18, 7, 7), false),
            (sums(1, 0, 0, 0), false),
            (sums(1, 1, 0, 0), true),
            (sums(1, 1, -1, -1), false),
            (sums(1, 1, 5, 6), false),
        ] {
            let all = [((1, "r".to_owned(), "A".to_owned()), one)];
            let text = written(&all);
            assert_eq!(
                (text.contains("[["), read(&text)),
                (!is_packed, all.to_vec()),
                "{one:?}"
            );
        }
    }

    #[test]
    fn signs_of_json_stand_for_themselves_only() {
        let all = [((1, "a\"b}, {".to_owned(), "c:d\\e\tf,".to_owned()), sums(1, 1, 5, 5))];
        let text = written(&all);
        assert_eq!(
            text,
            r#"{"1":{"a\u0022b\u007d\u002c \u007b":{"c\u003ad\u005ce\u0009f\u002c":[322]}}}"#
        );
        assert_eq!(read(&text), all);
    }

    #[test]
    fn a_key_that_stands_there_twice_is_read_twice() {
        assert_eq!(read(r#"{"1":{"r":{"A":[322],"A":[[1,6,1,6]]}}}"#).len(), 2);
        for wrong in [
            "[1,2,3]",
            "[1,2,3,4,5]",
            "-322",
            "9223372036854775808",
            "3.5",
            "\"322\"",
            "null",
        ] {
            let text = format!(r#"{{"1":{{"r":{{"A":[{wrong}]}}}}}}"#);
            assert!(for_each(&text, |_, _| Ok(())).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            names in proptest::collection::btree_set((0..3_u64, "[a\"\\\\:,{} é]{1,3}", "[A-C}:]{1,2}"), 1..8),
            days in proptest::collection::vec((1..=31_u32, -1..3_i64, any::<i64>(), any::<i64>(), any::<bool>()), 8),
        ) {
            let sums_of = |(day, records, raw, billable, as_raw): (u32, i64, i64, i64, bool)| {
                sums(day, records, raw, if as_raw { raw } else { billable })
            };
            let all: Vec<_> = names
                .into_iter()
                .enumerate()
                .flat_map(|(at, names)| days[at..].iter().map(move |day| (names.clone(), sums_of(*day))))
                .collect();
            prop_assert_eq!(read(&written(&all)), all);
        }
    }
}
