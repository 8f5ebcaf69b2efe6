//! The text of `usage_daily.days`: what a metering added to an account's days of a month, for dashboards.
//!
//! It is JSON: `[[appid, region, sku, [[day, records, raw, billable], ...]], ...]`. `appid` is a text, `day` is the day of the
//! month, and `raw` and `billable` are base units. The views `dash_usage` and `dash_usage_by_sku` unfold it. It is one text and
//! not many rows, because the rows of a month at once would take several times as long to write.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use crate::support::error::Result;

/// Usage of a day, in base units (milliseconds or counts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySums {
    /// Of the month, from 1.
    pub day: u32,
    pub records: i64,
    pub raw: i64,
    pub billable: i64,
}

/// The days of an app, region and SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkuDays<'t> {
    pub appid: u64,
    pub region: Cow<'t, str>,
    pub sku: Cow<'t, str>,
    pub days: Vec<DaySums>,
}

/// Writes the text.
///
/// # Errors
/// None that is known: what is written is text and numbers.
pub fn to_text(skus: &[SkuDays]) -> Result<String> {
    Ok(serde_json::to_string(skus)?)
}

/// Reads the text.
///
/// # Errors
/// A text that is not laid out as the head of this file says.
pub fn from_text(text: &str) -> Result<Vec<SkuDays<'static>>> {
    Ok(serde_json::from_str(text)?)
}

impl Serialize for DaySums {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        (self.day, self.records, self.raw, self.billable).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DaySums {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let (day, records, raw, billable) = Deserialize::deserialize(deserializer)?;
        Ok(Self {
            day,
            records,
            raw,
            billable,
        })
    }
}

impl Serialize for SkuDays<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        (self.appid.to_string(), &self.region, &self.sku, &self.days).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SkuDays<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let (appid, region, sku, days): (Cow<str>, String, String, _) = Deserialize::deserialize(deserializer)?;
        let appid = appid
            .parse()
            .map_err(|_| D::Error::custom(format_args!("{appid:?} is no app")))?;
        Ok(Self {
            appid,
            region: region.into(),
            sku: sku.into(),
            days,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(day: u32, records: i64, raw: i64, billable: i64) -> DaySums {
        DaySums {
            day,
            records,
            raw,
            billable,
        }
    }

    #[test]
    fn the_text_is_plain_json() {
        let skus = [
            SkuDays {
                appid: 1,
                region: "r".into(),
                sku: "A".into(),
                days: vec![day(1, 1, 59, 60), day(31, -1, -60, -60)],
            },
            SkuDays {
                appid: u64::MAX,
                region: "".into(),
                sku: "a\"b".into(),
                days: vec![day(2, 0, 0, 5)],
            },
        ];
        let text = r#"[["1","r","A",[[1,1,59,60],[31,-1,-60,-60]]],["18446744073709551615","","a\"b",[[2,0,0,5]]]]"#;
        assert_eq!(to_text(&skus).unwrap(), text);
        assert_eq!(from_text(text).unwrap(), skus);
    }

    #[test]
    fn another_layout_is_refused() {
        for wrong in [
            "",
            "{}",
            "[1]",
            r#"[["x","r","A",[]]]"#,
            r#"[[1,"r","A",[]]]"#,
            r#"[["1","r","A",[[1,2,3]]]]"#,
            r#"[["1","r","A",[[1,2,3,4,5]]]]"#,
            r#"[["1","r","A",[[1,2,3,4.5]]]]"#,
            r#"[["1","r","A",[[1,2,3,9223372036854775808]]]]"#,
            r#"[["1","r","A",[322]]]"#,
        ] {
            assert!(from_text(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            names in proptest::collection::vec((any::<u64>(), ".{0,3}", "[a\"\\\\:,{}\\[\\] é]{1,3}"), 1..8),
            days in proptest::collection::vec((1..=31_u32, any::<i64>(), any::<i64>(), any::<i64>()), 0..8),
        ) {
            let days: Vec<DaySums> = days.into_iter().map(|(at, records, raw, billable)| day(at, records, raw, billable)).collect();
            let skus: Vec<SkuDays> = names
                .into_iter()
                .map(|(appid, region, sku)| SkuDays { appid, region: region.into(), sku: sku.into(), days: days.clone() })
                .collect();
            prop_assert_eq!(from_text(&to_text(&skus).unwrap()).unwrap(), skus);
        }
    }
}
