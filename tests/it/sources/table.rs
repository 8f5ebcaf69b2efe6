//! Tables as sources: what their rows become, and that none is lost or read twice, whatever happens in between.

use std::collections::{BTreeMap, BTreeSet};

use tallybook::catalog::source::kinds::table::Table;
use tallybook::sources::fetch::{Content, Fetch as _, FetchError, Part};
use tallybook::sources::table::{self, TableSource};
use tallybook::storage::ledger::Engine;

use super::database::{Database, databases, run};

/// Pages of three rows, so that every test crosses their borders.
const SMALL: &str = "table = 'usage_log'\ncursor = 'seen'\nkey = 'id'\npage_rows = 3\n";

fn by_time() -> String {
    format!("{SMALL}overlap = '10m'\n[columns]\nid = 'id'\nduration_ms = 'ms'\n")
}

fn by_number() -> String {
    format!("{SMALL}overlap = 10\n[columns]\nid = 'id'\nduration_ms = 'ms'\n")
}

const START: &str = "2026-11-01T00:00:00Z";

/// A column of times that are known everywhere.
fn instants(database: &Database) -> &'static str {
    database.either(
        "timestamptz NOT NULL",
        "timestamp(6) NOT NULL DEFAULT '2000-01-01 00:00:00'",
    )
}

/// The SQL of the instant so many seconds after the start.
fn instant(database: &Database, seconds: u32) -> String {
    let zone = database.either("+00", "");
    format!(
        "'2026-11-01 {:02}:{:02}:{:02}{zone}'",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn add(database: &Database, rows: &[(u32, &str)]) {
    let rows: Vec<String> = rows
        .iter()
        .map(|(seconds, id)| format!("({}, '{id}', {seconds})", instant(database, *seconds)))
        .collect();
    database.sql(&format!(
        "INSERT INTO usage_log (seen, id, ms) VALUES {}",
        rows.join(", ")
    ));
}

fn lines(part: &Part) -> Vec<String> {
    let Content::Lines { bytes, .. } = &part.content else {
        panic!("a table gives lines: {part:?}");
    };
    String::from_utf8(bytes.clone())
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn id_of(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    value["id"].as_str().unwrap().to_owned()
}

fn ids(part: &Part) -> Vec<String> {
    lines(part).iter().map(|line| id_of(line)).collect()
}

fn fetch(source: &mut TableSource) -> Result<Option<Part>, FetchError> {
    run(source.fetch())
}

/// The next part, which is in the books then.
fn next(source: &mut TableSource) -> Option<Part> {
    let part = fetch(source).unwrap();
    run(source.acknowledge()).unwrap();
    part
}

/// The ids of all parts until there is nothing more.
fn pull(source: &mut TableSource) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(part) = next(source) {
        all.extend(ids(&part));
    }
    all
}

/// What is said after all parts.
fn complaint(source: &mut TableSource) -> (Vec<String>, String) {
    let mut all = Vec::new();
    loop {
        match fetch(source) {
            Ok(Some(part)) => all.extend(ids(&part)),
            Ok(None) => panic!("a person is needed"),
            Err(FetchError::NeedsPerson(said)) => return (all, said),
            Err(other) => panic!("{other}"),
        }
        run(source.acknowledge()).unwrap();
    }
}

fn needs_person(source: &mut TableSource, words: &[&str]) {
    match fetch(source) {
        Err(FetchError::NeedsPerson(said)) => {
            for word in words {
                assert!(said.contains(word), "{word:?} is not in: {said}");
            }
        }
        other => panic!("a person is needed: {other:?}"),
    }
}

fn numbered(count: u32) -> Vec<String> {
    (1..=count).map(|number| format!("r{number:03}")).collect()
}

#[test]
fn values_are_those_of_the_row_to_the_digit_whatever_the_session() {
    for database in databases() {
        let (definition, rows, expected) = if database.is_postgres() {
            postgres_types()
        } else {
            mysql_types()
        };
        database.sql(rows);
        let mut source = database.open(definition, "0");
        let part = next(&mut source).unwrap();
        assert_eq!(lines(&part).join("\n"), expected);
        assert_eq!(next(&mut source).map(|part| ids(&part)), None);
    }
}

const POSTGRES_COLUMNS: &str = "table = 'usage_log'\ncursor = 'n'\nkey = 'n'\noverlap = 0\n[columns]\nid = 'l'\nuin = 'b'\n\
    appid = 'c'\ntask_type = 'q'\nduration_ms = 'd'\nfinished_at = 'g'\ncreated_at = 'h'\ntask_id = 'b'\nparameters.a = 'a'\n\
    parameters.e = 'e'\nparameters.f = 'f'\nparameters.i = 'i'\nparameters.j = 'j'\nparameters.k = 'k'\nparameters.m = 'm'\n\
    parameters.p = 'p'\nparameters.r = 'r'\n";

fn postgres_types() -> (&'static str, &'static str, &'static str) {
    (
        POSTGRES_COLUMNS,
        // Sessions that write values in another way.
        "DO $$ DECLARE setting text; BEGIN FOREACH setting IN ARRAY ARRAY['datestyle = ''German''', 'timezone = ''Asia/Tokyo''', \
         'extra_float_digits = -5', 'bytea_output = ''escape''', 'default_transaction_isolation = ''read committed'''] \
         LOOP EXECUTE format('ALTER DATABASE %I SET %s', current_database(), setting); END LOOP; END $$; \
         CREATE TYPE speed AS ENUM ('fast', 'slow'); \
         CREATE DOMAIN long_text AS text; \
         CREATE TABLE usage_log (n bigint NOT NULL, a smallint, b bigint, c numeric(30, 3), d double precision, e real, f boolean, \
         g timestamptz, h timestamp(3), i json, j jsonb, k uuid, l long_text, m bytea, p date, q varchar(20), r speed); \
         INSERT INTO usage_log VALUES \
         (1, -7, 9223372036854775807, 123456789012345678901234567.890, 32000, 16777217, true, '2026-11-01 08:00:00.123456+08', \
         '2026-11-01 00:00:00.5', E'{\"a\":\\n 1.10}', '[1, null]', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', E'x\"\\\\ é\\n', '\\x61c3a9', \
         '2026-11-01', 'Transcode', 'fast'), \
         (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'null', NULL, NULL, NULL, NULL), \
         (3, 0, 0, 0.5, 0.1, 0.5, false, 'infinity', '-infinity', 'null', '\"s\"', NULL, '', '', 'infinity', '', 'slow'), \
         (4, 1, 1, 1, 'NaN', 'Infinity', false, NULL, NULL, NULL, NULL, NULL, 'nan', NULL, NULL, NULL, NULL)",
        concat!(
            r#"{"id":"x\"\\ é\u000a","uin":9223372036854775807,"appid":123456789012345678901234567.890,"task_type":"Transcode","#,
            r#""duration_ms":32000.0,"finished_at":"2026-11-01T00:00:00.123456Z","task_id":"9223372036854775807","#,
            r#""created_at":"2026-11-01T00:00:00.5","parameters":{"a":-7,"e":16777216.0,"f":true,"i":{"a":  1.10},"j":[1, null],"#,
            r#""k":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","m":"aé","p":"2026-11-01","r":"fast"}}"#,
            "\n",
            r#"{"id":"null"}"#,
            "\n",
            r#"{"id":"","uin":0,"appid":0.500,"task_type":"","duration_ms":0.1,"finished_at":"infinity","task_id":"0","#,
            r#""created_at":"-infinity","parameters":{"a":0,"e":0.5,"f":false,"i":null,"j":"s","m":"","p":"infinity","r":"slow"}}"#,
            "\n",
            r#"{"id":"nan","uin":1,"appid":1.000,"duration_ms":NaN,"task_id":"1","parameters":{"a":1,"e":Infinity,"f":false}}"#,
        ),
    )
}

fn mysql_types() -> (&'static str, &'static str, &'static str) {
    (
        "table = 'usage_log'\ncursor = 'n'\nkey = 'n'\noverlap = 0\n[columns]\nid = 'l'\nuin = 'b'\nappid = 'c'\ntask_type = 'q'\n\
         duration_ms = 'd'\nfinished_at = 'g'\ncreated_at = 'h'\ntask_id = 'b'\nparameters.a = 'a'\nparameters.e = 'e'\n\
         parameters.f = 'f'\nparameters.k = 'k'\nparameters.m = 'm'\nparameters.p = 'p'\nparameters.r = 'r'\n\
         parameters.z = 'z'\n",
        "SET sql_mode = ''; \
         CREATE TABLE usage_log (n bigint unsigned NOT NULL, a tinyint(1), b bigint unsigned, c decimal(30, 3), d double, e float, \
         f bit(9), g timestamp(6) NULL, h datetime NULL, k year, l varchar(20) CHARACTER SET latin1, m varbinary(10), \
         p date, q text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, r enum('fast', 'slow'), z int(6) zerofill); \
         SET time_zone = '+08:00'; \
         INSERT INTO usage_log VALUES \
         (1, 1, 18446744073709551615, 123456789012345678901234567.890, 32000, 16777217, b'100000001', '2026-11-01 08:00:00.123456', \
         '2026-11-01 00:00:00', 2026, 'x\"\\\\ é\\n', X'61C3A9', '2026-11-01', 'Transcode', 'fast', 42), \
         (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'null', NULL, NULL, NULL, NULL, NULL), \
         (3, 0, 0, 0.5, 0.1, 0.5, b'0', '0000-00-00 00:00:00', '0000-00-00 00:00:00', 0, '', '', '0000-00-00', '', 'slow', 0)",
        concat!(
            r#"{"id":"x\"\\ é\u000a","uin":18446744073709551615,"appid":123456789012345678901234567.890,"task_type":"Transcode","#,
            r#""duration_ms":32000.0,"finished_at":"2026-11-01T00:00:00.123456Z","task_id":"18446744073709551615","#,
            r#""created_at":"2026-11-01T00:00:00","parameters":{"a":1,"e":16777216.0,"f":257,"#,
            r#""k":2026,"m":"aé","p":"2026-11-01","r":"fast","z":42}}"#,
            "\n",
            r#"{"id":"null"}"#,
            "\n",
            r#"{"id":"","uin":0,"appid":0.500,"task_type":"","duration_ms":0.1,"finished_at":"0000-00-00T00:00:00Z","task_id":"0","#,
            r#""created_at":"0000-00-00T00:00:00Z","parameters":{"a":0,"e":0.5,"f":0,"k":0,"m":"","p":"0000-00-00","#,
            r#""r":"slow","z":0}}"#,
        ),
    )
}

#[test]
fn a_column_of_json_is_the_parameters_and_bytes_that_are_no_text_are_left_for_the_door() {
    for database in databases() {
        let (json, bytes) = database
            .either("jsonb|bytea", "json|varbinary(9)")
            .split_once('|')
            .unwrap();
        database.sql(&format!(
            "CREATE TABLE usage_log (n bigint NOT NULL, j {json}, b {bytes})"
        ));
        let bytes = database.either("'\\xff0a'", "X'ff0a'");
        database.sql(&format!(
            "INSERT INTO usage_log VALUES (1, '{{\"codec\": \"H264\"}}', {bytes}), (2, NULL, NULL)"
        ));
        let mut source = database.open(
            "table = 'usage_log'\ncursor = 'n'\nkey = 'n'\noverlap = 0\n[columns]\nid = 'b'\nparameters = 'j'\nduration_ms = 'n'\n",
            "0",
        );
        let Some(Part {
            content: Content::Lines { bytes, .. },
            ..
        }) = next(&mut source)
        else {
            panic!("there are two lines");
        };
        let first = b"{\"id\":\"\xff\\u000a\",\"parameters\":{\"codec\": \"H264\"},\"duration_ms\":1}\n";
        assert_eq!(bytes, [&first[..], b"{\"duration_ms\":2}\n"].concat());
    }
}

#[test]
fn rows_of_one_cursor_value_are_read_once_each_across_the_borders_of_pages() {
    for database in databases() {
        database.table("usage_log", instants(&database), "ms bigint");
        let rows = numbered(40);
        // Seven rows have one time, then the next seven, in another order than their ids.
        let rows: Vec<(u32, &str)> = (0..)
            .zip(&rows)
            .map(|(at, id)| ((at * 11 % 40) / 7, id.as_str()))
            .collect();
        add(&database, &rows);
        let mut source = database.open(&by_time(), START);
        let mut parts = 0;
        let mut all = Vec::new();
        while let Some(part) = next(&mut source) {
            parts += 1;
            all.extend(ids(&part));
        }
        assert_eq!(parts, 14);
        assert_eq!(all.len(), 40);
        assert_eq!(
            all.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>(),
            numbered(40)
        );
    }
}

#[test]
fn keys_of_text_are_compared_as_the_column_orders_them() {
    for database in databases() {
        // Neither orders by bytes.
        let collation = database.either("\"en-x-icu\"", "utf8mb4_unicode_ci");
        let text = format!(
            "varchar(20) {} COLLATE {collation} NOT NULL",
            database.either("", "CHARACTER SET utf8mb4")
        );
        database.sql(&format!(
            "CREATE TABLE usage_log (seen bigint NOT NULL, id {text}, ms bigint)"
        ));
        let ids = ["a", "B", "c", "D", "é", "F", "z", "Ä1", "_"];
        for id in ids {
            let charset = database.either("", "SET NAMES utf8mb4;");
            database.sql(&format!("{charset} INSERT INTO usage_log VALUES (1, '{id}', 1)"));
        }
        let one_by_one = by_number().replace("page_rows = 3", "page_rows = 1");
        let mut all = pull(&mut database.open(&one_by_one, "0"));
        assert_ne!(all, ids);
        all.sort();
        let mut expected = ids.map(str::to_owned);
        expected.sort();
        assert_eq!(all, expected);
    }
}

#[test]
fn what_is_committed_late_is_found_within_the_overlap_and_nothing_is_sent_twice() {
    for database in databases() {
        database.table("usage_log", instants(&database), "ms bigint");
        add(&database, &[(0, "a"), (1000, "b"), (1300, "c")]);
        let late = format!(
            "INSERT INTO usage_log (seen, id, ms) VALUES ({}, 'late', 1)",
            instant(&database, 1100)
        );
        let mut source = database.open(&by_time(), START);
        database.while_uncommitted(&late, || {
            assert_eq!(pull(&mut source), ["a", "b", "c"]);
            // Nothing new: nothing is sent.
            assert_eq!(pull(&mut source), [""; 0]);
        });
        assert_eq!(pull(&mut source), ["late"]);
        add(&database, &[(1700, "d")]);
        assert_eq!(pull(&mut source), ["d"]);
        // A row that changed is sent again: whether it may have is the door's to say.
        database.sql("UPDATE usage_log SET ms = 7 WHERE id = 'c'");
        assert_eq!(pull(&mut source), ["c"]);
        assert_eq!(pull(&mut source), [""; 0]);
    }
}

#[test]
fn a_time_without_an_offset_says_how_far_a_source_is_read_where_the_source_has_a_zone() {
    for database in databases() {
        let local = database.either("timestamp(6) NOT NULL", "datetime(6) NOT NULL");
        database.table("usage_log", local, "ms bigint");
        database.sql("INSERT INTO usage_log (seen, id, ms) VALUES ('2026-11-01 08:00:00', 'a', 1)");
        let definition = database.definition(&by_time());
        let newest = |zone| {
            let mut source = table::open(database.engine, &definition, "2026-11-01", zone, None).unwrap();
            next(&mut source).unwrap().newest.map(|time| time.to_rfc3339())
        };
        assert_eq!(newest(None), None);
        assert_eq!(
            newest(Some(chrono_tz::Tz::Asia__Shanghai)).as_deref(),
            Some("2026-11-01T00:00:00+00:00")
        );
    }
}

#[test]
fn an_opened_source_goes_on_from_its_position_with_the_overlap_and_never_before_its_start() {
    for database in databases() {
        database.table("usage_log", "bigint NOT NULL", "ms bigint");
        let rows: Vec<String> = (1..=30)
            .map(|number| format!("({number}, 'r{number:03}', 1)"))
            .collect();
        database.sql(&format!(
            "INSERT INTO usage_log (seen, id, ms) VALUES {}",
            rows.join(", ")
        ));
        let definition = database.definition(&by_number());
        let open = |from: &str, position: Option<&str>| {
            table::open(database.engine, &definition, from, None, position).unwrap()
        };

        let mut source = open("5", None);
        let first = next(&mut source).unwrap();
        assert_eq!(ids(&first), ["r005", "r006", "r007"]);
        let position = first.position.unwrap();
        assert_eq!(position, r#"{"cursor":"7","key":"r007"}"#);
        assert_eq!(first.name, "usage_log up to seen 7, id r007");
        // Seven minus ten is before the start.
        let mut again = open("5", Some(&position));
        assert_eq!(pull(&mut again), numbered(30)[4..]);
        let mut third = open("5", Some(r#"{"cursor":"25","key":"r025"}"#));
        let part = next(&mut third).unwrap();
        assert_eq!(ids(&part), ["r015", "r016", "r017"]);
        // In the overlap the position stays where it is.
        assert_eq!(part.position.unwrap(), r#"{"cursor":"25","key":"r025"}"#);

        needs_person(
            &mut open(START, None),
            &["`from` is 2026-11-01T00:00:00Z", "a whole number is expected"],
        );
        let of_another = r#"{"cursor":"2026-11-01T00:00:00Z","key":"x"}"#;
        needs_person(
            &mut open("5", Some(of_another)),
            &["the type of the cursor has changed"],
        );
        assert!(table::open(database.engine, &definition, "5", None, Some("{}")).is_err());
    }
}

#[test]
fn a_part_that_was_not_acknowledged_comes_again() {
    for database in databases() {
        database.table("usage_log", instants(&database), "ms bigint");
        let rows = numbered(7);
        let rows: Vec<(u32, &str)> = (0..).zip(rows.iter().map(String::as_str)).collect();
        add(&database, &rows);
        let mut source = database.open(&by_time(), START);
        let first = fetch(&mut source).unwrap().unwrap();
        let again = fetch(&mut source).unwrap().unwrap();
        assert_eq!(lines(&first), lines(&again));
        assert_eq!(first.position, again.position);
        run(source.acknowledge()).unwrap();
        // Told twice.
        run(source.acknowledge()).unwrap();
        assert_eq!(pull(&mut source), numbered(7)[3..]);
        // Told late, of what nobody knows any more.
        run(source.acknowledge()).unwrap();
        assert_eq!(pull(&mut source), [""; 0]);
    }
}

#[test]
fn a_connection_that_the_server_ends_is_made_again_without_a_gap() {
    for database in databases() {
        database.table("usage_log", instants(&database), "ms bigint");
        let names = numbered(20);
        let rows: Vec<(u32, &str)> = (0..).zip(names.iter().map(String::as_str)).collect();
        add(&database, &rows);
        let mut source = database.open(&by_time(), START);
        let mut all = Vec::new();
        for _ in 0..3 {
            all.extend(ids(&next(&mut source).unwrap()));
            database.cut_connections();
            assert!(matches!(fetch(&mut source), Err(FetchError::Unavailable(_))));
        }
        // The lines of this process are known, so that the overlap sends none twice.
        all.extend(pull(&mut source));
        assert_eq!(all, names);
    }
}

#[test]
fn a_table_or_column_that_is_gone_or_of_another_type_needs_a_person_and_is_named() {
    for database in databases() {
        database.table("usage_log", instants(&database), "ms bigint");
        let names = numbered(9);
        let rows: Vec<(u32, &str)> = (0..).zip(names.iter().map(String::as_str)).collect();
        add(&database, &rows);
        let mut source = database.open(&by_time(), START);
        assert_eq!(ids(&next(&mut source).unwrap()), names[..3]);
        database.sql(database.either(
            "ALTER TABLE usage_log ALTER COLUMN ms TYPE double precision",
            "ALTER TABLE usage_log MODIFY ms double",
        ));
        needs_person(&mut source, &["the column ms was of type", "INT", "and is of type"]);
        database.sql("ALTER TABLE usage_log DROP COLUMN ms");
        needs_person(&mut source, &["ms", "correct `columns`, `cursor` or `key`"]);
        database.sql("DROP TABLE usage_log");
        needs_person(&mut source, &["usage_log", "correct `table` or `query`"]);
        // All is well again: it goes on, with the overlap.
        database.table("usage_log", instants(&database), "ms bigint");
        add(&database, &rows);
        let mut all = pull(&mut source);
        all.sort();
        assert_eq!(all, names[3..]);
    }
}

#[test]
fn an_empty_table_gives_nothing_and_its_first_rows_come_later() {
    for database in databases() {
        database.table("usage_log", instants(&database), "ms bigint");
        let mut source = database.open(&by_time(), START);
        assert_eq!(pull(&mut source), [""; 0]);
        add(&database, &[(5, "a")]);
        assert_eq!(pull(&mut source), ["a"]);
        database.sql("DELETE FROM usage_log");
        assert_eq!(pull(&mut source), [""; 0]);
    }
}

#[test]
fn rows_that_have_no_place_in_the_order_are_told_after_all_others_were_read() {
    for database in databases() {
        let cursor = database.either("timestamptz", "timestamp(6) NULL");
        database.sql(&format!(
            "CREATE TABLE usage_log (seen {cursor}, id varchar(64), ms bigint)"
        ));
        let (first, second) = (instant(&database, 1), instant(&database, 2));
        database.sql(&format!(
            "INSERT INTO usage_log VALUES ({first}, 'a', 1), (NULL, 'b', 1), ({first}, NULL, 1), ({second}, 'c', 1)"
        ));
        let ahead = database.either("now() + interval '2 days'", "UTC_TIMESTAMP() + INTERVAL 2 DAY");
        database.sql(&format!("INSERT INTO usage_log SELECT {ahead}, 'd', 1"));
        let mut source = database.open(&by_time(), START);
        let (all, said) = complaint(&mut source);
        assert_eq!(all, ["a", "c"]);
        assert!(
            said.contains("usage_log: not read are 2 rows without a value in seen or id"),
            "{said}"
        );
        assert!(
            said.contains("1 row whose seen is more than a day ahead of the server's clock"),
            "{said}"
        );
        database.sql("DELETE FROM usage_log WHERE id = 'd'; DELETE FROM usage_log WHERE id IS NULL");
        database.sql(&format!("UPDATE usage_log SET seen = {second} WHERE id = 'b'"));
        assert_eq!(pull(&mut source), ["b"]);
    }
}

#[test]
fn a_time_that_no_time_follows_is_told_and_does_not_end_the_source() {
    for database in databases() {
        let cursor = database.either("timestamptz NOT NULL", "datetime NOT NULL");
        database.table("usage_log", cursor, "ms bigint");
        let (low, high) = database
            .either("'-infinity'|'infinity'", "'0000-00-00 00:00:00'|'9999-12-31 23:59:59'")
            .split_once('|')
            .unwrap();
        let mode = database.either("", "SET sql_mode = '';");
        database.sql(&format!(
            "{mode} INSERT INTO usage_log VALUES ({low}, 'a', 1), ({high}, 'b', 1), ({}, 'c', 1)",
            instant(&database, 1)
        ));
        let from = if database.is_postgres() {
            START
        } else {
            "2026-11-01T00:00:00"
        };
        let (all, said) = complaint(&mut database.open(&by_time(), from));
        assert_eq!(all, ["c"]);
        assert!(
            said.contains("1 row without a value in seen") && said.contains("1 row whose seen is"),
            "{said}"
        );
    }
}

#[test]
fn a_key_that_does_not_tell_rows_apart_is_found_where_a_page_ends() {
    for database in databases() {
        database.table("usage_log", instants(&database), "ms bigint");
        add(&database, &[(1, "a"), (1, "b"), (1, "c"), (1, "c"), (2, "d")]);
        needs_person(
            &mut database.open(&by_time(), START),
            &[
                "2 rows have seen 2026-11-01T00:00:01.000000Z and id c",
                "name a column in `key`",
            ],
        );
        // What is one text to the database is one key, however it is written.
        if !database.is_postgres() {
            database.sql("DELETE FROM usage_log");
            add(&database, &[(1, "a"), (1, "b"), (1, "c"), (1, "C"), (2, "d")]);
            needs_person(&mut database.open(&by_time(), START), &["2 rows have seen"]);
        }
    }
}

#[test]
fn names_and_keys_with_any_sign_are_names_and_keys() {
    const COLUMN: &str = "i\"d`; DROP TABLE usage_log; --";
    for database in databases() {
        let quote = database.either("\"", "`");
        let quoted = |name: &str| format!("{quote}{}{quote}", name.replace(quote, &quote.repeat(2)));
        let (table, column) = (quoted("us\"age` l'og"), quoted(COLUMN));
        database.sql(&format!(
            "CREATE TABLE {table} ({column} varchar(64) NOT NULL, seen bigint NOT NULL)"
        ));
        let keys = [
            "'); DROP TABLE usage_log; --",
            "\\'); DELETE FROM usage_log; --",
            "\\",
            "\"`'",
            "$1 ? %s",
            "é 中 \u{1F600}",
            "a\nb",
        ];
        let charset = database.either("", "SET NAMES utf8mb4;");
        for key in keys {
            let key = key.replace('\'', "''");
            let key = if database.is_postgres() {
                key
            } else {
                key.replace('\\', "\\\\")
            };
            database.sql(&format!(
                "{charset} INSERT INTO {table} ({column}, seen) VALUES ('{key}', 1)"
            ));
        }
        let definition = format!(
            "table = '''us\"age` l'og'''\ncursor = 'seen'\nkey = '''{COLUMN}'''\npage_rows = 1\noverlap = 0\n[columns]\n\
             id = '''{COLUMN}'''\n"
        );
        let mut source = database.open(&definition, "0");
        let all: BTreeSet<String> = pull(&mut source).into_iter().collect();
        assert_eq!(all, keys.map(str::to_owned).into_iter().collect());
    }
}

#[test]
fn a_query_is_read_as_a_table_is_and_only_reads() {
    for database in databases() {
        database.table("usage_log", instants(&database), "ms bigint");
        add(&database, &[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
        let definition = |query: &str| {
            format!(
                "query = '''{query}'''\ncursor = 'seen'\nkey = 'id'\npage_rows = 2\noverlap = '1m'\n[columns]\nid = 'id'\nduration_ms = 'ms2'\n"
            )
        };
        let query = "SELECT id, seen, ms * 2 AS ms2 FROM usage_log WHERE id <> 'b' -- ('all but one";
        let mut source = database.open(&definition(query), START);
        assert_eq!(pull(&mut source), ["a", "c", "d"]);
        needs_person(
            &mut database.open(&definition("SELECT id, seen FROM usage_log"), START),
            &["ms2"],
        );
        needs_person(
            &mut database.open(&definition("SELECT id, seen FORM usage_log"), START),
            &["correct `query`"],
        );
        if database.is_postgres() {
            let writes = "WITH gone AS (DELETE FROM usage_log RETURNING *) SELECT id, seen, ms AS ms2 FROM gone";
            needs_person(&mut database.open(&definition(writes), START), &["correct `query`"]);
        }
        assert_eq!(pull(&mut database.open(&definition(query), START)), ["a", "c", "d"]);
    }
}

#[test]
fn columns_that_give_no_order_are_refused_with_the_type() {
    for database in databases() {
        let uneven = database.either("real", "float");
        database.sql(&format!(
            "CREATE TABLE usage_log (seen timestamp NULL, id {uneven}, ms bigint, name varchar(9))"
        ));
        let definition = |cursor: &str, key: &str, overlap: &str| {
            format!(
                "table = 'usage_log'\ncursor = '{cursor}'\nkey = '{key}'\noverlap = {overlap}\n[columns]\nid = 'name'\n"
            )
        };
        let refused = |cursor: &str, key: &str, overlap: &str, words: &[&str]| {
            needs_person(&mut database.open(&definition(cursor, key, overlap), "0"), words);
        };
        refused(
            "name",
            "ms",
            "1",
            &["`cursor`", "name is of type VARCHAR", "a time or an integer is needed"],
        );
        refused("ms", "id", "1", &["`key`", "id is of type FLOAT"]);
        refused("ms", "name", "'1m'", &["`overlap`", "a whole number, such as 1000"]);
        refused("seen", "name", "5", &["`overlap`", "a time, such as \"10m\""]);
        refused("gone", "name", "5", &["gone", "correct `columns`, `cursor` or `key`"]);
    }
}

#[test]
fn a_server_that_is_away_is_waited_for_and_one_that_refuses_needs_a_person() {
    for database in databases() {
        let scheme = database.either("postgres", "mysql");
        let at = |url: &str| {
            let rest = format!("url = '{scheme}://{url}'\n{}", by_time());
            let definition: Table = toml::from_str(&rest).unwrap();
            table::open(database.engine, &definition, START, None, None).unwrap()
        };
        // Nobody listens on the port of a socket that was closed.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        match fetch(&mut at(&format!("reader@127.0.0.1:{port}/usage"))) {
            Err(FetchError::Unavailable(said)) => {
                assert!(said.contains("...@127.0.0.1") && !said.contains("reader@"), "{said}");
            }
            other => panic!("{other:?}"),
        }
        let mut without_file = database.definition(&by_time());
        without_file.password_file = Some("/nonexistent/password".into());
        let mut source = table::open(database.engine, &without_file, START, None, None).unwrap();
        needs_person(&mut source, &["/nonexistent/password"]);
        let mut no_database = database.definition(&by_time());
        no_database.url += "_gone";
        let mut source = table::open(database.engine, &no_database, START, None, None).unwrap();
        needs_person(&mut source, &["_gone", "check the database in `url`"]);
    }
}

#[test]
fn a_server_is_reached_by_the_number_of_an_ipv6_address() {
    // Nothing but a listener: whether it is called is all that is asked. Some machines have no such addresses.
    let Ok(listener) = run(tokio::net::TcpListener::bind("[::1]:0")) else {
        return;
    };
    let port = listener.local_addr().unwrap().port();
    for (engine, scheme) in [(Engine::Postgres, "postgres"), (Engine::MySql, "mysql")] {
        let text = format!("url = '{scheme}://reader@[::1]:{port}/usage'\n{}", by_time());
        let definition: Table = toml::from_str(&text).unwrap();
        definition.check(engine).unwrap();
        let mut source = table::open(engine, &definition, START, None, None).unwrap();
        run(async {
            tokio::select! {
                called = listener.accept() => drop(called.unwrap()),
                answered = source.fetch() => panic!("{scheme}: it was not called: {answered:?}"),
            }
        });
    }
}

/// A table that people write to while it is pulled, and all rows that it ever had.
struct Model<'d> {
    database: &'d Database,
    seed: u64,
    clock: u32,
    written: BTreeMap<String, u32>,
}

impl Model<'_> {
    /// The next number of a fixed sequence, below `limit`.
    fn choose(&mut self, limit: u32) -> u32 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.seed >> 33).unwrap() % limit
    }

    /// Writes a few rows, some of which are committed late, but not later than the overlap.
    fn write(&mut self) {
        let mut rows = Vec::new();
        for _ in 0..=self.choose(5) {
            self.clock += self.choose(200);
            let seconds = self.clock.saturating_sub(self.choose(500));
            let id = format!("r{:04}", self.written.len());
            rows.push((seconds, id.clone()));
            self.written.insert(id, seconds);
        }
        let rows: Vec<(u32, &str)> = rows.iter().map(|(seconds, id)| (*seconds, id.as_str())).collect();
        add(self.database, &rows);
    }
}

#[test]
fn whatever_happens_in_between_all_rows_arrive() {
    for database in databases() {
        database.table("usage_log", instants(&database), "ms bigint");
        let definition = database.definition(&by_time());
        let open = |position: Option<&str>| table::open(database.engine, &definition, START, None, position).unwrap();
        let mut model = Model {
            database: &database,
            seed: 20_261_101,
            clock: 0,
            written: BTreeMap::new(),
        };
        let (mut arrived, mut kept) = (BTreeSet::new(), None);
        let mut source = open(None);
        for _ in 0..120 {
            match model.choose(10) {
                0..4 => model.write(),
                4 => source = open(kept.as_deref()),
                5 => drop(fetch(&mut source)),
                6 => database.cut_connections(),
                _ => take(&mut source, &mut arrived, &mut kept),
            }
        }
        while fetch(&mut source).is_err() {}
        let mut source = open(kept.as_deref());
        while let Some(part) = next(&mut source) {
            arrived.extend(ids(&part));
        }
        assert_eq!(
            arrived.into_iter().collect::<Vec<_>>(),
            model.written.into_keys().collect::<Vec<_>>()
        );
    }
}

/// One part, with its position, as the books take it.
fn take(source: &mut TableSource, arrived: &mut BTreeSet<String>, kept: &mut Option<String>) {
    let Ok(Some(part)) = fetch(source) else {
        return;
    };
    arrived.extend(ids(&part));
    *kept = part.position;
    run(source.acknowledge()).unwrap();
}
