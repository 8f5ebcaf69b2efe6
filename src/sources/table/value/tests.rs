//! Cells and the JSON that they become.

use super::*;
use crate::sources::line::LineWriter;

/// The line of a row with one column for `field`.
fn line_of(field: &str, column_type: ColumnType, cell: &[u8]) -> String {
    let columns = toml::from_str(&format!("'{field}' = 'c'")).unwrap();
    let mut line = Vec::new();
    LineWriter::new(&columns).write(&mut line, |line, _, place| {
        write_value(line, cell, column_type, place);
        true
    });
    String::from_utf8(line).unwrap()
}

#[test]
fn numbers_are_exact_and_floats_are_known_as_floats() {
    use ColumnType::{Decimal, Float, Integer};
    for (field, column_type, cell, value) in [
        ("uin", Integer, "18446744073709551615", "18446744073709551615"),
        ("uin", Integer, "-7", "-7"),
        ("uin", Integer, "00042", "42"),
        ("uin", Integer, "000", "0"),
        ("uin", Decimal, "100005.00", "100005.00"),
        ("uin", Float, "100005", "100005.0"),
        ("uin", Float, "1e+21", "1e+21"),
        ("uin", Float, "0.1", "0.1"),
        ("uin", Float, "NaN", "NaN"),
        ("duration_ms", Decimal, "0012.50", "12.50"),
        ("duration_ms", Decimal, "0.50", "0.50"),
        ("duration_ms", Decimal, "-0.5", "-0.5"),
        ("id", Integer, "42", "\"42\""),
        ("task_id", Decimal, "42", "\"42\""),
        ("id", Decimal, "42.0", "42.0"),
        ("id", Float, "42", "42.0"),
    ] {
        assert_eq!(
            line_of(field, column_type, cell.as_bytes()),
            format!("{{\"{field}\":{value}}}"),
            "{column_type:?} {cell}"
        );
    }
}

#[test]
fn times_have_an_offset_where_the_column_has_one() {
    use ColumnType::{Instant, LocalTime};
    for (column_type, cell, value) in [
        (Instant, "2026-11-01 00:00:00+00", "2026-11-01T00:00:00Z"),
        (Instant, "2026-11-01 00:00:00.123456", "2026-11-01T00:00:00.123456Z"),
        (LocalTime, "2026-11-01 00:00:00.5", "2026-11-01T00:00:00.5"),
        (Instant, "0000-00-00 00:00:00", "0000-00-00T00:00:00Z"),
        (LocalTime, "0000-00-00 00:00:00.000000", "0000-00-00T00:00:00Z"),
        (Instant, "infinity", "infinity"),
        (Instant, "12026-11-01 00:00:00+00", "12026-11-01 00:00:00+00"),
    ] {
        let line = line_of("finished_at", column_type, cell.as_bytes());
        assert_eq!(line, format!("{{\"finished_at\":\"{value}\"}}"), "{cell}");
    }
}

#[test]
fn json_stands_as_it_is_and_what_is_none_cannot_add_a_member() {
    use ColumnType::{Json, Text};
    for (field, column_type, cell, value) in [
        ("parameters", Json, "{\"a\":\n 1.10}", "{\"a\":  1.10}"),
        ("parameters", Text, "{\"a\": 1}", "{\"a\": 1}"),
        ("parameters", Text, "{}, \"uin\": 5", r#""{}, \"uin\": 5""#),
        ("parameters", Text, "", "\"\""),
        ("parameters.a", Text, "{\"b\":1}", r#"{"a":"{\"b\":1}"}"#),
        ("parameters.a", Json, "\"x\"", r#"{"a":"x"}"#),
        ("uin", Json, "null", "null"),
    ] {
        let line = line_of(field, column_type, cell.as_bytes());
        let name = field.split('.').next().unwrap();
        assert_eq!(line, format!("{{\"{name}\":{value}}}"), "{cell}");
    }
}

#[test]
fn bytes_that_are_no_text_stay_so_that_the_line_is_refused_on_one_line() {
    let mut value = Vec::new();
    write_value(&mut value, b"\xff\n\"\x00", ColumnType::Bytes, Place::Text);
    assert_eq!(value, b"\"\xff\\u000a\\\"\\u0000\"");
    assert_eq!(line_of("id", ColumnType::HexBytes, b"\\x61c3a9"), "{\"id\":\"aé\"}");
    assert_eq!(line_of("id", ColumnType::HexBytes, b"\\x6"), "{\"id\":\"\\\\x6\"}");
    assert_eq!(
        line_of("parameters.a", ColumnType::Bool, b"t"),
        "{\"parameters\":{\"a\":true}}"
    );
}
