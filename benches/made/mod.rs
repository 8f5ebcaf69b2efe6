//! Seeded usage in memory: lines as a media service sends them, the same for the same seed on any machine.

#![allow(dead_code, reason = "each bench takes what it needs")]

use std::fmt::Write as _;

use tallybook::storage::usage::row::{Status, UsageRow};
use tallybook::storage::usage::sku_region::UnitKind;

/// What a task is: `task_type`, `type` and `codec` in its parameters, and whether it counts images.
const TASKS: [(&str, &str, &str, bool); 8] = [
    ("Transcode", "Standard", "H264", false),
    ("Transcode", "Standard", "H265", false),
    ("Transcode", "TESHD-10", "H264", false),
    ("Transcode", "Remuxing", "", false),
    ("Snapshot", "SampleSnapshot", "", true),
    ("Snapshot", "ImageSprite", "", true),
    ("AIReview", "", "", false),
    ("Enhance", "SuperResolution", "H264", false),
];
const SIZES: [(u32, u32); 5] = [(640, 480), (1280, 720), (1920, 1080), (1080, 1920), (3840, 2160)];
const RATES: [u32; 5] = [24, 25, 30, 50, 60];
const REGIONS: [&str; 4] = ["ap-guangzhou", "ap-singapore", "eu-frankfurt", "na-ashburn"];

/// The columns of [`rows`].
pub const HEADER: &str = "source,id,uin,appid,task_type,parameters.type,parameters.codec,parameters.width,parameters.height,parameters.fps,parameters.images,parameters.region,duration_ms,status,finished_at";

/// This many records as NDJSON, all of October 2026.
pub fn lines(count: usize, seed: u64) -> String {
    records(count, seed, |text, record| {
        let quoted = |value: &str| {
            if value.is_empty() {
                "null".to_owned()
            } else {
                format!("\"{value}\"")
            }
        };
        let images = if record.images.is_empty() {
            "null"
        } else {
            &record.images
        };
        let parameters = format!(
            r#"{{"type":{},"codec":{},"width":{},"height":{},"fps":{},"images":{images},"region":"{}"}}"#,
            quoted(record.kind),
            quoted(record.codec),
            record.width,
            record.height,
            record.rate,
            record.region
        );
        writeln!(
            text,
            r#"{{"source":"mps","id":"{}","uin":"{}","appid":{},"task_type":"{}","parameters":{parameters},"duration_ms":{},"status":"{}","finished_at":"{}"}}"#,
            record.id,
            record.uin,
            record.appid,
            record.task_type,
            record.duration_ms,
            record.status,
            record.finished_at
        )
    })
}

/// The same records as CSV below [`HEADER`].
pub fn rows(count: usize, seed: u64) -> String {
    records(count, seed, |text, record| {
        let Made {
            id,
            uin,
            appid,
            task_type,
            kind,
            codec,
            width,
            height,
            ..
        } = record;
        let Made {
            rate,
            images,
            region,
            duration_ms,
            status,
            finished_at,
            ..
        } = record;
        writeln!(
            text,
            "mps,{id},{uin},{appid},{task_type},{kind},{codec},{width},{height},{rate},{images},{region},{duration_ms},{status},{finished_at}"
        )
    })
}

/// A made record. What is absent is empty.
struct Made {
    id: String,
    uin: usize,
    appid: usize,
    task_type: &'static str,
    kind: &'static str,
    codec: &'static str,
    width: u32,
    height: u32,
    rate: u32,
    images: String,
    region: &'static str,
    duration_ms: usize,
    status: &'static str,
    finished_at: String,
}

fn records(count: usize, seed: u64, write: impl Fn(&mut String, &Made) -> std::fmt::Result) -> String {
    let mut chance = Chance(seed);
    let mut text = String::new();
    for _ in 0..count {
        write(&mut text, &record(&mut chance)).expect("a string takes all that is written to it");
    }
    text
}

fn record(chance: &mut Chance) -> Made {
    let (task_type, kind, codec, is_counted) = TASKS[chance.below(TASKS.len())];
    let (width, height) = SIZES[chance.below(SIZES.len())];
    let account = chance.below(20_000);
    Made {
        id: format!("{:016x}{:016x}", chance.bits(), chance.bits()),
        uin: 100_000_000_000 + account * 7_919,
        appid: 1_250_000_000 + account * 3 + chance.below(3),
        task_type,
        kind,
        codec,
        width,
        height,
        rate: RATES[chance.below(RATES.len())],
        images: if is_counted {
            (1 + chance.below(30)).to_string()
        } else {
            String::new()
        },
        region: REGIONS[chance.below(REGIONS.len())],
        duration_ms: if is_counted { 0 } else { 40 + chance.below(600_000) },
        status: if chance.below(64) == 0 { "FAIL" } else { "SUCCESS" },
        finished_at: format!(
            "2026-10-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            1 + chance.below(31),
            chance.below(24),
            chance.below(60),
            chance.below(60),
            chance.below(1_000)
        ),
    }
}

/// `SplitMix64` (Steele, Lea and Flood, 2014).
struct Chance(u64);

impl Chance {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, `end`.
    fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.bits()) * end as u128;
        usize::try_from(wide >> 64).expect("less than `end`")
    }
}

/// Shares of as many records of a day, of 20,000 accounts in no order.
pub fn shares(records: u64) -> Vec<UsageRow> {
    let share = |n: u64| UsageRow {
        uin: 100_000_000_000 + n * n % 20_011,
        appid: 1_250_000_000 + n % 3,
        status: Status::Metered,
        code: u32::try_from(n % 37).expect("a few"),
        unit: UnitKind::Ms,
        day: 20_000 + i32::from(n.is_multiple_of(3)),
        records: 1,
        raw: i64::try_from(n).expect("a few hundred thousand"),
        billable: 1_000,
    };
    (0..records).map(share).collect()
}
