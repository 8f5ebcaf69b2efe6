//! What the service did in the month: tasks, outputs, sizes, lengths and times, in the proportions of real usage.
//! Only integers: the shapes are tables and coin tosses.

use super::calendar::{DAY_MS, DAYS, START_MS};
use super::customer::{ABROAD, Customer, Customers};
use super::random::Random;
use super::record::{DemoParameters, DemoRecord, ServiceLog};

/// Kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Transcode,
    Audio,
    Remuxing,
    Enhance,
    Snapshot,
    AiReview,
    AiRecognition,
    AiAnalysis,
}

const WORK: [(Work, u32); 8] = [
    (Work::Transcode, 60),
    (Work::Snapshot, 18),
    (Work::AiReview, 8),
    (Work::AiRecognition, 4),
    (Work::AiAnalysis, 3),
    (Work::Enhance, 2),
    (Work::Remuxing, 3),
    (Work::Audio, 2),
];

const TRANSCODE_TYPES: [(&str, u32); 3] = [("Standard", 75), ("TESHD-10", 20), ("TESHD-30", 5)];
const SNAPSHOT_TYPES: [(&str, u32); 3] = [("SampleSnapshot", 1), ("SnapshotByTime", 1), ("ImageSprite", 1)];
const CODECS: [(&str, u32); 2] = [("H264", 77), ("H265", 23)];

/// In a thousand standard transcodes, those in AV1. The card sells it for each size below.
const AV1_PER_MILLE: u64 = 20;

/// Landscape width and height in pixels: one for each step of the cards but 8K.
const SIZES: [((u32, u32), u32); 5] = [
    ((640, 480), 15),
    ((1280, 720), 35),
    ((1920, 1080), 40),
    ((2560, 1440), 4),
    ((3840, 2160), 6),
];

/// In a thousand videos, those held upright.
const PORTRAIT_PER_MILLE: u64 = 300;

const FRAME_RATES: [(u32, u32); 5] = [(24, 15), (25, 30), (30, 40), (50, 5), (60, 10)];

/// The most images of one snapshot task, and one.
const IMAGES_END: u64 = 30;

/// In a thousand outputs, those that fail.
const FAILED_PER_MILLE: u64 = 15;

/// In a thousand failed outputs, those that broke off on the way; the others have no duration.
const BROKEN_OFF_PER_MILLE: u64 = 300;

/// In a thousand records, those with service-log fields.
const LOGGED_PER_MILLE: u64 = 400;

/// Weights of the days of a week from Monday: less is done at weekends.
const WEEK: [u32; 7] = [100, 102, 104, 103, 98, 72, 66];

/// The month's first day is a Thursday.
const FIRST_WEEKDAY: usize = 3;

/// Weights of the hours of a day in UTC+8.
const HOURS: [u32; 24] = [
    40, 28, 20, 15, 13, 15, 22, 35, 55, 80, 95, 98, 85, 88, 96, 98, 95, 90, 88, 95, 105, 108, 90, 62,
];

/// The median length of an output, in milliseconds.
const MEDIAN_MS: u64 = 90_000;

/// Each coin lengthens by 27/20 or shortens by as much: 64 of them give a lognormal length with a sigma of 1.2.
const COIN: (u64, u64) = (27, 20);
const COINS_HALF: u32 = 32;

/// No output is longer than 12 hours.
const LONGEST_MS: u64 = 12 * 3_600_000;

/// `count` records by the time at which they were done. The first and the last are at the month's very edges.
pub(super) fn records(random: &mut Random, customers: &Customers, count: usize) -> Vec<DemoRecord> {
    let days: Vec<(usize, u32)> = (0..DAYS)
        .map(|day| (day, WEEK[(day + FIRST_WEEKDAY) % WEEK.len()]))
        .collect();
    let hours: Vec<(u32, u32)> = (0..).zip(HOURS).collect();
    let mut instants: Vec<i64> = (0..count).map(|_| instant(random, &days, &hours)).collect();
    instants.sort_unstable();
    if let [first, .., last] = instants.as_mut_slice() {
        *first = START_MS;
        *last = START_MS + DAY_MS * i64::try_from(DAYS).expect("31") - 1;
    }
    instants
        .into_iter()
        .map(|finished_at_ms| record(random, customers, finished_at_ms))
        .collect()
}

fn instant(random: &mut Random, days: &[(usize, u32)], hours: &[(u32, u32)]) -> i64 {
    let day = i64::try_from(random.pick(days)).expect("a day of the month");
    let hour = i64::from(random.pick(hours));
    let within = i64::try_from(random.below(3_600_000)).expect("milliseconds of an hour");
    START_MS + day * DAY_MS + hour * 3_600_000 + within
}

fn record(random: &mut Random, customers: &Customers, finished_at_ms: i64) -> DemoRecord {
    let customer = customers.draw(random);
    // The card abroad sells standard transcodes only.
    let work = if customer.card == ABROAD {
        Work::Transcode
    } else {
        random.pick(&WORK)
    };
    let failed = random.per_mille(FAILED_PER_MILLE);
    let whole_ms = if work == Work::Snapshot { 0 } else { length_ms(random) };
    let id = random.id();
    DemoRecord {
        log: random
            .per_mille(LOGGED_PER_MILLE)
            .then(|| service_log(random, &id, finished_at_ms, failed)),
        id,
        uin: customer.uin,
        appid: customer.appid(random),
        task_type: task_type(work),
        parameters: DemoParameters {
            region: customer.region(random),
            ..parameters(random, work, customer)
        },
        duration_ms: if failed { failed_ms(random, whole_ms) } else { whole_ms },
        failed,
        finished_at_ms,
    }
}

fn task_type(work: Work) -> &'static str {
    match work {
        Work::Transcode | Work::Audio | Work::Remuxing => "Transcode",
        Work::Enhance => "Enhance",
        Work::Snapshot => "Snapshot",
        Work::AiReview => "AIReview",
        Work::AiRecognition => "AIRecognition",
        Work::AiAnalysis => "AIAnalysis",
    }
}

/// The parameters without the region.
fn parameters(random: &mut Random, work: Work, customer: &Customer) -> DemoParameters {
    let of_kind = |kind| DemoParameters {
        kind: Some(kind),
        ..DemoParameters::default()
    };
    match work {
        Work::Transcode if customer.card == ABROAD => video(random, "Standard", random_codec),
        Work::Transcode => match random.pick(&TRANSCODE_TYPES) {
            "Standard" => video(random, "Standard", random_codec_or_av1),
            kind => video(random, kind, random_codec),
        },
        Work::Enhance => video(random, "SuperResolution", random_codec),
        Work::Audio => of_kind("Audio"),
        Work::Remuxing => of_kind("Remuxing"),
        Work::Snapshot => DemoParameters {
            images: Some(1 + u32::try_from(random.below(IMAGES_END - 1)).expect("a few images")),
            ..of_kind(random.pick(&SNAPSHOT_TYPES))
        },
        Work::AiReview | Work::AiRecognition | Work::AiAnalysis => DemoParameters::default(),
    }
}

fn video(random: &mut Random, kind: &'static str, codec: fn(&mut Random) -> &'static str) -> DemoParameters {
    let (long, short) = random.pick(&SIZES);
    let (width, height) = if random.per_mille(PORTRAIT_PER_MILLE) {
        (short, long)
    } else {
        (long, short)
    };
    DemoParameters {
        kind: Some(kind),
        codec: Some(codec(random)),
        width: Some(width),
        height: Some(height),
        fps: Some(random.pick(&FRAME_RATES)),
        ..DemoParameters::default()
    }
}

fn random_codec(random: &mut Random) -> &'static str {
    random.pick(&CODECS)
}

fn random_codec_or_av1(random: &mut Random) -> &'static str {
    if random.per_mille(AV1_PER_MILLE) {
        "AV1"
    } else {
        random_codec(random)
    }
}

/// A lognormal length: a product of many small factors.
fn length_ms(random: &mut Random) -> u64 {
    let heads = random.bits().count_ones();
    let (by, over) = COIN;
    let length = if heads < COINS_HALF {
        (heads..COINS_HALF).fold(MEDIAN_MS, |length, _| length * over / by)
    } else {
        (COINS_HALF..heads).fold(MEDIAN_MS, |length, _| length.min(LONGEST_MS) * by / over)
    };
    // Within the step of one coin, so that lengths are not a few values only.
    (length + random.below(length * (by - over) / over + 1)).min(LONGEST_MS)
}

fn failed_ms(random: &mut Random, whole_ms: u64) -> u64 {
    if random.per_mille(BROKEN_OFF_PER_MILLE) {
        random.below(whole_ms / 2 + 1)
    } else {
        0
    }
}

fn service_log(random: &mut Random, id: &str, finished_at_ms: i64, failed: bool) -> ServiceLog {
    let mut back = |at_most_ms: u64| i64::try_from(random.below(at_most_ms)).expect("some hours");
    let started_at_ms = finished_at_ms - back(600_000);
    let created_at_ms = started_at_ms - back(7_200_000);
    ServiceLog {
        task_id: format!("24000030-WorkflowTask-{}", &id[..12]),
        event_id: format!("ev-{}", &id[16..]),
        input_url: format!("https://media.example.com/in/{}/{}.mp4", &id[..2], &id[2..18]),
        created_at_ms,
        started_at_ms: (!failed).then_some(started_at_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_lognormal_around_a_minute_and_a_half() {
        let mut random = Random::new(1);
        let mut lengths: Vec<u64> = (0..20_000).map(|_| length_ms(&mut random)).collect();
        lengths.sort_unstable();
        let at = |percent: usize| lengths[lengths.len() * percent / 100] / 1000;
        // A lognormal with this median and sigma has 27, 90 and 299 seconds (and a tail) there.
        assert!((24..=33).contains(&at(16)), "{}", at(16));
        assert!((85..=120).contains(&at(50)), "{}", at(50));
        assert!((270..=400).contains(&at(84)), "{}", at(84));
        assert!(lengths.iter().all(|&length| 0 < length && length <= LONGEST_MS));
    }

    #[test]
    fn the_month_is_worked_from_its_first_instant_to_its_last() {
        let mut random = Random::new(1);
        let customers = Customers::new(&mut random);
        let records = records(&mut random, &customers, 100);
        assert!(records.is_sorted_by_key(|record| record.finished_at_ms));
        assert_eq!(records[0].finished_at_ms, START_MS);
        assert_eq!(records[99].finished_at_ms + 1, START_MS + 31 * DAY_MS);
    }
}
