//! The test card, by hand: `tests/data/rate-cards/small/` says the same in TOML.

use chrono::NaiveDate;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::calendar::{Cycle, Terms};
use super::record::Usage;

/// The name of the card.
pub const NAME: &str = "small";

/// The folder that holds the card, as `--rate-cards` takes it.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rate-cards");

/// The currency of the card.
pub const CURRENCY: &str = "CNY";

/// Days between the end of a period and its close.
pub const GRACE_DAYS: u64 = 3;

/// The terms of an account that appears by itself: the card's zone, calendar months, no discount.
pub const DEFAULT_TERMS: Terms = Terms {
    zone: Tz::Asia__Shanghai,
    cycle: Cycle::Monthly(1),
    discount: 0,
};

/// The default region of the card.
const DEFAULT_REGION: &str = "ap-guangzhou";

/// The regions of the group `mainland`; all others are `other`.
const MAINLAND: [&str; 2] = ["ap-guangzhou", "ap-beijing"];

/// A version of the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// In force from 2024-01-01.
    First,
    /// In force from 2024-11-12.
    Second,
}

/// What a record is measured as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The SKU.
    pub sku: &'static str,
    /// The region.
    pub region: String,
    /// Before the per-record policy.
    pub raw: Raw,
    /// Base units after it.
    pub billable: u64,
}

/// Raw base units of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raw {
    /// A duration.
    Ms(u64),
    /// A number of records or images.
    Count(u64),
}

/// The name of a tier counter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Named by the card; over all regions.
    Wide(&'static str),
    /// A SKU, and whether it is for the group `mainland`.
    Narrow(&'static str, bool),
}

/// Tiers as (from, price) in millionths, from 0 on; one price is one tier.
type Tiers = &'static [(i128, i128)];

/// A priced SKU.
#[derive(Debug, Clone, Copy)]
pub struct SoldSku {
    /// The SKU.
    pub sku: &'static str,
    /// The meter.
    pub meter: &'static str,
    /// The name of the pricing unit.
    pub unit: &'static str,
    /// Its base units.
    pub unit_size: u64,
    counter: Option<&'static str>,
    mainland: Tiers,
    other: Tiers,
}

/// Meter, unit and base units of a unit.
type Measure = (&'static str, &'static str, u64);

const REMUX: Measure = ("remux", "second", 1_000);
const TRANSCODE: Measure = ("transcode", "minute", 60_000);
const AUDIO: Measure = ("audio", "hour", 3_600_000);
const REVIEW: Measure = ("review", "record", 1);
const SNAPSHOT: Measure = ("snapshot", "1000 images", 1_000);

const fn everywhere(sku: &'static str, of: Measure, counter: Option<&'static str>, tiers: Tiers) -> SoldSku {
    by_group(sku, of, counter, tiers, tiers)
}

const fn by_group(
    sku: &'static str,
    (meter, unit, unit_size): Measure,
    counter: Option<&'static str>,
    mainland: Tiers,
    other: Tiers,
) -> SoldSku {
    SoldSku {
        sku,
        meter,
        unit,
        unit_size,
        counter,
        mainland,
        other,
    }
}

const FAST: Option<&str> = Some("fast");

static SOLD_FIRST: [SoldSku; 9] = [
    everywhere("Remux", REMUX, None, &[(0, 117)]),
    everywhere("Standard.SD", TRANSCODE, None, &[(0, 16_000)]),
    by_group("Standard.HD", TRANSCODE, None, &[(0, 32_500)], &[(0, 41_100)]),
    everywhere(
        "Fast.SD",
        TRANSCODE,
        FAST,
        &[(0, 66_000), (2_000_000, 33_300), (5_500_000, 33_333)],
    ),
    by_group(
        "Fast.HD",
        TRANSCODE,
        FAST,
        &[(0, 100_000), (3_000_001, 90_000)],
        &[(0, 120_000), (3_000_001, 100_001)],
    ),
    everywhere("Audio", AUDIO, None, &[(0, 123_457)]),
    by_group(
        "Review",
        REVIEW,
        None,
        &[(0, 500_000), (3_000_000, 250_000), (7_000_000, 0)],
        &[(0, 600_000), (3_000_000, 350_000), (7_000_000, 0)],
    ),
    everywhere("Snapshot.Sprite", SNAPSHOT, None, &[(0, 100_000)]),
    everywhere("Snapshot.Sample", SNAPSHOT, None, &[(0, 500_000), (10_000, 300_000)]),
];

static SOLD_SECOND: [SoldSku; 11] = [
    everywhere("Remux", REMUX, None, &[(0, 117)]),
    everywhere("Standard.SD", TRANSCODE, None, &[(0, 17_000), (4_000_000, 16_500)]),
    by_group("Standard.HD", TRANSCODE, None, &[(0, 32_700)], &[(0, 41_200)]),
    everywhere("Standard.FHD", TRANSCODE, None, &[(0, 63_300)]),
    everywhere("Fast.SD", TRANSCODE, FAST, &[(0, 70_000), (3_000_000, 35_000)]),
    by_group(
        "Fast.HD",
        TRANSCODE,
        FAST,
        &[(0, 110_000), (10_000_000, 100_000)],
        &[(0, 130_000), (10_000_000, 120_000)],
    ),
    everywhere("Fast.FHD", TRANSCODE, FAST, &[(0, 200_000), (1_000_000, 190_000)]),
    everywhere("Audio", AUDIO, None, &[(0, 200_000)]),
    by_group(
        "Review",
        REVIEW,
        None,
        &[(0, 400_000), (5_000_000, 1)],
        &[(0, 450_000), (5_000_000, 1)],
    ),
    everywhere("Snapshot.Sprite", SNAPSHOT, None, &[(0, 120_000)]),
    everywhere("Snapshot.Sample", SNAPSHOT, None, &[(0, 550_000), (20_000, 330_000)]),
];

impl SoldSku {
    /// The tiers in a region.
    pub fn tiers(&self, region: &str) -> Tiers {
        if is_mainland(region) { self.mainland } else { self.other }
    }

    /// What its tiers count on in a region.
    pub fn counter_in(&self, region: &str) -> Counter {
        let narrow = Counter::Narrow(self.sku, is_mainland(region));
        self.counter.map_or(narrow, Counter::Wide)
    }
}

impl Version {
    /// The version in force on a day.
    pub fn on(day: NaiveDate) -> Self {
        if day < Self::Second.from() {
            Self::First
        } else {
            Self::Second
        }
    }

    /// Its first day.
    pub fn from(self) -> NaiveDate {
        let date = match self {
            Self::First => NaiveDate::from_ymd_opt(2024, 1, 1),
            Self::Second => NaiveDate::from_ymd_opt(2024, 11, 12),
        };
        date.expect("a date")
    }

    /// What it sells.
    pub fn all_sold(self) -> &'static [SoldSku] {
        match self {
            Self::First => &SOLD_FIRST,
            Self::Second => &SOLD_SECOND,
        }
    }

    /// The price of a SKU that it measures.
    pub fn sold(self, sku: &str) -> &'static SoldSku {
        let found = self.all_sold().iter().find(|sold| sold.sku == sku);
        found.expect("the card prices all that it measures")
    }

    /// What a record is measured as, or the reason why not.
    pub fn measure(self, usage: &Usage) -> Result<Measured, &'static str> {
        let (sku, raw) = match usage.task_type.as_str() {
            "Transcode" => (self.transcode(usage)?, Raw::Ms(usage.duration_ms)),
            "Audio" => ("Audio".to_owned(), Raw::Ms(usage.duration_ms)),
            "Review" => ("Review".to_owned(), Raw::Count(1)),
            "Snapshot" => (snapshot(usage)?, Raw::Count(images(usage)?)),
            _ => return Err("no_meter"),
        };
        let sold = self.sold(&sku);
        let region = match usage.parameters.get("region") {
            None => DEFAULT_REGION.to_owned(),
            Some(_) => usage.text("region").ok_or("unknown_region")?.to_owned(),
        };
        let billable = self.billable(sold.meter, raw);
        Ok(Measured {
            sku: sold.sku,
            region,
            raw,
            billable,
        })
    }

    fn transcode(self, usage: &Usage) -> Result<String, &'static str> {
        if !usage.parameters.contains_key("type") {
            return Err("missing_parameter");
        }
        match usage.text("type") {
            Some("Remux") => return Ok("Remux".to_owned()),
            Some("Standard" | "Fast") => {}
            _ => return Err("no_match"),
        }
        let [width, height] = ["width", "height"].map(|name| usage.number(name).ok_or("missing_parameter"));
        let side = width?.min(height?);
        let resolution = match self {
            _ if side <= Decimal::from(480) => "SD",
            _ if side <= Decimal::from(720) => "HD",
            Self::Second if side <= Decimal::from(1080) => "FHD",
            _ => return Err("no_step"),
        };
        Ok(format!("{}.{resolution}", usage.text("type").unwrap_or_default()))
    }

    /// The per-record policy: first the minimum, then rounded up.
    fn billable(self, meter: &str, raw: Raw) -> u64 {
        let (minimum, round_up_to) = match (self, meter) {
            (Self::First, "transcode") => (10_000, 1_000),
            (Self::First, "audio") | (Self::Second, "transcode") => (0, 60_000),
            (Self::First, "snapshot") => (2, 1),
            (Self::Second, "snapshot") => (0, 5),
            _ => (0, 1),
        };
        let (Raw::Ms(raw) | Raw::Count(raw)) = raw;
        raw.max(minimum).div_ceil(round_up_to) * round_up_to
    }
}

fn snapshot(usage: &Usage) -> Result<String, &'static str> {
    match usage.text("type") {
        Some(kind @ ("Sprite" | "Sample")) => Ok(format!("Snapshot.{kind}")),
        Some(_) => Err("no_match"),
        None => Err("missing_parameter"),
    }
}

fn images(usage: &Usage) -> Result<u64, &'static str> {
    let images = usage.number("images").ok_or("missing_parameter")?;
    let whole = Some(images)
        .filter(Decimal::is_integer)
        .and_then(|images| images.to_u64());
    whole.ok_or("bad_quantity")
}

fn is_mainland(region: &str) -> bool {
    MAINLAND.contains(&region)
}
