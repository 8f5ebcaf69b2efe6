use super::*;
use crate::pipeline::ingest::record::{Kind, canonical_parameters, parse_line};
use csv::{Reader, ReaderBuilder};

fn reader(text: &str) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes())
}

fn header(names: &str) -> Result<CsvHeader, HeaderError> {
    CsvHeader::parse(&reader(names).byte_records().next().unwrap().unwrap(), b',')
}

/// One sentence for each row: what it is, or why it is none.
fn rows(text: &str) -> Vec<String> {
    let mut records = reader(text).into_byte_records();
    let header = CsvHeader::parse(&records.next().unwrap().unwrap(), b',').unwrap();
    let mut scratch = Scratch::default();
    records
        .map(|row| {
            let row = row.unwrap();
            let line = row.position().unwrap().line();
            match record_from_row(&header, &row, &mut scratch)
                .and_then(|record| Ok((canonical_parameters(&record)?, record)))
            {
                Ok((parameters, record)) => format!("{line}: {} {parameters}", record.id),
                Err(refusal) => format!("{line}: {} {}", refusal.code, refusal.sentence),
            }
        })
        .collect()
}

const COLUMNS: &str = "id,uin,appid,task_type,duration_ms,finished_at";
const CELLS: &str = "0100,125,Transcode,32000.0,2026-10-22T07:54:27Z";

#[test]
fn a_row_means_what_the_same_record_in_json_means() {
    let text = format!(
        "{COLUMNS},source,status,parameters.codec,parameters.width,created_at\nx,{CELLS},,FAIL,H264,1920,0000-00-00T00:00:00Z\n"
    );
    let line = br#"{"id":"x","uin":100,"appid":125,"task_type":"Transcode","duration_ms":32000,"finished_at":"2026-10-22T07:54:27Z","status":"FAIL","parameters":{"codec":"H264","width":"1920"}}"#;
    let mut records = reader(&text).into_byte_records();
    let header = CsvHeader::parse(&records.next().unwrap().unwrap(), b',').unwrap();
    let row = records.next().unwrap().unwrap();
    let (mut one, mut two) = (Scratch::default(), Scratch::default());
    assert_eq!(
        record_from_row(&header, &row, &mut one).unwrap(),
        parse_line(line, &mut two).unwrap()
    );
}

#[test]
fn parameters_come_as_columns_or_as_one_object() {
    let text = format!(
        "{COLUMNS},parameters.codec,parameters.fps,parameters.hdr\na,{CELLS},\"H,\"\"264\",29.970,true\nb,{CELLS},,,\nc,{CELLS},01,1e400,\nd,{CELLS},TRUE,1e3,null\n"
    );
    assert_eq!(
        rows(&text),
        [
            r#"2: a {"codec":"H,\"264","fps":"29.970","hdr":"true"}"#,
            "3: b {}",
            r#"4: c {"codec":"01","fps":"1e400"}"#,
            r#"5: d {"codec":"TRUE","fps":"1e3","hdr":"null"}"#,
        ]
    );
    let text =
        format!("{COLUMNS},parameters\na,{CELLS},\"{{\"\"b\"\":1}}\"\nb,{CELLS},\nc,{CELLS},7\nd,{CELLS},{{}} x\n");
    assert_eq!(
        rows(&text),
        [
            r#"2: a {"b":1}"#,
            "3: b {}",
            "4: wrong_type `parameters` is \"7\"; one JSON object is expected",
            "5: not_json `parameters` is not JSON, byte 3: the value has ended; nothing may follow it",
        ]
    );
    assert_eq!(
        rows(&format!("{COLUMNS},parameters.images\na,{CELLS},eight\n")),
        [
            "2: wrong_type `parameters` has the text \"eight\" for \"images\"; a number is expected, such as 1920: digits alone, \
             no comma and no unit"
        ]
    );
}

#[test]
fn a_row_that_is_no_record_is_refused_alone() {
    let text = format!(
        "{COLUMNS}\na,{CELLS}\nb,{CELLS},more\nc,1\n\"d\td\",{CELLS}\ne,{CELLS}\n,{CELLS}\nf,1.00005E+11,1,T,1,2026-10-22T07:54:27Z\ng,1,1,T,,2026-10-22T07:54:27Z\nh,1,1,T,-1,2026-10-22T07:54:27Z\ni,1,1,T,NaN,2026-10-22T07:54:27Z"
    );
    assert_eq!(
        rows(&text),
        [
            "2: a {}",
            "3: wrong_cell_count the row has 7 cells; the header has 6",
            "4: wrong_cell_count the row has 2 cells; the header has 6",
            "5: control_character `id` contains a control character: \"d\\td\"; control characters are not allowed",
            "6: e {}",
            "7: missing_field `id` is missing; every record needs it",
            "8: not_a_number `uin` is \"1.00005E+11\", which is not a number; digits up to 18446744073709551615 are expected; in \
             this form it may have lost digits (spreadsheets do this to long numbers): format the column as text before entering \
             numbers",
            "9: missing_field `duration_ms` is missing; a usage record needs it",
            "10: negative `duration_ms` is \"-1\", which is negative; a whole number of milliseconds from 0 to 9007199254740992 is \
             expected; to cancel usage, send a void: `kind` is \"void\" and `voids` is the ID of the record",
            "11: not_a_number `duration_ms` is \"NaN\", which is not a number; a whole number of milliseconds from 0 to \
             9007199254740992 is expected",
        ]
    );
}

#[test]
fn a_cell_that_is_no_text_is_refused() {
    let header = header(COLUMNS).unwrap();
    let row = ByteRecord::from(vec![&b"\xff"[..], b"1", b"1", b"T", b"1", b"2026-10-22T07:54:27Z"]);
    assert_eq!(
        record_from_row(&header, &row, &mut Scratch::default())
            .unwrap_err()
            .code,
        code::NOT_UTF8
    );
}

#[test]
fn a_file_of_voids_needs_no_usage_columns() {
    let header = header("id,kind,voids").unwrap();
    let row = ByteRecord::from(vec!["v", "void", "a"]);
    let mut scratch = Scratch::default();
    let record = record_from_row(&header, &row, &mut scratch).unwrap();
    assert_eq!((record.kind, record.voids), (Kind::Void, Some("a")));
}

#[test]
fn a_header_that_is_none_of_usage_records_is_an_error_of_the_file() {
    for (names, expected) in [
        (
            "\"\"",
            "the file has no header row; the first row must name the record's fields",
        ),
        (
            "id,uin,appid,task_type,finished_at",
            "the header lacks `duration_ms`; a usage record needs each (a file of voids needs id, kind and voids)",
        ),
        (
            "kind,voids",
            "the header lacks `id`; a usage record needs each (a file of voids needs id, kind and voids)",
        ),
        (
            "id,uin,appid,task_type,durationMs,finished_at,note",
            "the header lacks `duration_ms`; a usage record needs each (a file of voids needs id, kind and voids); did you mean \
             `duration_ms` instead of \"durationMs\"?",
        ),
        (
            "流水号,账号",
            "the first row, beginning with \"流水号\", names no field of a usage record; it must be a header with the field names as \
             columns: `id`, `uin`, `appid`, `task_type`, `duration_ms`, `finished_at`, ... (separated by commas, semicolons, tabs \
             or `|`)",
        ),
        (
            "i\0d\0",
            "the header contains U+0000: it may be UTF-16 without a byte order mark; save the file as CSV UTF-8",
        ),
        (
            "id,id",
            "the header has the column \"id\" twice; it is unclear which one counts",
        ),
        (
            "id,parameters,parameters.codec",
            "the header has both `parameters` and \"parameters.codec\"; send one JSON column or one column for each, not both",
        ),
    ] {
        assert_eq!(header(names).unwrap_err().to_string(), expected, "{names}");
    }
}
