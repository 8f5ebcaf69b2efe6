//! Lines that no door takes: what misspelt, cut, hand-made and impatient producers send.

use super::record::DemoRecord;

/// The whole of a line that is no record: a producer's log went into its file.
const LOG_LINE: &str = "2026-10-11 04:12:09 ERROR upstream timed out, will retry";

/// What in a good line is replaced by what. Each is there once, in a successful transcode of some length.
const JSON_SPOILS: [(&str, &str); 11] = [
    (r#""duration_ms":"#, r#""duration":"#),
    (r#""duration_ms":"#, r#""duration_ms":-"#),
    (r#""status":"SUCCESS""#, r#""status":"PENDING""#),
    (r#""finished_at":"2026"#, r#""finished_at":"2062"#),
    (r#""parameters":{"#, r#""parameters":{"output":{"bucket":"vod"},"#),
    (r#""fps":"#, r#""fps":NaN,"fps_before":"#),
    (r#""width":"#, r#""width":1e400,"width_before":"#),
    (r#""height":"#, r#""height":-"#),
    (r#""uin":""#, r#""uin":"account-"#),
    (r#""appid":"#, r#""appid":0,"appid":"#),
    (r#""task_type":"Transcode","#, ""),
];

const CSV_SPOILS: [(&str, &str); 4] = [
    (",SUCCESS,", ",PENDING,"),
    (",SUCCESS,", ",SUCCESS,,"),
    (",Transcode,", ",,"),
    ("+08:00", ""),
];

/// How many kinds of bad JSON lines there are: the spoilt ones, a log line, a cut one, one that is not UTF-8.
pub(super) const JSON_KINDS: usize = JSON_SPOILS.len() + 3;

/// How many kinds of bad CSV rows there are.
pub(super) const CSV_KINDS: usize = CSV_SPOILS.len();

/// Whether every kind of bad line can be made of a record.
pub(super) fn can_be_spoilt(record: &DemoRecord) -> bool {
    record.task_type == "Transcode" && record.parameters.fps.is_some() && !record.failed && 0 < record.duration_ms
}

/// A bad line of JSON of one of [`JSON_KINDS`], without a line end.
pub(super) fn json(record: &DemoRecord, kind: usize) -> Vec<u8> {
    let good = record.json();
    if let Some((from, to)) = JSON_SPOILS.get(kind) {
        return good.replacen(from, to, 1).into_bytes();
    }
    match kind - JSON_SPOILS.len() {
        0 => LOG_LINE.as_bytes().to_vec(),
        1 => good.as_bytes()[..good.len() / 2].to_vec(),
        _ => in_latin_1(&good.replacen(r#""source":"mps""#, "\"source\":\"mps-z\u{fc}rich\"", 1)),
    }
}

/// A bad CSV row of one of [`CSV_KINDS`], without a line end.
pub(super) fn csv(record: &DemoRecord, kind: usize) -> Vec<u8> {
    let mut row = String::new();
    record.push_csv(&mut row);
    let (from, to) = CSV_SPOILS[kind];
    row.trim_end().replacen(from, to, 1).into_bytes()
}

/// The text as a producer writes it that has not heard of UTF-8.
fn in_latin_1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::demo::record::tests::sample;
    use crate::pipeline::ingest::record::refusal::Refusal;
    use crate::pipeline::ingest::record::timestamp::check_time;
    use crate::pipeline::ingest::record::{Scratch, canonical_parameters, parse_line};

    fn refusal(line: &[u8]) -> Refusal {
        let mut scratch = Scratch::default();
        let accepted = parse_line(line, &mut scratch).and_then(|record| {
            canonical_parameters(&record)?;
            check_time(
                record.finished_at.unwrap(),
                crate::demo::calendar::START_MS * 1_000_000,
                |_| false,
            )
        });
        accepted.expect_err(&String::from_utf8_lossy(line))
    }

    #[test]
    fn every_kind_of_bad_line_is_refused_for_a_reason_of_its_own() {
        assert!(can_be_spoilt(&sample()));
        let codes: Vec<_> = (0..JSON_KINDS)
            .map(|kind| refusal(&json(&sample(), kind)).code)
            .collect();
        assert_eq!(
            codes,
            [
                "unknown_field",
                "negative",
                "unknown_status",
                "in_the_future",
                "nested_parameter",
                "not_json",
                "out_of_range",
                "negative",
                "not_a_number",
                "duplicate_field",
                "missing_field",
                "not_json",
                "cut_off",
                "not_utf8",
            ]
        );
    }

    #[test]
    fn every_kind_of_bad_row_differs_from_the_good_one() {
        let rows: BTreeSet<_> = (0..CSV_KINDS).map(|kind| csv(&sample(), kind)).collect();
        let mut good = String::new();
        sample().push_csv(&mut good);
        assert_eq!(rows.len(), CSV_KINDS);
        assert!(!rows.contains(good.trim_end().as_bytes()));
    }
}
