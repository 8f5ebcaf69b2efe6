use super::*;
use proptest::prelude::*;

const USAGE: &str = r#"{"source":"mps","id":"a-1","uin":"100005052322","appid":1250001914,"task_type":"Transcode","parameters":{"codec":"H264","width":1920},"duration_ms":138196,"status":"SUCCESS","finished_at":"2026-10-22T07:54:27.746Z"}"#;

fn refusal(line: &str) -> Refusal {
    let mut scratch = Scratch::default();
    match parse_line(line.as_bytes(), &mut scratch) {
        Ok(record) => canonical_parameters(&record).expect_err(line),
        Err(refusal) => refusal,
    }
}

#[track_caller]
fn check_refused(line: &str, code: &str, sentence: &str) {
    let found = refusal(line);
    assert_eq!((found.code, found.sentence.as_str()), (code, sentence), "{line}");
}

/// A usage record with `from` replaced by `to`.
fn with(from: &str, to: &str) -> String {
    assert!(USAGE.contains(from), "{from}");
    USAGE.replacen(from, to, 1)
}

/// A usage record with more members.
fn and(members: &str) -> String {
    format!("{},{members}}}", USAGE.strip_suffix('}').unwrap())
}

fn accept<T>(line: &str, look: impl FnOnce(Record<'_>) -> T) -> T {
    let mut scratch = Scratch::default();
    look(parse_line(line.as_bytes(), &mut scratch).expect(line))
}

#[test]
fn a_usage_record_is_read_field_by_field() {
    accept(USAGE, |record| {
        let expected = Record {
            source: Some("mps"),
            id: "a-1",
            kind: Kind::Usage,
            voids: None,
            uin: Some(100_005_052_322),
            appid: Some(1_250_001_914),
            task_type: Some("Transcode"),
            parameters: Some(r#"{"codec":"H264","width":1920}"#),
            duration_ms: Some(138_196),
            finished_at: Some(1_792_655_667_746_000_000),
            has_derived_time: false,
            failed: false,
            task_id: None,
            event_id: None,
            input_url: None,
            created_at: None,
            started_at: None,
        };
        assert_eq!(record, expected);
    });
}

#[test]
fn optional_fields_may_be_absent_or_null() {
    for line in [
        r#"{"id":"a","uin":1,"appid":2,"task_type":"T","duration_ms":0,"finished_at":"2026-10-22T07:54:27Z"}"#,
        r#" {"source":null,"id":"a","kind":null,"voids":null,"uin":"1","appid":"2","task_type":"T","parameters":null,"duration_ms":0.0,"finished_at":"2026-10-22T07:54:27Z","status":null,"task_id":null,"event_id":null,"input_url":null,"created_at":null,"started_at":"0000-00-00T00:00:00Z"} "#,
    ] {
        accept(line, |record| {
            assert_eq!((record.source, record.parameters, record.failed), (None, None, false));
            assert_eq!((record.created_at, record.started_at), (None, None));
            assert_eq!(
                (record.uin, record.appid, record.duration_ms),
                (Some(1), Some(2), Some(0))
            );
            assert_eq!(canonical_parameters(&record).as_deref(), Ok("{}"));
        });
    }
}

#[test]
fn service_log_fields_are_kept() {
    let line = and(
        r#""task_id":"t\/1","event_id":"","input_url":"https://x/\u00e9","created_at":"1970-01-01T00:00:01Z","started_at":"1970-01-01T00:00:02Z""#,
    );
    accept(&line, |record| {
        assert_eq!(
            (record.task_id, record.event_id, record.input_url),
            (Some("t/1"), Some(""), Some("https://x/é"))
        );
        assert_eq!(
            (record.created_at, record.started_at),
            (Some(1_000_000_000), Some(2_000_000_000))
        );
        assert_eq!((record.source, record.id), (Some("mps"), "a-1"));
    });
}

#[test]
fn escapes_in_keys_and_values_mean_their_characters() {
    let line = with(r#""id":"a-1""#, r#""\u0069d":"\u0061-\"1\ud83d\ude00""#).replace("SUCCESS", "F\\u0041IL");
    accept(&line, |record| {
        assert_eq!(record.id, "a-\"1😀");
        assert!(record.failed);
        assert_eq!(record.task_type, Some("Transcode"));
    });
}

#[test]
fn numbers_may_be_written_in_any_way_that_has_their_value() {
    for (text, value) in [
        ("32000.0", 32_000),
        ("3.2e4", 32_000),
        ("-0", 0),
        ("9007199254740992", 1_i64 << 53),
    ] {
        accept(&with("138196", text), |record| {
            assert_eq!(record.duration_ms, Some(value), "{text}");
        });
    }
    for (text, value) in [("\"00123\"", 123), ("18446744073709551615", u64::MAX), ("0", 0)] {
        accept(&with("\"100005052322\"", text), |record| {
            assert_eq!(record.uin, Some(value), "{text}");
        });
    }
}

#[test]
fn a_void_names_what_it_takes_back() {
    let line = r#"{"id":"v","kind":"void","voids":"a-1","source":"mps"}"#;
    accept(line, |record| {
        assert_eq!(
            (record.kind, record.id, record.voids, record.source),
            (Kind::Void, "v", Some("a-1"), Some("mps"))
        );
    });
    let full = and(r#""kind":"void","voids":"other","task_id":"t""#);
    accept(&full, |record| {
        assert_eq!((record.uin, record.finished_at, record.parameters), (None, None, None));
        assert_eq!(record.task_id, Some("t"));
    });
}

#[test]
fn a_void_that_cannot_be_one_is_refused() {
    check_refused(
        r#"{"id":"v","kind":"void"}"#,
        "missing_field",
        "`voids` is missing; a void needs the ID of the record that it voids",
    );
    check_refused(
        r#"{"id":"v","kind":"void","voids":"v"}"#,
        "void_of_itself",
        "`voids` is \"v\", which is this record's own ID; a void needs an ID of its own",
    );
    check_refused(
        r#"{"id":"v","kind":"void","voids":""}"#,
        "empty_text",
        "`voids` is empty; 1 to 128 bytes are expected",
    );
    check_refused(
        &and(r#""voids":"x""#),
        "voids_on_usage",
        "`voids` is \"x\" on a usage record; `kind` must be \"void\" with it",
    );
    assert_eq!(
        refusal(r#"{"id":"v","kind":"void","voids":"a","duration_ms":-1}"#).code,
        "negative"
    );
    assert_eq!(
        refusal(r#"{"id":"v","kind":"void","voids":"a","parameters":{"images":-1}}"#).code,
        "negative"
    );
}

#[test]
fn a_missing_field_is_named() {
    for field in ["uin", "appid", "task_type", "duration_ms", "finished_at"] {
        let mut value: serde_json::Value = serde_json::from_str(USAGE).unwrap();
        value.as_object_mut().unwrap().remove(field);
        check_refused(
            &value.to_string(),
            "missing_field",
            &format!("`{field}` is missing; a usage record needs it"),
        );
    }
    check_refused("{}", "missing_field", "`id` is missing; every record needs it");
    check_refused(
        &with("\"a-1\"", "null"),
        "missing_field",
        "`id` is missing; every record needs it",
    );
}

#[test]
fn what_is_no_field_is_refused_with_what_is_likely_meant() {
    check_refused(
        &and(r#""taskType":"x""#),
        "unknown_field",
        "\"taskType\" is not a field of a usage record; did you mean `task_type`?",
    );
    check_refused(
        &with("finished_at", "finishd_at"),
        "unknown_field",
        "\"finishd_at\" is not a field of a usage record; did you mean `finished_at`?",
    );
    check_refused(
        &and(r#""colour":"x""#),
        "unknown_field",
        "\"colour\" is not a field of a usage record; anything that is not one of the record's fields belongs in `parameters`",
    );
    assert_eq!(refusal(&and(r#""Id":"x""#)).code, "unknown_field");
}

#[test]
fn the_same_field_twice_is_refused() {
    check_refused(
        &and(r#""id":"a-1""#),
        "duplicate_field",
        "`id` appears twice; it is unclear which one counts",
    );
    assert_eq!(refusal(&and(r#""\u0069d":"a-1""#)).code, "duplicate_field");
    assert_eq!(
        refusal(r#"{"source":null,"source":"x","id":"a"}"#).code,
        "duplicate_field"
    );
    assert_eq!(refusal(&with("\"width\"", "\"codec\"")).code, "duplicate_field");
}

#[test]
fn values_of_another_type_are_refused() {
    for (from, to, sentence) in [
        ("\"a-1\"", "true", "`id` is true; a text in quotes is expected"),
        (
            "\"a-1\"",
            "[\"a-1\"]",
            "`id` is [\"a-1\"]; a text in quotes is expected",
        ),
        (
            "138196",
            "\"138196\"",
            "`duration_ms` is the text \"138196\"; a number is expected",
        ),
        (
            "138196",
            "{\"ms\":1}",
            "`duration_ms` is {\"ms\":1}; a number is expected",
        ),
        (
            "1250001914",
            "true",
            "`appid` is true; a number, or its digits in quotes, is expected",
        ),
        (
            "\"2026-10-22T07:54:27.746Z\"",
            "1760000000",
            "`finished_at` is 1760000000; a time as text, such as \"2026-10-22T07:54:27Z\", is expected",
        ),
        (
            r#"{"codec":"H264","width":1920}"#,
            "\"{}\"",
            "`parameters` is the text \"{}\"; an object is expected",
        ),
        (
            r#"{"codec":"H264","width":1920}"#,
            "[]",
            "`parameters` is []; an object is expected",
        ),
    ] {
        check_refused(&with(from, to), "wrong_type", sentence);
    }
}

#[test]
fn measured_values_must_be_whole_and_fit() {
    for (from, to, code) in [
        ("138196", "-1", "negative"),
        ("138196", "0.5", "not_whole"),
        ("138196", "11.26200008392334", "not_whole"),
        ("138196", "9007199254740993", "out_of_range"),
        ("138196", "1e400", "out_of_range"),
        ("138196", "NaN", "not_json"),
        ("138196", "-Infinity", "not_json"),
        ("1920", "-1920", "negative"),
        ("1920", "1920.5", "not_whole"),
        ("1920", "\"1920 px\"", "wrong_type"),
        ("1920", "1e400", "out_of_range"),
        ("1920", "NaN", "not_json"),
        ("1920", "{}", "nested_parameter"),
        ("1920", "[{\"a\":[1]}]", "nested_parameter"),
        ("\"100005052322\"", "\"18446744073709551616\"", "out_of_range"),
        ("\"100005052322\"", "18446744073709551616", "out_of_range"),
        ("\"100005052322\"", "-1", "negative"),
        ("\"100005052322\"", "1.5", "not_whole"),
        ("\"100005052322\"", "\"\"", "not_a_number"),
        ("\"100005052322\"", "\"-1\"", "not_a_number"),
        ("\"100005052322\"", "\"1e3\"", "not_a_number"),
        ("\"100005052322\"", "\" 1\"", "not_a_number"),
        ("\"100005052322\"", "\"١\"", "not_a_number"),
        ("1250001914", "01250001914", "not_json"),
    ] {
        let found = refusal(&with(from, to));
        assert_eq!(found.code, code, "{to}: {found}");
    }
    check_refused(
        &with("138196", "-1"),
        "negative",
        "`duration_ms` is -1, which is negative; a whole number of milliseconds from 0 to 9007199254740992 is expected; to cancel \
         usage, send a void: `kind` is \"void\" and `voids` is the ID of the record",
    );
}

#[test]
fn what_names_something_is_digits_or_an_integer_and_never_a_float() {
    for (text, id) in [
        ("1", "1"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551616", "18446744073709551616"),
        ("0", "0"),
    ] {
        accept(&with("\"a-1\"", text), |record| assert_eq!(record.id, id));
    }
    accept(r#"{"id":7,"kind":"void","voids":6}"#, |record| {
        assert_eq!((record.id, record.voids), ("7", Some("6")));
    });
    for from in ["\"a-1\"", "\"100005052322\"", "1250001914"] {
        for to in ["123.0", "1.5", "1e3", "1.00005052322e11", "1E+2"] {
            let found = refusal(&with(from, to));
            assert_eq!(found.code, "not_whole", "{from} {to}: {found}");
            assert!(found.sentence.contains("send all digits"), "{found}");
        }
    }
    for to in ["\"1.00005E+11\"", "\"100005052322.0\""] {
        let found = refusal(&with("\"100005052322\"", to));
        assert_eq!(found.code, "not_a_number", "{found}");
        assert!(found.sentence.contains("format the column as text"), "{found}");
    }
    for (to, cure) in [
        ("\"'100005052322\"", "apostrophe"),
        ("\"=\\\"100005052322\\\"\"", "formula"),
        ("\"100,005,052,322\"", "commas are not accepted"),
        ("\"100005052322 \"", "remove the space"),
    ] {
        let found = refusal(&with("\"100005052322\"", to));
        assert!(found.sentence.contains(cure), "{found}");
    }
    accept(&with("138196", "138196.0"), |record| {
        assert_eq!(record.duration_ms, Some(138_196));
    });
}

#[test]
fn an_identifier_with_what_no_one_sees_is_refused_with_its_name_and_place() {
    for (from, field) in [("\"a-1\"", "id"), ("\"mps\"", "source"), ("\"Transcode\"", "task_type")] {
        let word = from.trim_matches('"');
        for (to, told) in [
            (format!("\u{feff}{word}"), "a byte order mark (U+FEFF) at its start"),
            (format!("{word}\\ufeff"), "a byte order mark (U+FEFF) at its end"),
            (format!("{word}\u{200b}"), "a zero-width space (U+200B) at its end"),
            (format!(" {word}"), "a space at its start"),
            (format!("{word} "), "a space at its end"),
            (format!("{word}\u{a0}"), "a no-break space (U+00A0) at its end"),
        ] {
            let found = refusal(&with(from, &format!("\"{to}\"")));
            assert_eq!(found.code, "invisible_character", "{field} {to:?}: {found}");
            assert!(
                found.sentence.contains(told) && found.sentence.starts_with(&format!("`{field}`")),
                "{found}"
            );
        }
        let found = refusal(&with(from, &format!("\"{word}\\t\"")));
        assert_eq!(found.code, "control_character", "{found}");
    }
}

#[test]
fn a_void_can_name_an_id_that_would_not_be_taken_any_more() {
    accept(
        "{\"id\":\"v\",\"kind\":\"void\",\"voids\":\"\u{feff}t-1 \"}",
        |record| {
            assert_eq!(record.voids, Some("\u{feff}t-1 "));
        },
    );
    let found = refusal(r#"{"id":"v","kind":"void","voids":"t\t"}"#);
    assert_eq!(found.code, "control_character");
}

#[test]
fn kind_and_status_are_exact() {
    check_refused(
        &with("SUCCESS", "success"),
        "unknown_status",
        "`status` is \"success\"; \"SUCCESS\" or \"FAIL\" is expected",
    );
    check_refused(
        &and(r#""kind":"Void""#),
        "unknown_kind",
        "`kind` is \"Void\"; \"usage\" or \"void\" is expected",
    );
    assert_eq!(refusal(&with("SUCCESS", "")).code, "unknown_status");
    accept(&with("SUCCESS", "FAIL"), |record| assert!(record.failed));
}

#[test]
fn times_must_be_times() {
    for (text, code) in [
        ("0000-00-00T00:00:00Z", "not_finished"),
        ("2026-10-22T07:54:27.746", "not_a_time"),
        ("2026-10-22", "not_a_time"),
        ("", "not_a_time"),
        ("2026-02-30T00:00:00Z", "not_a_time"),
        ("2016-12-31T23:59:60Z", "leap_second"),
        ("2026-10-22T07:54:27.7460000001Z", "out_of_range"),
        ("3000-01-01T00:00:00Z", "out_of_range"),
    ] {
        assert_eq!(refusal(&with("2026-10-22T07:54:27.746Z", text)).code, code, "{text}");
    }
    assert_eq!(refusal(&and(r#""created_at":"soon""#)).code, "not_a_time");
}

#[test]
fn identifiers_have_limits() {
    let long = |bytes: usize| with("a-1", &"é".repeat(bytes / 2));
    accept(&long(128), |record| assert_eq!(record.id.len(), 128));
    assert_eq!(refusal(&long(130)).code, "text_too_long");
    assert_eq!(
        refusal(&with("\"mps\"", &format!("\"{}\"", "s".repeat(129)))).code,
        "text_too_long"
    );
    assert_eq!(refusal(&with("Transcode", &"t".repeat(65))).code, "text_too_long");
    accept(&with("Transcode", &"t".repeat(64)), |record| {
        assert_eq!(record.task_type.map(str::len), Some(64));
    });
    check_refused(
        &with("a-1", ""),
        "empty_text",
        "`id` is empty; 1 to 128 bytes are expected",
    );
    check_refused(
        &with("mps", ""),
        "empty_text",
        "`source` is empty; 1 to 128 bytes are expected",
    );
    for escape in ["\\u0000", "\\n", "\\u007f", "\\u0085"] {
        assert_eq!(refusal(&with("a-1", escape)).code, "control_character", "{escape}");
    }
    accept(&with("a-1", "a ü"), |record| assert_eq!(record.id, "a ü"));
    assert!(check_source("mps").is_ok());
    assert_eq!(check_source("").unwrap_err().code, "empty_text");
}

#[test]
fn lines_that_are_no_records_are_refused() {
    for (line, code) in [
        ("[1]", "not_an_object"),
        ("null", "not_an_object"),
        ("12", "not_an_object"),
        ("hello", "not_json"),
        ("{\"id\":\"a\"} {\"id\":\"b\"}", "not_json"),
        ("\u{feff}{}", "not_json"),
        ("id,uin,appid", "not_json"),
        ("", "cut_off"),
    ] {
        assert_eq!(refusal(line).code, code, "{line}");
    }
    check_refused(
        &USAGE.replace(",\"appid\"", "\"appid\""),
        "not_json",
        "the line is not JSON, byte 47: `,` or the closing bracket is expected here",
    );
    assert_eq!(refusal(&with("\"a-1\"", &"[".repeat(40))).code, "too_deep");
    assert_eq!(refusal(&and("\"x\":1,")).code, "not_json");
}

#[test]
fn a_line_cut_off_anywhere_says_so() {
    for end in 1..USAGE.len() {
        assert_eq!(refusal(&USAGE[..end]).code, "cut_off", "{}", &USAGE[..end]);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let mut line = USAGE.as_bytes().to_vec();
    line[23] = 0xff;
    let refusal = parse_line(&line, &mut Scratch::default()).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.sentence.as_str()),
        ("not_utf8", "the line is not UTF-8 from byte 23 on; send it as UTF-8")
    );
}

#[test]
fn a_line_of_one_mebibyte_is_read_and_a_longer_one_is_not() {
    let pad = MAX_LINE_BYTES - and("\"input_url\":\"\"").len();
    let line = and(&format!("\"input_url\":\"{}\"", "x".repeat(pad)));
    accept(&line, |record| {
        assert_eq!(record.input_url.map(str::len), Some(pad));
    });
    let refusal = refusal(&format!("{line} "));
    assert_eq!(
        (refusal.code, refusal.sentence.as_str()),
        (
            "line_too_long",
            "the line is 1048577 bytes long; at most 1048576 are allowed"
        )
    );
}

#[test]
fn blank_lines_are_told() {
    assert!(is_blank(b"") && is_blank(b" \t\r"));
    assert!(!is_blank(b"{}") && !is_blank(b"\0"));
}

proptest! {
    #[test]
    fn no_line_makes_a_panic(line in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = parse_line(&line, &mut Scratch::default());
    }

    #[test]
    fn a_damaged_record_is_refused_unless_it_is_json(place in 0..USAGE.len(), byte: u8) {
        let mut line = USAGE.as_bytes().to_vec();
        line[place] = byte;
        let mut scratch = Scratch::default();
        if let Ok(record) = parse_line(&line, &mut scratch) && canonical_parameters(&record).is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&line).is_ok());
        }
    }

    #[test]
    fn the_order_of_the_fields_and_the_white_space_do_not_matter(
        order in Just((0..9).collect::<Vec<usize>>()).prop_shuffle(), space in "[ \t\r]{0,3}",
    ) {
        let value: serde_json::Value = serde_json::from_str(USAGE).unwrap();
        let object = value.as_object().unwrap();
        let names: Vec<_> = object.keys().collect();
        let members: Vec<_> = order.iter().map(|&n| format!("{space}\"{}\"{space}:{space}{}{space}", names[n], object[names[n]])).collect();
        let line = format!("{space}{{{}}}{space}", members.join(","));
        let (mut one, mut two) = (Scratch::default(), Scratch::default());
        prop_assert_eq!(parse_line(line.as_bytes(), &mut one).unwrap(), parse_line(USAGE.as_bytes(), &mut two).unwrap());
    }
}
