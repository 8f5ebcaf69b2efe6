//! What comes in which night, in which file.

use super::calendar::{LAST_NIGHT, NIGHTS, as_of, date_of_day, day_of};
use super::month::{Content, DemoFile, Night};
use super::random::Random;
use super::record::{CSV_HEADER, DemoRecord, SOURCE};

/// The ways in which records come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// The service's notifications.
    Main,
    /// A second cluster's; some nights it has nothing.
    Second,
    /// An older system's CSV.
    Legacy,
    /// A data lake's Parquet; not on Sundays.
    Lake,
}

/// All of them with their shares, in the order of their files' names.
const CHANNELS: [(Channel, u32); 4] = [
    (Channel::Main, 45),
    (Channel::Second, 20),
    (Channel::Legacy, 15),
    (Channel::Lake, 20),
];

/// What the service's notifications of a night are called, after its date.
const MAIN_NAME: &str = "mps-1.ndjson";

/// The second cluster rests every third night.
const SECOND_RESTS_EVERY: usize = 3;

/// The month's first Sunday is day 3, counted from 0.
const FIRST_SUNDAY: usize = 3;

/// The night in which an upload breaks off: its `.part` stays, the whole file comes beside it.
const NIGHT_OF_PART: usize = 8;

/// The night in which a file comes that cannot be read.
const NIGHT_OF_CORRUPT: usize = 11;

/// The night in which the file of the night before comes again, byte for byte.
const NIGHT_OF_AGAIN: usize = 20;

/// A gzip header, then a block of the reserved type 3, which no decoder takes.
const CORRUPT_GZIP: [u8; 14] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0x07, 0xDE, 0xAD, 0x00];

/// One line of a file.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// A record, by its number.
    Record(usize),
    /// A void by its own id, and the number of the record that it takes back.
    Void(String, usize),
    /// What no door takes, without a line end.
    Bad(Vec<u8>),
}

/// A night and a way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) night: usize,
    pub(super) channel: Channel,
}

/// Everything that comes.
#[derive(Clone, Debug)]
pub(super) struct Deliveries {
    /// The month's records by their time, then others.
    pub(super) records: Vec<DemoRecord>,
    /// Where each of the month's records comes first.
    pub(super) first: Vec<Arrival>,
    /// What comes besides.
    extra: Vec<(Arrival, Line)>,
}

impl Deliveries {
    /// Each record in the night after the day on which it was done.
    pub(super) fn on_time(random: &mut Random, records: Vec<DemoRecord>) -> Self {
        let place = |record: &DemoRecord| some_place(random, day_of(record.finished_at_ms));
        Self {
            first: records.iter().map(place).collect(),
            records,
            extra: Vec::new(),
        }
    }

    /// Adds a line that is none of the month's records' first.
    pub(super) fn add(&mut self, place: Arrival, line: Line) {
        self.extra.push((place, line));
    }

    /// The nights with their files.
    pub(super) fn into_nights(self, random: &mut Random) -> Vec<Night> {
        let mut lines = vec![[const { Vec::new() }; CHANNELS.len()]; NIGHTS];
        for (number, place) in self.first.iter().enumerate() {
            lines[place.night][place.channel as usize].push(Line::Record(number));
        }
        for (place, line) in self.extra {
            let file = &mut lines[place.night][place.channel as usize];
            file.insert(random.index(file.len() + 1), line);
        }
        let mut nights: Vec<Night> = (0..)
            .zip(&lines)
            .map(|(night, lines)| night_of(night, lines, &self.records))
            .collect();
        add_odd_files(&mut nights);
        nights
    }
}

/// Some way that works in a night.
pub(super) fn some_place(random: &mut Random, night: usize) -> Arrival {
    let channel = match random.pick(&CHANNELS) {
        Channel::Second if night.is_multiple_of(SECOND_RESTS_EVERY) => Channel::Main,
        Channel::Lake if night % 7 == FIRST_SUNDAY => Channel::Main,
        channel => channel,
    };
    Arrival { night, channel }
}

fn night_of(night: usize, lines: &[Vec<Line>; CHANNELS.len()], records: &[DemoRecord]) -> Night {
    let files = CHANNELS.iter().zip(lines).filter(|(_, lines)| !lines.is_empty());
    Night {
        as_of: as_of(night),
        files: files
            .map(|((channel, _), lines)| file_of(night, *channel, lines, records))
            .collect(),
    }
}

fn file_of(night: usize, channel: Channel, lines: &[Line], records: &[DemoRecord]) -> DemoFile {
    let (name, content) = match channel {
        Channel::Main => (MAIN_NAME, Content::Bytes(ndjson(lines, records))),
        Channel::Second => ("mps-2.ndjson", Content::Bytes(ndjson(lines, records))),
        Channel::Legacy => ("mps-legacy.csv", Content::Bytes(csv(lines, records))),
        Channel::Lake => ("mps-lake.parquet", Content::Parquet(rows(lines, records))),
    };
    DemoFile {
        name: format!("{}-{name}", date_of_day(night)),
        content,
    }
}

fn ndjson(lines: &[Line], records: &[DemoRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut text = String::new();
    for line in lines {
        text.clear();
        match line {
            Line::Record(number) => records[*number].push_json(&mut text),
            Line::Void(id, number) => text = void(id, &records[*number]),
            Line::Bad(bad) => bytes.extend_from_slice(bad),
        }
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

fn void(id: &str, of: &DemoRecord) -> String {
    format!(
        r#"{{"source":"{SOURCE}","id":"{id}","kind":"void","voids":"{}"}}"#,
        of.id
    )
}

/// Voids do not come in a CSV.
fn csv(lines: &[Line], records: &[DemoRecord]) -> Vec<u8> {
    let mut bytes = CSV_HEADER.as_bytes().to_vec();
    let mut text = String::new();
    for line in lines {
        text.clear();
        match line {
            Line::Record(number) => records[*number].push_csv(&mut text),
            Line::Bad(bad) => bytes.extend(bad.iter().chain(b"\n")),
            Line::Void(..) => unreachable!("voids come as JSON"),
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// Neither voids nor bad lines come in Parquet.
fn rows(lines: &[Line], records: &[DemoRecord]) -> Vec<DemoRecord> {
    let row = |line: &Line| match line {
        Line::Record(number) => records[*number].clone(),
        Line::Void(..) | Line::Bad(_) => unreachable!("Parquet holds usage records only"),
    };
    lines.iter().map(row).collect()
}

/// The file that cannot be taken, the upload that broke off, and the file that comes again.
fn add_odd_files(nights: &mut [Night]) {
    const _: () = assert!(NIGHT_OF_PART < LAST_NIGHT && NIGHT_OF_CORRUPT < LAST_NIGHT && NIGHT_OF_AGAIN < LAST_NIGHT);
    nights[NIGHT_OF_CORRUPT].files.push(DemoFile {
        name: format!("{}-mps-3.ndjson.gz", date_of_day(NIGHT_OF_CORRUPT)),
        content: Content::Bytes(CORRUPT_GZIP.to_vec()),
    });
    if let Some(DemoFile {
        name,
        content: Content::Bytes(bytes),
    }) = main_file(&nights[NIGHT_OF_PART])
    {
        let name = format!("{name}.part");
        let content = Content::Bytes(bytes[..bytes.len() / 2].to_vec());
        nights[NIGHT_OF_PART].files.push(DemoFile { name, content });
    }
    if let Some(whole) = main_file(&nights[NIGHT_OF_AGAIN - 1]).cloned() {
        nights[NIGHT_OF_AGAIN].files.push(whole);
    }
}

/// The main file of a night, if it has one.
fn main_file(night: &Night) -> Option<&DemoFile> {
    night.files.iter().find(|file| file.name.ends_with(MAIN_NAME))
}
