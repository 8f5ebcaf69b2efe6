//! One made record, and how it is written as JSON and as a CSV row.

use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset, SecondsFormat};

/// Who sends the demo's records.
pub const SOURCE: &str = "mps";

/// UTC+8 in seconds: the CSV's times are written in it, JSON's in UTC.
const UTC_PLUS_8_SECONDS: i32 = 8 * 3_600;

/// What the service writes for a time that was not reached.
const NOT_REACHED: &str = "0000-00-00T00:00:00Z";

/// The first row of a CSV, with its line end.
pub(super) const CSV_HEADER: &str = "source,id,uin,appid,task_type,parameters.type,parameters.codec,parameters.width,\
    parameters.height,parameters.fps,parameters.images,parameters.region,duration_ms,status,finished_at\n";

/// A usage record. Texts are ASCII without quotes, commas or backslashes, so that no format needs to escape them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoRecord {
    /// Unique within [`SOURCE`]: 32 hex digits.
    pub id: String,
    /// The customer account.
    pub uin: u64,
    /// The application under it.
    pub appid: u64,
    /// What was done.
    pub task_type: &'static str,
    /// The parameters; none is absent.
    pub parameters: DemoParameters,
    /// Media time in milliseconds.
    pub duration_ms: u64,
    /// Whether the work failed.
    pub failed: bool,
    /// When it was done, in milliseconds since 1970.
    pub finished_at_ms: i64,
    /// Service-log fields, on a part of the records.
    pub log: Option<ServiceLog>,
}

/// A record's parameters; none is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DemoParameters {
    /// `type`: the kind of output.
    pub kind: Option<&'static str>,
    /// The video codec.
    pub codec: Option<&'static str>,
    /// In pixels.
    pub width: Option<u32>,
    /// In pixels.
    pub height: Option<u32>,
    /// Frames in a second.
    pub fps: Option<u32>,
    /// Images made.
    pub images: Option<u32>,
    /// Where; none is the card's default.
    pub region: Option<&'static str>,
}

/// What the service knows of the task besides; no part of what is billed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceLog {
    /// The task.
    pub task_id: String,
    /// The notification.
    pub event_id: String,
    /// Its input.
    pub input_url: String,
    /// In milliseconds since 1970.
    pub created_at_ms: i64,
    /// In milliseconds since 1970; none where the work never began, written as `0000-00-00T00:00:00Z` in JSON.
    pub started_at_ms: Option<i64>,
}

impl DemoRecord {
    /// `SUCCESS` or `FAIL`.
    pub fn status(&self) -> &'static str {
        if self.failed { "FAIL" } else { "SUCCESS" }
    }

    /// The record as one JSON object, without a line end.
    pub fn json(&self) -> String {
        let mut out = String::with_capacity(512);
        self.push_json(&mut out);
        out
    }

    /// Appends the record as one JSON object, without a line end.
    pub(super) fn push_json(&self, out: &mut String) {
        let Self {
            id,
            uin,
            appid,
            task_type,
            ..
        } = self;
        let result = write!(
            out,
            r#"{{"source":"{SOURCE}","id":"{id}","uin":"{uin}","appid":{appid},"task_type":"{task_type}","parameters":{{"#
        );
        never_fails(result);
        self.parameters.push_json(out);
        let (duration_ms, status, finished_at) = (self.duration_ms, self.status(), in_utc(self.finished_at_ms));
        never_fails(write!(
            out,
            r#"}},"duration_ms":{duration_ms},"status":"{status}","finished_at":"{finished_at}""#
        ));
        if let Some(log) = &self.log {
            log.push_json(out);
        }
        out.push('}');
    }

    /// Appends the record as a row under [`CSV_HEADER`], with its line end and without the service log.
    pub(super) fn push_csv(&self, out: &mut String) {
        let Self {
            id,
            uin,
            appid,
            task_type,
            ..
        } = self;
        never_fails(write!(out, "{SOURCE},{id},{uin},{appid},{task_type}"));
        let DemoParameters {
            kind,
            codec,
            width,
            height,
            fps,
            images,
            region,
        } = self.parameters;
        push_cell(out, kind);
        push_cell(out, codec);
        for number in [width, height, fps, images] {
            push_cell(out, number);
        }
        push_cell(out, region);
        let (duration_ms, status, finished_at) = (self.duration_ms, self.status(), in_utc_plus_8(self.finished_at_ms));
        never_fails(writeln!(out, ",{duration_ms},{status},{finished_at}"));
    }
}

impl DemoParameters {
    /// Appends the members, without the braces.
    fn push_json(self, out: &mut String) {
        let mut separator = "";
        for (name, text) in [("type", self.kind), ("codec", self.codec), ("region", self.region)] {
            if let Some(text) = text {
                never_fails(write!(out, r#"{separator}"{name}":"{text}""#));
                separator = ",";
            }
        }
        let numbers = [
            ("width", self.width),
            ("height", self.height),
            ("fps", self.fps),
            ("images", self.images),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                never_fails(write!(out, r#"{separator}"{name}":{number}"#));
                separator = ",";
            }
        }
    }
}

impl ServiceLog {
    /// Appends the members, with a comma before the first.
    fn push_json(&self, out: &mut String) {
        let Self {
            task_id,
            event_id,
            input_url,
            ..
        } = self;
        let created_at = in_utc(self.created_at_ms);
        let started_at = self.started_at_ms.map_or_else(|| NOT_REACHED.to_owned(), in_utc);
        never_fails(write!(
            out,
            r#","task_id":"{task_id}","event_id":"{event_id}","input_url":"{input_url}","created_at":"{created_at}","started_at":"{started_at}""#
        ));
    }
}

fn push_cell(out: &mut String, value: Option<impl std::fmt::Display>) {
    out.push(',');
    if let Some(value) = value {
        never_fails(write!(out, "{value}"));
    }
}

fn in_utc(instant_ms: i64) -> String {
    let instant = DateTime::from_timestamp_millis(instant_ms).expect("an instant near the month");
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn in_utc_plus_8(instant_ms: i64) -> String {
    let zone = FixedOffset::east_opt(UTC_PLUS_8_SECONDS).expect("8 hours are an offset");
    let instant = DateTime::from_timestamp_millis(instant_ms).expect("an instant near the month");
    instant
        .with_timezone(&zone)
        .to_rfc3339_opts(SecondsFormat::Millis, false)
}

fn never_fails(result: std::fmt::Result) {
    result.expect("a text in memory takes what is written");
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::demo) fn sample() -> DemoRecord {
        DemoRecord {
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            uin: 100_000_007_919,
            appid: 1_250_000_003,
            task_type: "Transcode",
            parameters: DemoParameters {
                kind: Some("Standard"),
                codec: Some("H264"),
                width: Some(1080),
                height: Some(1920),
                fps: Some(30),
                images: None,
                region: Some("ap-singapore"),
            },
            duration_ms: 90_000,
            failed: false,
            finished_at_ms: 1_790_784_000_007,
            log: Some(ServiceLog {
                task_id: "task-1".to_owned(),
                event_id: "event-1".to_owned(),
                input_url: "https://media.example.com/1.mp4".to_owned(),
                created_at_ms: 1_790_783_000_000,
                started_at_ms: None,
            }),
        }
    }

    #[test]
    fn a_record_is_written_as_the_service_writes_it() {
        insta::assert_snapshot!(sample().json(), @r#"{"source":"mps","id":"0123456789abcdef0123456789abcdef","uin":"100000007919","appid":1250000003,"task_type":"Transcode","parameters":{"type":"Standard","codec":"H264","region":"ap-singapore","width":1080,"height":1920,"fps":30},"duration_ms":90000,"status":"SUCCESS","finished_at":"2026-09-30T16:00:00.007Z","task_id":"task-1","event_id":"event-1","input_url":"https://media.example.com/1.mp4","created_at":"2026-09-30T15:43:20.000Z","started_at":"0000-00-00T00:00:00Z"}"#);
    }

    #[test]
    fn a_row_has_a_cell_for_each_column_and_the_time_in_its_own_zone() {
        let mut row = String::new();
        sample().push_csv(&mut row);
        assert_eq!(
            row,
            "mps,0123456789abcdef0123456789abcdef,100000007919,1250000003,Transcode,Standard,H264,1080,1920,30,,ap-singapore,90000,SUCCESS,2026-10-01T00:00:00.007+08:00\n"
        );
        assert_eq!(row.matches(',').count(), CSV_HEADER.matches(',').count());
    }
}
