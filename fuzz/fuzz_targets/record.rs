//! The door of usage records: each line of the input as NDJSON, and the whole input as a CSV file.
//!
//! What is held, beyond that nothing panics: the same bytes have the same outcome, whatever was read before; a line that is read by
//! the layout of an earlier one is the record that a full reading finds; a refusal
//! has a code of the list and one short printable sentence; an accepted record has what its kind needs, and is the same
//! record again when it is written as JSON, as an event and as CSV; and a second JSON reader sees the same in the line.

#![no_main]

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SecondsFormat};
use csv::{ByteRecord, ReaderBuilder};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tallybook::pipeline::ingest::formats::csv::{CsvHeader, record_from_row};
use tallybook::pipeline::ingest::formats::ndjson::fast::Layouts;
use tallybook::pipeline::ingest::record::field_values::{MAX_ID_BYTES, MAX_TASK_TYPE_BYTES};
use tallybook::pipeline::ingest::record::fields::Field;
use tallybook::pipeline::ingest::record::fingerprint::{content_fingerprint, identity_hash};
use tallybook::pipeline::ingest::record::refusal::{CODES, Refusal};
use tallybook::pipeline::ingest::record::timestamp::check_time;
use tallybook::pipeline::ingest::record::{Kind, Record, Scratch, canonical_parameters, parse_line};
use tallybook::support::json::{Fault, check};
use tallybook::values::parameters::{MAX_CANONICAL_BYTES, MAX_MEASURED, Parameters, canonical};

/// The source of records that name none.
const DEFAULT_SOURCE: &str = "default";

/// More than any sentence with each of its values cut.
const SENTENCE_BYTES_MAX: usize = 2_000;

/// A record past the door, with its canonical parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Accepted<'a> {
    record: Record<'a>,
    parameters: String,
}

impl<'a> Accepted<'a> {
    fn of(record: Record<'a>) -> Result<Self, Refusal> {
        let parameters = canonical_parameters(&record)?;
        // From here on the canonical text stands for them, whatever they were written like.
        let record = Record {
            parameters: None,
            ..record
        };
        Ok(Self { record, parameters })
    }

    /// The same from a sender who is named.
    fn with_source(&self) -> Self {
        let source = self.record.source.or(Some(DEFAULT_SOURCE));
        Self {
            record: Record { source, ..self.record },
            ..self.clone()
        }
    }

    /// The same in a format that cannot tell an empty text from none.
    fn without_empty_texts(&self) -> Self {
        let some = |text: Option<&'a str>| text.filter(|text| !text.is_empty());
        Self {
            record: Record {
                task_id: some(self.record.task_id),
                event_id: some(self.record.event_id),
                input_url: some(self.record.input_url),
                ..self.record
            },
            ..self.clone()
        }
    }

    /// What two readings of one record have in common.
    fn hashes(&self) -> (u64, u64) {
        let source = self.record.source.unwrap_or(DEFAULT_SOURCE);
        (
            identity_hash(source, self.record.id),
            content_fingerprint(&self.record, &self.parameters),
        )
    }
}

fuzz_target!(|data: &[u8]| {
    let mut used = Scratch::default();
    hold_layouts(data);
    for line in data.split(|&byte| byte == b'\n') {
        hold_line(line, &mut used);
    }
    // What begins like JSON has no column of a record, and making a reader of CSV takes as long as all the rest.
    if !data.starts_with(b"{") {
        hold_file(data, &mut used);
    }
});

/// Lines by the layouts of those before them.
fn hold_layouts(data: &[u8]) {
    let (mut layouts, mut scratch) = (Layouts::default(), Scratch::default());
    layouts.begin_chunk();
    let text = str::from_utf8(data).unwrap_or_default();
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.split('\n').next().unwrap_or_default();
        let full = parse_line(line.as_bytes(), &mut scratch);
        let mut record = Record::default();
        if let Some(length) = layouts.read(rest, &mut record)
            && is_object_on_one_line(record.parameters.unwrap_or("{}"))
        {
            assert_eq!(line.len(), length);
            assert_eq!(full, Ok(record));
        } else if full.is_ok() {
            layouts.learn(line.as_bytes());
        }
        rest = rest.get(line.len() + 1..).unwrap_or_default();
    }
}

/// What a caller of layouts must know of the parameters.
fn is_object_on_one_line(parameters: &str) -> bool {
    check(parameters).is_ok() && !parameters.contains('\n')
}

fn read_line<'a>(line: &'a [u8], scratch: &'a mut Scratch) -> Result<Accepted<'a>, Refusal> {
    parse_line(line, scratch).and_then(Accepted::of)
}

fn hold_line(line: &[u8], used: &mut Scratch) {
    let mut fresh = Scratch::default();
    let outcome = read_line(line, &mut fresh);
    assert_eq!(outcome, read_line(line, used), "what was read before must not matter");
    let text = str::from_utf8(line);
    if let Ok(text) = text {
        hold_syntax(text);
    }
    match (&outcome, text) {
        (Err(refusal), _) => hold_refusal(refusal),
        (Ok(accepted), Ok(text)) => {
            hold_accepted(accepted);
            hold_second_reading(accepted, text);
        }
        (Ok(_), Err(_)) => panic!("accepted without being UTF-8"),
    }
}

fn hold_file(bytes: &[u8], used: &mut Scratch) {
    let reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes);
    let mut rows = reader.into_byte_records().map_while(Result::ok);
    let Some(first) = rows.next() else { return };
    let header = match CsvHeader::parse(&first, b',') {
        Ok(header) => header,
        Err(error) => return hold_sentence(&error.to_string()),
    };
    assert_eq!(header.len(), first.len());
    for row in rows {
        let mut fresh = Scratch::default();
        let outcome = record_from_row(&header, &row, &mut fresh).and_then(Accepted::of);
        let again = record_from_row(&header, &row, used).and_then(Accepted::of);
        assert_eq!(outcome, again, "what was read before must not matter");
        match &outcome {
            Err(refusal) => hold_refusal(refusal),
            Ok(accepted) => hold_accepted(accepted),
        }
    }
}

fn hold_refusal(refusal: &Refusal) {
    assert!(CODES.iter().any(|(code, _)| *code == refusal.code), "{}", refusal.code);
    hold_sentence(&refusal.sentence);
}

/// A sentence is there, cannot forge a line of a log, and cannot fill one.
fn hold_sentence(sentence: &str) {
    assert!(!sentence.is_empty());
    assert!(!sentence.contains(char::is_control), "{sentence:?}");
    assert!(sentence.len() <= SENTENCE_BYTES_MAX, "{} bytes", sentence.len());
}

/// What is JSON is JSON to everyone. Only the two limits that the scanner documents may differ.
fn hold_syntax(text: &str) {
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    match check(text) {
        Ok(_) => assert!(is_json, "accepted, but not JSON"),
        Err(error) => {
            assert!(error.at <= text.len());
            let limit = matches!(error.fault, Fault::TooDeep | Fault::BadEscape);
            assert!(limit || !is_json, "JSON, but: {error}");
        }
    }
}

fn hold_accepted(accepted: &Accepted) {
    hold_fields(accepted);
    hold_parameters(&accepted.parameters);
    let mut scratch = Scratch::default();
    hold_same(accepted, read_line(as_line(accepted).as_bytes(), &mut scratch));
    hold_same(
        &accepted.with_source(),
        read_line(as_event(accepted).as_bytes(), &mut scratch),
    );
    let (header, row) = as_row(accepted);
    let header = CsvHeader::parse(&header, b',').unwrap();
    hold_same(
        &accepted.without_empty_texts(),
        record_from_row(&header, &row, &mut scratch).and_then(Accepted::of),
    );
}

fn hold_same(accepted: &Accepted, again: Result<Accepted, Refusal>) {
    let again = again.unwrap_or_else(|refusal| panic!("{accepted:?} was written, and refused: {refusal}"));
    assert_eq!(*accepted, again);
    assert_eq!(accepted.hashes(), again.hashes());
}

fn hold_fields(accepted: &Accepted) {
    let record = &accepted.record;
    let names = |text: Option<&str>, bytes_max: usize| {
        text.is_none_or(|text| (1..=bytes_max).contains(&text.len()) && !text.contains(char::is_control))
    };
    assert!(names(Some(record.id), MAX_ID_BYTES));
    assert!(names(record.source, MAX_ID_BYTES));
    assert!(names(record.voids, MAX_ID_BYTES));
    assert!(names(record.task_type, MAX_TASK_TYPE_BYTES));
    let measured = record.duration_ms.map(u64::try_from);
    assert!(measured.is_none_or(|duration| duration.is_ok_and(|duration| duration <= MAX_MEASURED)));
    let usage = [
        record.uin.is_some(),
        record.appid.is_some(),
        record.task_type.is_some(),
        record.duration_ms.is_some(),
        record.finished_at.is_some(),
    ];
    match record.kind {
        Kind::Usage => assert!(usage == [true; 5] && record.voids.is_none()),
        Kind::Void => {
            assert!(usage == [false; 5] && !record.failed);
            assert!(record.voids.is_some_and(|voids| voids != record.id));
        }
    }
    if let Some(at) = record.finished_at {
        assert!(check_time(at, at, |_| false).is_ok());
        hold_refusal(&check_time(at, at, |_| true).unwrap_err());
        if let Err(refusal) = check_time(at, i64::MIN, |_| false) {
            hold_refusal(&refusal);
        }
    }
}

fn hold_parameters(text: &str) {
    assert!(text.len() <= MAX_CANONICAL_BYTES);
    assert_eq!(canonical(text.as_bytes()).as_deref(), Ok(text));
    assert_eq!(Parameters::from_canonical(text).unwrap().canonical(), text);
}

/// The fields of a record that are there, and the JSON of each.
fn members(accepted: &Accepted) -> Vec<(Field, String)> {
    let record = &accepted.record;
    let text = |text: &str| serde_json::to_string(text).unwrap();
    let is_usage = record.kind == Kind::Usage;
    let all = [
        (Field::Source, record.source.map(text)),
        (Field::Id, Some(text(record.id))),
        (Field::Kind, Some(text(if is_usage { "usage" } else { "void" }))),
        (Field::Voids, record.voids.map(text)),
        (Field::Uin, record.uin.map(|uin| uin.to_string())),
        (Field::Appid, record.appid.map(|appid| text(&appid.to_string()))),
        (Field::TaskType, record.task_type.map(text)),
        (Field::Parameters, is_usage.then(|| accepted.parameters.clone())),
        (
            Field::DurationMs,
            record.duration_ms.map(|duration| duration.to_string()),
        ),
        (Field::FinishedAt, record.finished_at.map(|at| text(&instant(at)))),
        (Field::Status, record.failed.then(|| text("FAIL"))),
        (Field::TaskId, record.task_id.map(text)),
        (Field::EventId, record.event_id.map(text)),
        (Field::InputUrl, record.input_url.map(text)),
        (Field::CreatedAt, record.created_at.map(|at| text(&instant(at)))),
        (Field::StartedAt, record.started_at.map(|at| text(&instant(at)))),
    ];
    all.into_iter()
        .filter_map(|(field, value)| Some((field, value?)))
        .collect()
}

fn instant(at: i64) -> String {
    DateTime::from_timestamp_nanos(at).to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn object<'m>(members: impl IntoIterator<Item = (&'m str, &'m str)>) -> String {
    let members: Vec<String> = members
        .into_iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn as_line(accepted: &Accepted) -> String {
    let members = members(accepted);
    object(members.iter().map(|(field, value)| (field.name(), value.as_str())))
}

/// A `CloudEvent` that says as much as it can in its attributes.
fn as_event(accepted: &Accepted) -> String {
    let (mut attributes, mut data) = (vec![("specversion", "\"1.0\""), ("type", "\"record\"")], Vec::new());
    let accepted = accepted.with_source();
    let members = members(&accepted);
    for (field, value) in &members {
        match field {
            Field::Source | Field::Id => attributes.push((field.name(), value)),
            Field::FinishedAt => attributes.push(("time", value)),
            Field::Uin | Field::Appid => {}
            _ => data.push((field.name(), value.as_str())),
        }
    }
    let subject = match (accepted.record.uin, accepted.record.appid) {
        (Some(uin), Some(appid)) => format!("\"{uin}/{appid}\""),
        _ => "null".to_owned(),
    };
    let data = object(data);
    attributes.extend([("subject", subject.as_str()), ("data", &data)]);
    object(attributes)
}

/// A CSV row with a column for each field, and its header.
fn as_row(accepted: &Accepted) -> (ByteRecord, ByteRecord) {
    let members: HashMap<&str, String> = members(accepted)
        .into_iter()
        .map(|(field, value)| (field.name(), serde_json::from_str(&value).unwrap_or(value)))
        .collect();
    let cells = Field::ALL.map(|field| members.get(field.name()).map_or("", String::as_str));
    (Field::ALL.map(Field::name).to_vec().into(), cells.to_vec().into())
}

/// What the line says to a reader that has nothing in common with ours. An event's envelope is left to the round trip.
fn hold_second_reading(accepted: &Accepted, line: &str) {
    let members: HashMap<String, &RawValue> = serde_json::from_str(line).unwrap();
    if members.contains_key("specversion") {
        return;
    }
    let record = &accepted.record;
    let raw = |field: Field| members.get(field.name()).map(|value| value.get());
    let text = |field: Field| raw(field).and_then(|raw| serde_json::from_str::<Option<String>>(raw).unwrap());
    assert_eq!(record.source, text(Field::Source).as_deref());
    // An id may be an integer, which is its digits.
    let id = |field: Field| match raw(field) {
        Some(raw) if raw.starts_with(|c: char| c.is_ascii_digit() || c == '-') => Some(raw.to_owned()),
        _ => text(field),
    };
    assert_eq!(Some(record.id), id(Field::Id).as_deref());
    assert_eq!(record.kind == Kind::Void, text(Field::Kind).as_deref() == Some("void"));
    assert_eq!(record.voids, id(Field::Voids).as_deref());
    assert_eq!(record.task_id, text(Field::TaskId).as_deref());
    assert_eq!(record.input_url, text(Field::InputUrl).as_deref());
    if record.kind == Kind::Void {
        return;
    }
    assert_eq!(record.task_type, text(Field::TaskType).as_deref());
    assert_eq!(record.failed, text(Field::Status).as_deref() == Some("FAIL"));
    // Other ways to write a time are the round trip's.
    if let Ok(finished) = DateTime::parse_from_rfc3339(&text(Field::FinishedAt).unwrap()) {
        assert_eq!(record.finished_at, finished.timestamp_nanos_opt());
    }
    for (field, number) in [
        (Field::Uin, record.uin),
        (Field::Appid, record.appid),
        (
            Field::DurationMs,
            record.duration_ms.and_then(|duration| u64::try_from(duration).ok()),
        ),
    ] {
        // Other ways to write a number are the round trip's.
        if let Some(written) = raw(field).and_then(|raw| raw.trim_matches('"').parse::<u64>().ok()) {
            assert_eq!(number, Some(written), "{}", field.name());
        }
    }
    // So are parameters with a key each.
    if members.keys().any(|key| key.starts_with("parameters.")) {
        return;
    }
    let written = raw(Field::Parameters).filter(|raw| *raw != "null").unwrap_or("{}");
    assert_eq!(values(&accepted.parameters), values(written));
}

/// The value of each parameter that is not null.
fn values(object: &str) -> BTreeMap<String, Scalar> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(object).unwrap();
    members
        .into_iter()
        .filter_map(|(name, raw)| Some((name, Scalar::of(raw.get())?)))
        .collect()
}

/// A parameter's value.
#[derive(Debug, PartialEq, Eq)]
enum Scalar {
    Text(String),
    Bool(bool),
    /// Its digits from the first to the last that is not 0, and the power of ten of the last.
    Number {
        is_negative: bool,
        digits: String,
        power: i64,
    },
}

impl Scalar {
    /// What the JSON says; none for null.
    fn of(raw: &str) -> Option<Self> {
        match raw.as_bytes()[0] {
            b'n' => None,
            b't' | b'f' => Some(Self::Bool(raw == "true")),
            b'"' => Some(Self::Text(serde_json::from_str(raw).unwrap())),
            _ => Some(Self::number(raw)),
        }
    }

    fn number(raw: &str) -> Self {
        let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
        let whole = mantissa.find('.').unwrap_or(mantissa.len());
        let decimals = mantissa.len().saturating_sub(whole + 1);
        let all: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let digits = all.trim_matches('0');
        if digits.is_empty() {
            return Self::Number {
                is_negative: false,
                digits: String::new(),
                power: 0,
            };
        }
        let zeros = all.len() - all.trim_end_matches('0').len();
        let shift = i64::try_from(zeros).unwrap() - i64::try_from(decimals).unwrap();
        Self::Number {
            is_negative: raw.starts_with('-'),
            digits: digits.to_owned(),
            power: exponent.parse::<i64>().unwrap() + shift,
        }
    }
}
