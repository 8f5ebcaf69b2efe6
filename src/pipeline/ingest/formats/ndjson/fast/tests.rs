use super::*;
use crate::pipeline::ingest::record::timestamp::NOT_REACHED;
use crate::pipeline::ingest::record::{Scratch, parse_line};
use crate::support::json::check;
use proptest::prelude::*;

const USAGE: &str = r#"{"source":"mps","id":"a-1","uin":"100005052322","appid":1250001914,"task_type":"Transcode","parameters":{"codec":"H264","width":1920},"duration_ms":138196,"status":"SUCCESS","finished_at":"2026-10-22T07:54:27.746Z"}"#;

/// Layouts that were learned from these lines, which are records.
fn taught(lines: &[&str]) -> Layouts {
    let mut layouts = Layouts::default();
    layouts.begin_chunk();
    for line in lines {
        assert!(parse_line(line.as_bytes(), &mut Scratch::default()).is_ok(), "{line}");
        layouts.learn(line.as_bytes());
    }
    layouts
}

/// The record of the first line of `text`, and that line; none where it is to be read in full.
fn read<'a>(layouts: &mut Layouts, text: &'a str) -> Option<(Record<'a>, &'a str)> {
    let mut record = Record::default();
    let length = layouts.read(text, &mut record)?;
    let parameters = record.parameters.unwrap_or("{}");
    let is_object = check(parameters).is_ok() && !parameters.contains('\n');
    is_object.then_some((record, &text[..length]))
}

/// What is read by a layout is one line, and what a full reading of it finds.
fn hold(layouts: &mut Layouts, text: &str) -> bool {
    let Some((record, line)) = read(layouts, text) else {
        return false;
    };
    assert_eq!(Some(line), text.split('\n').next());
    let mut scratch = Scratch::default();
    assert_eq!(parse_line(line.as_bytes(), &mut scratch), Ok(record), "{line}");
    true
}

#[test]
fn white_space_before_the_parameters_is_left_to_a_full_reading() {
    let mut layouts = taught(&[USAGE]);
    for space in [" ", "\t", "\r"] {
        let line = USAGE.replace("\"parameters\":{", &format!("\"parameters\":{space}{{"));
        assert!(!hold(&mut layouts, &line), "{space:?}");
    }
}

#[test]
fn the_next_line_of_a_sender_is_read_by_the_layout_of_the_last() {
    let mut layouts = taught(&[USAGE]);
    let next = USAGE
        .replace("a-1", "another, longer id")
        .replace("138196", "0")
        .replace("SUCCESS", "FAIL")
        .replace(r#"{"codec":"H264","width":1920}"#, "{}")
        .replace(".746Z", "+08:00");
    for text in [USAGE.to_owned(), next.clone(), format!("{next}\n{USAGE}\n")] {
        assert!(hold(&mut layouts, &text), "{text}");
    }
}

#[test]
fn fields_that_come_and_go_have_layouts_of_their_own() {
    let void = r#"{"id":"v","kind":"void","voids":"a-1","source":"mps"}"#;
    let spaced = r#" { "id" : "b" , "uin" : 1, "appid": "2", "task_type": "T", "duration_ms": 0, "finished_at": "2026-10-22T07:54:27Z", "kind": null, "parameters": null } "#;
    let log = &USAGE.replace(
        r#""status""#,
        r#""task_id":"t","event_id":"","input_url":"https:","created_at":"0000-00-00T00:00:00Z","started_at":"1970-01-01T00:00:02Z","status""#,
    );
    let windows = &format!("{USAGE}\r");
    let mut layouts = taught(&[USAGE, void, spaced, log, windows]);
    for _ in 0..2 {
        for line in [USAGE, void, spaced, log, windows] {
            assert!(hold(&mut layouts, line), "{line}");
        }
    }
}

#[test]
fn what_needs_a_second_look_is_read_in_full() {
    let mut layouts = taught(&[USAGE]);
    for (from, to) in [
        ("a-1", ""),
        ("a-1", r"a\u002d1"),
        ("a-1", "é"),
        ("a-1", "a\u{7f}"),
        ("a-1", "a\tb"),
        (r#""a-1""#, "null"),
        (r#""a-1""#, "1"),
        ("a-1", &"i".repeat(129)),
        ("Transcode", &"t".repeat(65)),
        ("100005052322", ""),
        ("100005052322", "18446744073709551616"),
        ("100005052322", "1e3"),
        (r#""100005052322""#, "100005052322"),
        ("1250001914", "01250001914"),
        ("1250001914", "1250001914.0"),
        ("1250001914", r#""1250001914""#),
        ("138196", "-1"),
        ("138196", "138196.0"),
        ("138196", "9007199254740993"),
        ("SUCCESS", "PENDING"),
        ("2026-10-22T07:54:27.746Z", "0000-00-00T00:00:00Z"),
        ("2026-10-22T07:54:27.746Z", "soon"),
        (r#"{"codec":"H264","width":1920}"#, "[]"),
        (r#"{"codec":"H264","width":1920}"#, r#"{"a":"}","b":1}"#),
        (r#"{"codec":"H264","width":1920}"#, r#"{"a":{}}"#),
        (r#","status""#, r#", "status""#),
        (r#""status""#, r#""id""#),
        ("}", "},"),
    ] {
        let line = USAGE.replacen(from, to, 1);
        assert_ne!(line, USAGE, "{from}");
        assert!(read(&mut layouts, &line).is_none(), "{line}");
    }
    let usage_or_void = USAGE.replace(r#""status""#, r#""kind":"usage","status""#);
    let mut layouts = taught(&[&usage_or_void]);
    assert!(hold(&mut layouts, &usage_or_void));
    assert!(!hold(&mut layouts, &usage_or_void.replace("\"usage\"", "\"void\"")));
    assert!(!hold(&mut layouts, &usage_or_void.replace("\"usage\"", "\"Void\"")));
}

#[test]
fn a_line_ends_where_it_ends() {
    let mut layouts = taught(&[USAGE]);
    for end in 0..USAGE.len() {
        let cut = format!("{}\n{}\n", &USAGE[..end], &USAGE[end..]);
        assert!(read(&mut layouts, &cut).is_none(), "{cut}");
    }
    assert!(read(&mut layouts, &format!("{USAGE} \n")).is_none());
    assert!(read(&mut layouts, &format!("{USAGE}{USAGE}\n")).is_none());
}

#[test]
fn a_line_beyond_the_limit_is_read_in_full() {
    let of = |url: &str| USAGE.replace(r#""status""#, &format!(r#""input_url":"{url}","status""#));
    let mut layouts = taught(&[&of("x")]);
    let room = MAX_LINE_BYTES - of("").len();
    assert!(hold(&mut layouts, &of(&"x".repeat(room))));
    assert!(!hold(&mut layouts, &of(&"x".repeat(room + 1))));
}

#[test]
fn learning_ends_where_it_is_in_vain_and_begins_again_with_the_next_chunk() {
    let other = |n: usize| USAGE.replace(r#""status""#, &format!("{}\"status\"", " ".repeat(n + 1)));
    let mut layouts = taught(&[]);
    (0..LESSONS_MAX).for_each(|n| layouts.learn(other(n).as_bytes()));
    assert_eq!(layouts.known.len(), LAYOUTS_MAX);
    assert!(hold(&mut layouts, &other(LESSONS_MAX - 1)) && !hold(&mut layouts, &other(0)));
    layouts.learn(USAGE.as_bytes());
    assert!(!hold(&mut layouts, USAGE));
    layouts.begin_chunk();
    layouts.learn(USAGE.as_bytes());
    assert!(hold(&mut layouts, USAGE) && hold(&mut layouts, &other(LESSONS_MAX - 1)));
}

#[test]
fn an_event_and_what_is_no_record_teach_nothing() {
    let mut layouts = Layouts::default();
    layouts.begin_chunk();
    for line in [
        r#"{"specversion":"1.0","type":"t","source":"s","id":"a","data":{}}"#,
        r#"{"id":"a""#,
        r#"{"id":["a"]}"#,
        r#"{"id":true}"#,
        r#"{"duration_ms":"1"}"#,
        r#"{"parameters":"{}"}"#,
        "",
        "\u{feff}{}",
    ] {
        layouts.learn(line.as_bytes());
    }
    layouts.learn(b"\xff");
    assert!(layouts.known.is_empty());
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// A value for a field as JSON: most are right, some need a second look or are wrong.
fn value(field: Field) -> BoxedStrategy<String> {
    let text = prop_oneof![40 => "[ !#-\\[\\]-~]{1,40}", 1 => "[ -~]{0,9}", 1 => "\\PC{0,9}", 1 => "[a-z]{120,135}"];
    let text = text.prop_map(|text| serde_json::to_string(&text).unwrap());
    let number =
        prop_oneof![60 => "0|[1-9][0-9]{0,14}", 1 => "0[0-9]{1,9}", 1 => "[0-9]{15,22}", 1 => "[0-9.eE+-]{1,6}"];
    let time = prop_oneof![
        30 => "20[0-9]{2}-0[1-9]-[012][1-8][Tt][01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]0[0-9]:30)",
        1 => Just(NOT_REACHED.to_owned()),
        1 => "[0-9TZ:-]{0,24}",
    ];
    let usual = match field {
        Field::Kind => prop_oneof![10 => Just("usage"), 20 => Just("void"), 1 => Just("Void")]
            .prop_map(quoted)
            .boxed(),
        Field::Status => prop_oneof![20 => Just("SUCCESS"), 20 => Just("FAIL"), 1 => Just("fail")]
            .prop_map(quoted)
            .boxed(),
        Field::Uin | Field::Appid => prop_oneof![number.clone(), number.prop_map(|text| quoted(&text))].boxed(),
        Field::DurationMs => number.boxed(),
        Field::FinishedAt | Field::CreatedAt | Field::StartedAt => time.prop_map(|text| quoted(&text)).boxed(),
        Field::Parameters => prop_oneof![
            20 => Just(r#"{"codec":"H264","width":1920}"#),
            20 => Just("{}"),
            1 => Just(r#"{"a":"}","b":"{"}"#),
            1 => Just(r#"{"a":{"b":1}}"#),
            1 => Just("{\"é\":\"\\u00e9\"}"),
        ]
        .prop_map(ToOwned::to_owned)
        .boxed(),
        _ => text.boxed(),
    };
    prop_oneof![60 => usual, 1 => Just("null".to_owned())].boxed()
}

/// A line with these fields in this order, and white space between.
fn line_of(fields: Vec<Field>, space: &'static str) -> impl Strategy<Value = String> {
    let members = fields
        .into_iter()
        .map(move |field| value(field).prop_map(move |value| format!("{space}\"{}\":{space}{value}", field.name())));
    members
        .collect::<Vec<_>>()
        .prop_map(|members| format!("{{{}}}", members.join(",")))
}

/// Lines of one sender: the same fields in the same order.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let needed = [
        Field::Id,
        Field::Uin,
        Field::Appid,
        Field::TaskType,
        Field::DurationMs,
        Field::FinishedAt,
    ];
    let of_void = [Field::Kind, Field::Voids];
    let is_optional = |field: &Field| !needed.contains(field) && !of_void.contains(field);
    let optional: Vec<Field> = Field::ALL.into_iter().filter(is_optional).collect();
    (
        proptest::sample::subsequence(optional, 0..=8),
        prop_oneof![4 => Just(0..0), 1 => Just(0..1), 2 => Just(0..2)],
        prop_oneof![Just(""), Just(" "), Just("\t ")],
    )
        .prop_map(move |(optional, voids, space)| ([&needed, &optional[..], &of_void[voids]].concat(), space))
        .prop_flat_map(|(fields, space)| (Just(fields).prop_shuffle(), Just(space)))
        .prop_flat_map(|(fields, space)| proptest::collection::vec(line_of(fields, space), 2..12))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_a_layout_reads_a_full_reading_finds_too(lines in lines()) {
        let mut layouts = Layouts::default();
        layouts.begin_chunk();
        let text = lines.join("\n");
        let mut at = 0;
        for line in &lines {
            if !hold(&mut layouts, &text[at..]) && parse_line(line.as_bytes(), &mut Scratch::default()).is_ok() {
                layouts.learn(line.as_bytes());
            }
            at += line.len() + 1;
        }
    }

    #[test]
    fn a_damaged_line_is_read_as_a_full_reading_reads_it(place in 0..USAGE.len(), bytes in "[ -~\n\r\t]{0,3}", length in 0_usize..4) {
        let mut layouts = taught(&[USAGE]);
        let end = (place + length).min(USAGE.len());
        let damaged = format!("{}{bytes}{}", &USAGE[..place], &USAGE[end..]);
        hold(&mut layouts, &damaged);
        hold(&mut layouts, &format!("{damaged}\n{USAGE}\n"));
    }
}
