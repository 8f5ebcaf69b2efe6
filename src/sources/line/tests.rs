//! Rows and the lines that they become.

use super::*;
use crate::pipeline::ingest::record::fields::Field;

fn columns(text: &str) -> Columns {
    toml::from_str(text).unwrap()
}

#[test]
fn fields_of_a_definition_are_those_of_the_door() {
    assert_eq!(
        crate::catalog::source::kinds::table::FIELDS,
        Field::ALL.map(Field::name)
    );
}

#[test]
fn a_row_is_a_record_with_its_parameters_inside_and_without_what_is_null() {
    let columns = columns(
        "id = 'a'\nuin = 'b'\ntask_type = { value = \"Tran\\\"scode\" }\nparameters.codec = 'c'\nparameters.images = { value = 7 }\n\
         duration_ms = 'd'\nfinished_at = 'e'",
    );
    assert_eq!(names(&columns), ["a", "b", "c", "d", "e"]);
    let writer = LineWriter::new(&columns);
    let row = ["x\"1\n", "100005", "é\\", "32000.000", "2026"];
    let mut line = Vec::new();
    writer.write(&mut line, |line, at, place| {
        assert_eq!(place == Place::Text, at == 0);
        if at % 2 == 0 {
            write_text(line, row[at].as_bytes());
        } else {
            line.extend(row[at].as_bytes());
        }
        true
    });
    assert_eq!(
        String::from_utf8(line).unwrap(),
        r#"{"id":"x\"1\u000a","uin":100005,"task_type":"Tran\"scode","duration_ms":32000.000,"finished_at":"2026","parameters":{"codec":"é\\","images":7}}"#
    );
    let mut line = Vec::new();
    writer.write(&mut line, |_, _, _| false);
    assert_eq!(
        String::from_utf8(line).unwrap(),
        r#"{"task_type":"Tran\"scode","parameters":{"images":7}}"#
    );
}

#[test]
fn parameters_of_which_all_are_null_are_left_out() {
    let writer = LineWriter::new(&columns("parameters.codec = 'a'"));
    let mut line = Vec::new();
    writer.write(&mut line, |_, _, _| false);
    assert_eq!(line, b"{}");
}
