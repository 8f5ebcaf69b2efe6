//! The text of `usage_daily.days`: what a metering added to an account's days of a month.
//!
//! `{"appid":{"region":{"sku":[[day,billable,records,raw],...]}}}`, in JSON. Each name stands once, with its days below it: a name with its
//! quotes is longer than a day's numbers. `day` is the day of the month; `records` is left out when it is 1 and `raw` when it is
//! `billable`, so most days have two numbers. Names are keys and not values, because SQLite gives a key without making text of all that
//! stands below it.
//!
//! In names every ASCII sign but `-`, `.`, `_`, `/` and the space is written as `\u00xx`: the signs of JSON itself then stand for
//! themselves everywhere, and MySQL's view, which cannot ask for keys, puts arrays in their place by plain replacing.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::account::store::parse_uin;
use crate::error::Result;

/// Usage of a day, app, region and SKU, in base units (milliseconds or counts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySums {
    /// Of the month, from 1.
    pub day: u32,
    pub records: i64,
    pub raw: i64,
    pub billable: i64,
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
            self.text.push_str(",[");
        } else {
            self.open(names);
        }
        self.number(sums.day);
        self.next_number(sums.billable);
        if sums.records != 1 || sums.raw != sums.billable {
            self.next_number(sums.records);
        }
        if sums.raw != sums.billable {
            self.next_number(sums.raw);
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
        self.text.push_str(":[[");
    }

    fn number(&mut self, number: impl itoa::Integer) {
        self.text.push_str(self.digits.format(number));
    }

    fn next_number(&mut self, number: i64) {
        self.text.push(',');
        self.number(number);
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
                f.write_str("[day, billable, records, raw]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<DaySums, A::Error> {
                let missing = |at| A::Error::invalid_length(at, &self);
                let day = seq.next_element()?.ok_or_else(|| missing(0))?;
                let billable = seq.next_element()?.ok_or_else(|| missing(1))?;
                Ok(DaySums {
                    day,
                    billable,
                    records: seq.next_element()?.unwrap_or(1),
                    raw: seq.next_element()?.unwrap_or(billable),
                })
            }
        }
        deserializer.deserialize_seq(Reading)
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
        let text = r#"{"1":{"r":{"A":[[1,60],[31,70,2]],"B":[[2,60,1,59]]},"s":{"B":[[2,-60,-1]]}},"9":{"s":{"B":[[3,5,0,0]]}}}"#;
        assert_eq!(written(&all), text);
        assert_eq!(read(text), all);
    }

    #[test]
    fn signs_of_json_stand_for_themselves_only() {
        let all = [((1, "a\"b}, {".to_owned(), "c:d\\e\tf,".to_owned()), sums(1, 1, 5, 5))];
        let text = written(&all);
        assert_eq!(
            text,
            r#"{"1":{"a\u0022b\u007d\u002c \u007b":{"c\u003ad\u005ce\u0009f\u002c":[[1,5]]}}}"#
        );
        assert_eq!(read(&text), all);
    }

    #[test]
    fn a_key_that_stands_there_twice_is_read_twice() {
        assert_eq!(read(r#"{"1":{"r":{"A":[[1,5]],"A":[[1,6]]}}}"#).len(), 2);
        assert!(for_each(r#"{"1":{"r":{"A":[[1]]}}}"#, |_, _| Ok(())).is_err());
        assert!(for_each(r#"{"1":{"r":{"A":[[1,2,3,4,5]]}}}"#, |_, _| Ok(())).is_err());
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
