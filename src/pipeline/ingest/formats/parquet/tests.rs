use proptest::prelude::*;

use super::column_types::{Column as Typed, Of};
use super::frame::Frame;
use super::*;
use crate::pipeline::ingest::outcome::outcome;
use crate::pipeline::ingest::record::fields::Field;

fn frame_of(rows: &DataFrame) -> Frame {
    Frame::of(rows, &[]).unwrap()
}

fn by_columns(rows: &DataFrame) -> String {
    outcome(|builder| fast::check(builder, &frame_of(rows), 1))
}

fn by_lines(rows: &DataFrame) -> String {
    let frame = frame_of(rows);
    outcome(|builder| {
        (0..frame.height).try_for_each(|row| {
            let bytes = line::of_row(&frame, row).unwrap();
            builder.take_line(row as u64 + 1, &bytes).map(|_| ())
        })
    })
}

/// A column of one of the types that senders use, for texts that are numbers where they can be.
fn column(name: &str, kind: u8, texts: &[Option<String>]) -> Column {
    let name = PlSmallStr::from_str(name);
    let number = |text: &Option<String>| text.as_ref()?.parse::<f64>().ok();
    match kind {
        0 => Series::new(name, texts),
        1 => Series::new(name, texts.iter().map(number).collect::<Vec<_>>()),
        2 => {
            let whole = texts.iter().map(|text| text.as_ref()?.parse::<i64>().ok());
            Series::new(name, whole.collect::<Vec<_>>())
        }
        3 => {
            let whole = texts.iter().map(|text| text.as_ref()?.parse::<u64>().ok());
            Series::new(name, whole.collect::<Vec<_>>())
        }
        4 => {
            let whole = texts.iter().map(|text| text.as_ref()?.parse::<i16>().ok());
            Series::new(name, whole.collect::<Vec<_>>())
        }
        5 => {
            #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
            let short = texts.iter().map(|text| number(text).map(|number| number as f32));
            Series::new(name, short.collect::<Vec<_>>())
        }
        6 => Series::new(
            name,
            texts
                .iter()
                .map(|text| text.as_ref().map(String::is_empty))
                .collect::<Vec<_>>(),
        ),
        _ => {
            let instants = (0_i64..)
                .zip(texts)
                .map(|(at, text)| text.as_ref().map(|_| 1_790_000_000_000 + 977 * at));
            let unit = [TimeUnit::Milliseconds, TimeUnit::Microseconds, TimeUnit::Nanoseconds][usize::from(kind % 3)];
            Int64Chunked::from_iter_options(name, instants)
                .into_datetime(unit, Some(TimeZone::UTC))
                .into_series()
        }
    }
    .into()
}

/// A text that suits a field, most times.
fn text(field: Field) -> BoxedStrategy<Option<String>> {
    let usual = match field {
        Field::Kind => prop_oneof![Just("usage"), Just("void"), Just("x")]
            .prop_map(ToOwned::to_owned)
            .boxed(),
        Field::Status => prop_oneof![Just("SUCCESS"), Just("FAIL"), Just("x")]
            .prop_map(ToOwned::to_owned)
            .boxed(),
        Field::Uin | Field::Appid | Field::DurationMs => "[0-9]{1,17}|-[0-9]|[0-9]{1,3}\\.[05]|0[0-9]|x".boxed(),
        Field::FinishedAt | Field::CreatedAt | Field::StartedAt => {
            "2026-10-2[12]T01:20:13(\\.[0-9]{3})?Z|0000-00-00T00:00:00Z|x".boxed()
        }
        Field::Parameters => prop_oneof![
            8 => Just(r#"{"codec":"H264"}"#),
            8 => Just(r#"{ "codec" : "H264" }"#),
            1 => Just("{}"),
            1 => Just("[1]"),
            1 => Just("x"),
            1 => Just(r#"{"images":-1}"#),
        ]
        .prop_map(ToOwned::to_owned)
        .boxed(),
        _ => prop_oneof![20 => "[a-c]{1,2}", 1 => "\\PC{0,3}", 1 => "[\\\\\"\n]", 1 => "[a-z]{127,130}"].boxed(),
    };
    proptest::option::weighted(0.97, usual).boxed()
}

/// The types in which a field comes; the first is the usual one.
fn kinds(field: Field) -> BoxedStrategy<u8> {
    match field {
        Field::Uin | Field::Appid => {
            prop_oneof![4 => Just(3_u8), 2 => Just(2_u8), 2 => Just(0_u8), 1 => 0_u8..8].boxed()
        }
        Field::DurationMs => prop_oneof![4 => Just(2_u8), 2 => Just(3_u8), 2 => Just(1_u8), 1 => 0_u8..8].boxed(),
        Field::FinishedAt | Field::CreatedAt | Field::StartedAt => {
            prop_oneof![4 => Just(0_u8), 4 => 7_u8..10, 1 => 0_u8..8].boxed()
        }
        _ => prop_oneof![12 => Just(0_u8), 1 => 0_u8..8].boxed(),
    }
}

fn field_column(field: Field, rows: usize) -> impl Strategy<Value = Column> {
    (kinds(field), proptest::collection::vec(text(field), rows))
        .prop_map(move |(kind, texts)| column(field.name(), kind, &texts))
}

/// Parameters in columns of their own, or as a struct of them.
fn parameter_columns(rows: usize) -> impl Strategy<Value = Vec<Column>> {
    let names = proptest::sample::subsequence(vec!["codec", "images", "width", "fps", "hdr"], 0..=5);
    let values = "[0-9]{1,2}|-1|[0-9]\\.5||H264|\\PC";
    let column_of = move |name: &'static str| {
        let texts = proptest::collection::vec(proptest::option::weighted(0.8, values), rows);
        (prop_oneof![6 => Just(2_u8), 4 => Just(0_u8), 2 => 0_u8..8], texts)
            .prop_map(move |(kind, texts)| column(name, kind, &texts))
    };
    names
        .prop_flat_map(move |names| names.into_iter().map(column_of).collect::<Vec<_>>())
        .prop_flat_map(move |columns| {
            (
                Just(columns),
                any::<bool>(),
                proptest::collection::vec(any::<bool>(), rows),
            )
        })
        .prop_map(move |(columns, as_struct, there)| {
            if !as_struct || columns.is_empty() {
                let named = columns.into_iter().map(|column| {
                    let name = format!("{PARAMETER_PREFIX}{}", column.name());
                    column.with_name(name.into())
                });
                return named.collect();
            }
            let name = PlSmallStr::from_static("parameters");
            let frame = DataFrame::new(rows, columns).unwrap();
            let whole = frame.into_struct(name.clone()).into_series();
            let there = BooleanChunked::from_slice(name.clone(), &there);
            let nulls = Series::full_null(name, rows, whole.dtype());
            vec![whole.zip_with(&there, &nulls).unwrap().into()]
        })
}

fn frames() -> impl Strategy<Value = DataFrame> {
    let needed = [
        Field::Id,
        Field::Uin,
        Field::Appid,
        Field::TaskType,
        Field::DurationMs,
        Field::FinishedAt,
    ];
    let optional: Vec<Field> = Field::ALL.into_iter().filter(|field| !needed.contains(field)).collect();
    (1_usize..40, proptest::sample::subsequence(optional, 0..=4)).prop_flat_map(move |(rows, optional)| {
        let has_parameters = optional.contains(&Field::Parameters);
        let fields: Vec<_> = needed
            .into_iter()
            .chain(optional)
            .map(|field| field_column(field, rows))
            .collect();
        (fields, parameter_columns(rows)).prop_map(move |(mut columns, parameters)| {
            if !has_parameters {
                columns.extend(parameters);
            }
            DataFrame::new(rows, columns).unwrap()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rows_read_by_columns_are_those_read_as_lines(frame in frames()) {
        prop_assert_eq!(by_columns(&frame), by_lines(&frame), "{:?}", frame);
    }
}

fn usual(rows: u32) -> DataFrame {
    let names = |prefix: &str| (0..rows).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    df!(
        "source" => vec!["mps"; rows as usize],
        "id" => names("id"),
        "uin" => (0..rows).map(u64::from).collect::<Vec<_>>(),
        "appid" => (0..rows).map(i64::from).collect::<Vec<_>>(),
        "task_type" => vec!["Snapshot"; rows as usize],
        "parameters.images" => (0..rows).map(|n| (n % 3 > 0).then_some(n % 3)).collect::<Vec<_>>(),
        "parameters.codec" => vec![Option::<&str>::None; rows as usize],
        "duration_ms" => (0..rows).map(f64::from).collect::<Vec<_>>(),
        "finished_at" => vec!["2026-10-17T01:20:13.983Z"; rows as usize],
    )
    .unwrap()
}

#[test]
fn rows_as_services_write_them_are_read_by_columns_once_their_parameters_are_known() {
    let frame = usual(1_200);
    assert_eq!(by_columns(&frame), by_lines(&frame));
    outcome(|builder| {
        fast::check(builder, &frame_of(&frame), 1)?;
        for words in [[0, 0, 0], [2, 0, 1], [2, 0, 2]] {
            assert!(builder.known_words(&words).is_some(), "{words:?}");
        }
        Ok(())
    });
}

/// The same three records in files of other programs, see `tests/data/parquet/make.py`.
fn other_programs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parquet")
}

/// What is stored of a file of another program, and what is refused; or why all of it is.
fn stored(name: &str) -> std::result::Result<(Vec<String>, Vec<String>), String> {
    let path = other_programs().join(name);
    let mut refused_whole = None;
    let text = outcome(|builder| {
        let read =
            Rows::open(name, &path).and_then(|rows| rows.slices().try_for_each(|slice| rows.check(builder, slice)));
        refused_whole = read.err().map(|error| error.to_string());
        Ok(())
    });
    lines_of(&text, refused_whole)
}

fn lines_of(text: &str, refused_whole: Option<String>) -> std::result::Result<(Vec<String>, Vec<String>), String> {
    if let Some(refused) = refused_whole {
        return Err(refused);
    }
    let lines = || text.lines().skip(1).filter(|line| !line.starts_with("log/"));
    let (kept, refused) = lines()
        .map(ToOwned::to_owned)
        .partition(|line| line.starts_with("raw/"));
    Ok((kept, refused))
}

fn stored_as_json() -> Vec<String> {
    let records = std::fs::read(other_programs().join("records.ndjson")).unwrap();
    let text = outcome(|builder| {
        (1..)
            .zip(records.trim_ascii_end().split(|&byte| byte == b'\n'))
            .try_for_each(|(line, bytes)| builder.take_line(line, bytes).map(|_| ()))
    });
    lines_of(&text, None).unwrap().0
}

#[test]
fn the_same_records_are_read_from_the_files_of_pandas_pyarrow_duckdb_and_spark() {
    let expected = stored_as_json();
    assert_eq!(expected.len(), 3, "{expected:?}");
    for name in [
        "pandas-categories",
        "pandas-created-without-zone",
        "integer-ids",
        "decimals",
        "binary-texts",
        "float-durations",
        "map",
        "int96",
        "json-and-uuid",
        "duckdb-json",
        "duckdb-struct",
        "spark",
        "spark-micros",
        "nulls-snappy",
        "nulls-gzip",
        "nulls-zstd",
        "nulls-brotli",
        "nulls-lz4",
        "nulls-v2",
    ] {
        let found = stored(&format!("{name}.parquet"));
        assert_eq!(found, Ok((expected.clone(), Vec::new())), "{name}");
    }
}

#[test]
fn rows_with_a_value_in_a_column_that_no_record_has_are_refused_and_the_others_are_not() {
    let (stored_rows, refused) = stored("unknown-columns.parquet").unwrap();
    assert_eq!((stored_rows.len(), refused.len()), (1, 2), "{refused:?}");
    assert!(refused.iter().all(|line| line.contains("unknown_field")), "{refused:?}");
    let (stored_rows, refused) = stored("pandas-index.parquet").unwrap();
    assert_eq!((stored_rows.len(), refused.len()), (0, 3));
    assert!(refused.iter().all(|line| line.contains("index=False")), "{refused:?}");
}

#[test]
fn times_without_a_zone_and_accounts_in_floating_point_are_refused_row_by_row() {
    for (name, code) in [("pandas-without-zone", "not_a_time"), ("pandas-float-uin", "not_whole")] {
        let (stored_rows, refused) = stored(&format!("{name}.parquet")).unwrap();
        assert_eq!(stored_rows, Vec::<String>::new(), "{name}");
        assert_eq!(
            refused.iter().filter(|line| line.contains(code)).count(),
            3,
            "{name}: {refused:?}"
        );
    }
}

#[test]
fn a_column_of_a_type_that_no_field_has_is_told_in_users_words() {
    for (name, told) in [
        (
            "pandas-timedelta",
            "the column `duration_ms` is of type DURATION; write a whole number of milliseconds",
        ),
        (
            "list-as-id",
            "the column `id` is of type LIST; a single value is expected",
        ),
        (
            "list-as-parameters",
            "the column `parameters` is of type LIST; write it as a struct, as a map of texts",
        ),
    ] {
        let refused = stored(&format!("{name}.parquet")).unwrap_err();
        assert!(refused.contains(told), "{name}: {refused}");
    }
}

#[test]
fn a_map_with_a_name_twice_and_bytes_that_are_no_text_are_refused_row_by_row() {
    let mut rows = usual(1);
    rows.with_column(Series::new("parameters".into(), [r#"{"a":1,"a":2}"#]).into())
        .unwrap();
    let rows = rows.drop_many(["parameters.images", "parameters.codec"]);
    assert!(by_columns(&rows).contains("duplicate_field"), "{}", by_columns(&rows));
    let mut rows = usual(1);
    rows.with_column(Series::new("id".into(), [b"id\xff".as_slice()]).into())
        .unwrap();
    let text = Typed {
        name: "id".to_owned(),
        of: Of::Text,
    };
    let frame = Frame::of(&rows, &[text]).unwrap();
    let refused = outcome(|builder| fast::check(builder, &frame, 1));
    assert!(refused.contains("not_utf8"), "{refused}");
}

#[test]
fn a_file_that_was_cut_off_is_an_error_of_the_file_wherever_that_was() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("x.parquet");
    let mut whole = Vec::new();
    ParquetWriter::new(&mut whole).finish(&mut usual(20)).unwrap();
    for length in 0..=whole.len() {
        std::fs::write(&place, &whole[..length]).unwrap();
        match Rows::open("x", &place) {
            Ok(_) => assert_eq!(length, whole.len()),
            Err(Error::Input { .. }) => {}
            Err(other) => panic!("{length} bytes: {other}"),
        }
    }
}

/// A file of a few rows, some of them without an account.
fn plain_bytes() -> Vec<u8> {
    let mut rows = df!(
        "id" => (0..64).map(|row| format!("id-{row}")).collect::<Vec<_>>(),
        "uin" => (0..64_u64).map(|row| (row % 3 > 0).then_some(row)).collect::<Vec<_>>(),
    )
    .unwrap();
    let mut bytes = Vec::new();
    let writer = ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Uncompressed);
    writer
        .with_statistics(StatisticsOptions::empty())
        .finish(&mut rows)
        .unwrap();
    bytes
}

#[test]
fn a_file_with_any_byte_of_its_pages_damaged_is_read_or_refused_and_the_process_lives() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("x.parquet");
    let whole = plain_bytes();
    let pages = whole.windows(3).rposition(|bytes| bytes == b"uin").unwrap();
    let (mut read, mut refused) = (0, 0);
    for at in 4..pages {
        let mut bytes = whole.clone();
        bytes[at] = 0xFF;
        std::fs::write(&place, &bytes).unwrap();
        let opened = Rows::open("x", &place);
        let slices = opened.and_then(|rows| {
            outcome_of(&rows)?;
            Ok(())
        });
        match slices {
            Ok(()) => read += 1,
            Err(Error::Input { .. }) => refused += 1,
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    assert!(read > 0 && refused > 0, "{read} {refused}");
}

fn outcome_of(rows: &Rows) -> Result<()> {
    let mut read = Ok(());
    outcome(|builder| {
        read = rows.slices().try_for_each(|slice| rows.check(builder, slice));
        Ok(())
    });
    read
}

#[test]
fn a_panic_of_the_decoder_is_an_error_of_the_file() {
    let refused = decoded::<()>(|| panic!("assertion failed: bits"));
    assert_eq!(refused.unwrap_err(), "it is damaged and cannot be decoded");
}

#[test]
fn slices_cover_all_rows_and_lie_in_one_row_group_each() {
    let found: Vec<(usize, usize)> = slices(vec![0, SLICE_ROWS, 1, 2 * SLICE_ROWS + 3])
        .map(|slice| (slice.first, slice.count))
        .collect();
    let (a, b) = (SLICE_ROWS, SLICE_ROWS + 1);
    assert_eq!(found, [(0, a), (a, 1), (b, a), (b + a, a), (b + 2 * a, 3)]);
}
