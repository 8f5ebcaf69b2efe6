use std::io::Read as _;

use proptest::prelude::*;

use super::*;
use crate::pipeline::ingest::outcome::outcome;

fn header(names: &str) -> CsvHeader {
    let first = first_row(names.as_bytes()).unwrap();
    CsvHeader::parse(&first.row, first.separator).unwrap()
}

fn chunk(rows: &[u8]) -> Chunk {
    Chunk::of(2, rows.to_vec())
}

/// As rows are read by default, twice, so that the second time all parameters were seen before.
fn by_cells(names: &str, rows: &[u8]) -> String {
    outcome(|builder| {
        check(builder, &header(names), &chunk(rows))?;
        check(builder, &header(names), &chunk(rows))
    })
}

/// Line by line, with the cells that the library finds where they are as RFC 4180 writes them.
fn by_reader(names: &str, rows: &[u8]) -> String {
    let header = header(names);
    let take_all = |builder: &mut SegmentBuilder| -> Result<()> {
        for (number, line) in (2..).zip(rows.split(|byte| *byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let (marked, line) = (line, without_marks(line));
            if line.is_empty() {
                continue;
            }
            let refusal = match String::from_utf8(line.to_vec()) {
                Err(error) => Some(not_utf8(&error.utf8_error())),
                Ok(text) => first_bad_cell(&text).map(|(position, start)| bad_cell(position, &text, start)),
            };
            if let Some(refusal) = refusal {
                builder.refuse_row(number, refusal, marked)?;
                continue;
            }
            // The library takes a byte order mark off its very first bytes; in a row it is data.
            let line_after_another = (&b"\n"[..]).chain(line);
            let mut reader = ::csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(line_after_another);
            let mut row = ByteRecord::new();
            // The library takes no cell at all for no row.
            if !reader.read_byte_record(&mut row).unwrap() {
                row.push_field(b"");
            }
            builder.take_row(&header, number, &row, marked)?;
        }
        Ok(())
    };
    outcome(|builder| {
        take_all(builder)?;
        take_all(builder)
    })
}

/// The first cell, from 1, that is not valid CSV (RFC 4180), sign by sign, and where it begins.
fn first_bad_cell(row: &str) -> Option<(usize, usize)> {
    #[derive(PartialEq)]
    enum At {
        Start,
        Plain,
        Quoted,
        Closed,
    }
    let (mut at, mut position, mut start) = (At::Start, 1, 0);
    for (offset, sign) in row.char_indices() {
        at = match (at, sign) {
            (At::Start | At::Plain | At::Closed, ',') => {
                position += 1;
                start = offset + 1;
                At::Start
            }
            // Twice inside a quoted cell, it closes and opens it again.
            (At::Quoted, '"') => At::Closed,
            (At::Start | At::Closed, '"') | (At::Quoted, _) => At::Quoted,
            (At::Start | At::Plain, sign) if sign != '"' && sign != '\r' => At::Plain,
            _ => return Some((position, start)),
        };
    }
    (at == At::Quoted).then_some((position, start))
}

const NAMES: &str = "id,uin,appid,task_type,parameters.codec,parameters.width,duration_ms,status,finished_at";
const ROW: &str = "a-1,100,125,Transcode,H264,1920,32000,SUCCESS,2026-10-22T07:54:27Z";

#[test]
fn rows_are_read_where_they_stand_as_the_library_reads_them() {
    let apart = NAMES.replace("id,uin", "id,parameters.fps,uin");
    let without = NAMES.replace("parameters.codec,parameters.width,", "");
    let one = NAMES.replace("parameters.codec,parameters.width", "parameters,kind");
    for (names, rows) in [
        (
            NAMES,
            format!("{ROW}\n{ROW}\r\n\n\r\n{}\n{ROW}", ROW.replace("H264", "")),
        ),
        (NAMES, format!("\"{}\"\n{ROW}\n", ROW.replace(',', "\",\""))),
        (NAMES, format!("{}\n{ROW}\n", ROW.replace("H264", "\"H,\"\"264\"\"\""))),
        (NAMES, format!("{}\n{ROW}\n", ROW.replace("a-1", "\"a\nb\""))),
        (NAMES, format!("{}\n{ROW}\n", ROW.replace("a-1", "a\"b"))),
        (
            NAMES,
            format!("{ROW},more\n{ROW}\n1,2\n{}\n", ROW.replace("SUCCESS", "FAIL")),
        ),
        (NAMES, format!("{}\n{ROW}\n", ROW.replace("2026-10", "2026-12"))),
        (
            NAMES,
            format!("{}\n{ROW}\r{ROW}\n{ROW}", ROW.replace("a-1", "\u{feff}é")),
        ),
        (&apart, format!("{}\n", ROW.replace("a-1", "a-1,25"))),
        (&without, format!("{}\n", ROW.replace("H264,1920,", ""))),
        (
            &one,
            format!("{}\n{0}\n", ROW.replace("H264,1920", r#""{""codec"":""H264""}",usage"#)),
        ),
        (
            &one,
            format!("{}\n{0}\n", ROW.replace("H264,1920", r#""{""codec"":""H264""}",void"#)),
        ),
        (
            &one,
            format!(
                "{}\n{}\n",
                ROW.replace("H264,1920", "{},"),
                ROW.replace("H264,1920", "x,")
            ),
        ),
    ] {
        assert_eq!(
            by_cells(names, rows.as_bytes()),
            by_reader(names, rows.as_bytes()),
            "{names}\n{rows}"
        );
    }
    let broken = [ROW.as_bytes(), b"\n\xFF\n"].concat();
    assert_eq!(by_cells(NAMES, &broken), by_reader(NAMES, &broken));
}

#[test]
fn once_their_parameters_are_known_rows_need_no_full_reading() {
    let one = NAMES.replace("parameters.codec,parameters.width", "parameters");
    let quoted = ROW.replace("H264,1920", r#""{""codec"":""H264""}""#);
    let without = NAMES.replace("parameters.codec,parameters.width,", "");
    for (names, row) in [
        (NAMES, ROW),
        (&one, &quoted),
        (&without, &ROW.replace("H264,1920,", "")),
    ] {
        outcome(|builder| {
            let header = header(names);
            let mut cells = Vec::new();
            split(row, b',', &mut cells).unwrap();
            assert!(known_record(builder, &header, row, &cells).is_none());
            check(builder, &header, &chunk(row.as_bytes()))?;
            assert!(known_record(builder, &header, row, &cells).is_some());
            Ok(())
        });
    }
}

#[test]
fn a_stray_quote_costs_its_own_row_and_no_other() {
    let rows = [
        ROW.to_owned(),
        ROW.replace("a-1", "\"a-2"),
        ROW.replace("a-1", "a-3"),
        ROW.replace("a-1", "\"a\"-4"),
        ROW.replace("100", "\"10\"0"),
        ROW.replace("a-1", "a\"6"),
        ROW.replace("2026", "\"2026"),
    ];
    let found = outcome(|builder| check(builder, &header(NAMES), &chunk(rows.join("\r\n").as_bytes())));
    for (line, position) in [(3, 1), (5, 1), (6, 2), (7, 1), (8, 9)] {
        let refused = format!("\n{line} cell {position} of the row is not valid CSV (RFC 4180)");
        assert!(found.contains(&refused), "{refused}{found}");
    }
    assert_eq!(found.matches("(bad_cell)").count(), 5, "{found}");
}

#[test]
fn a_mark_at_the_start_of_a_row_is_no_part_of_its_first_cell() {
    let marked = format!(
        "\u{feff}{ROW}\n\u{feff}\u{feff}\"a-1\"{}\n\u{feff}\n",
        ROW.strip_prefix("a-1").unwrap()
    );
    let plain = format!("{ROW}\n{ROW}\n");
    assert_eq!(by_cells(NAMES, marked.as_bytes()), by_cells(NAMES, plain.as_bytes()));
}

#[test]
fn the_header_again_is_no_row_and_another_one_is_told() {
    let again = format!("{ROW}\n{NAMES}\r\n\u{feff}{NAMES}\n");
    assert_eq!(
        by_cells(NAMES, again.as_bytes()),
        by_cells(NAMES, format!("{ROW}\n\n\n").as_bytes())
    );
    let names = format!("{NAMES},note");
    let found = by_cells(&names, format!("{ROW},\n{names}\n{ROW},x\n").as_bytes());
    assert!(
        found.starts_with("4 2\n") && found.contains("column 10, \"note\", is not a field"),
        "{found}"
    );
}

#[test]
fn columns_without_a_name_or_with_an_unknown_one_are_nothing_where_they_are_empty() {
    let names = format!(",{NAMES},note");
    let rows = format!(",{ROW},\n\"\",{ROW},\"\"\n");
    let found = by_cells(&names, rows.as_bytes());
    assert!(found.starts_with("4 4\n"), "{found}");
    let found = by_cells(&names, format!("0,{ROW},\n,{ROW},x\n").as_bytes());
    assert!(found.starts_with("4 0\n"), "{found}");
    assert!(
        found.contains("column 1 has no name but a value in this row; if it is the index that pandas writes"),
        "{found}"
    );
}

#[test]
fn each_row_has_the_number_and_the_bytes_of_its_own_line() {
    let found = by_cells(NAMES, b"x\r\n\r\n\"y\"\r\nz\xFF\r\n");
    for refused in [
        "\n2 the row has 1 cells; the header has 9 (wrong_cell_count) \"x\"\n",
        "\n4 the row has 1 cells; the header has 9 (wrong_cell_count) \"\\\"y\\\"\"\n",
        "\n5 the row is not UTF-8 from byte 1 on; send it as UTF-8 (not_utf8)",
    ] {
        assert_eq!(found.matches(refused).count(), 2, "{refused}{found}");
    }
}

/// A cell that is right, most times, and how it stands in the row.
fn cell(name: &'static str) -> BoxedStrategy<String> {
    let usual: BoxedStrategy<String> = match name {
        "uin" | "appid" | "duration_ms" => "[0-9]{1,17}".boxed(),
        "kind" => "(usage|void)?".boxed(),
        "voids" => "[ab]?".boxed(),
        "status" => "(SUCCESS|FAIL)?".boxed(),
        "finished_at" | "created_at" => "2026-(10-2[12]|12-01)T01:20:13(\\.[0-9]{3})?Z".boxed(),
        "parameters" => prop_oneof![
            4 => Just(r#"{"codec":"H264"}"#.to_owned()),
            1 => Just("{}".to_owned()),
            1 => Just(String::new()),
            1 => "[{}\"a:1]{0,6}"
        ]
        .boxed(),
        "parameters.width" => "(1920|480|-1)?".boxed(),
        "parameters.codec" => "(H264|H265|a,b|\"|true|1.50)?".boxed(),
        _ => "[a-c]{1,3}".boxed(),
    };
    let text = prop_oneof![40 => usual, 1 => "[ -~\r\n]{0,3}", 1 => "\\PC{0,2}"];
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    (text, 0..8_u8)
        .prop_map(move |(text, how)| match how {
            0 => quoted(&text),
            1 => text,
            _ if text.contains([',', '"', '\r', '\n']) => quoted(&text),
            _ => text,
        })
        .boxed()
}

fn files() -> impl Strategy<Value = (String, String)> {
    let needed = ["id", "uin", "appid", "task_type", "duration_ms", "finished_at"];
    let optional = vec!["source", "kind", "voids", "status", "created_at", "task_id"];
    let parameters = prop_oneof![
        Just(vec![]),
        Just(vec!["parameters"]),
        Just(vec!["parameters.codec", "parameters.width"]),
    ];
    (proptest::sample::subsequence(optional, 0..=6), parameters)
        .prop_map(move |(optional, parameters)| [&needed[..], &optional, &parameters].concat())
        .prop_flat_map(|names| prop_oneof![3 => Just(names.clone()), 1 => Just(names).prop_shuffle()])
        .prop_flat_map(|names| {
            let cells: Vec<_> = names.iter().map(|name| cell(name)).collect();
            let end = prop_oneof![8 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\n\n"), 1 => Just(",\n")];
            let row = (cells, end).prop_map(|(cells, end)| cells.join(",") + end);
            (Just(names.join(",")), proptest::collection::vec(row, 0..12))
        })
        .prop_map(|(names, rows)| (names, rows.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_file_is_read_by_cells_as_by_the_reader((names, rows) in files()) {
        prop_assert_eq!(by_cells(&names, rows.as_bytes()), by_reader(&names, rows.as_bytes()));
    }
}
