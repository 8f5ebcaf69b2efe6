//! What dashboards ask: the views, the queries of the Grafana files, and the user that may ask them.

mod answers;
mod books;
mod files;
mod months;
mod reader;

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tallybook::inspect::statement::statements;
use tallybook::inspect::usage::usage;
use tallybook::pipeline::close::statement::document;
use tallybook::pipeline::rate::Kind;
use tallybook::storage::ledger::Engine;

use crate::exactly_once::shop::{Shop, usage as used, void};
use crate::ledgers;
use crate::world::{Place, at, run};
use answers::ask;
use books::{LARGEST, NOW, rich_books};
use reader::Reader;

/// A view that the program reads, and no dashboard.
const OWN_VIEW: &str = "closed_period";

/// Every view with its columns and their kinds, as docs/reference/views.md describes them. A `real` is of the embedded ledger alone, whose decimals,
/// dates and times are text.
const VIEWS: [(&str, &str); 18] = [
    ("dash_account_labels", "uin text, label text, value text"),
    (
        "dash_accounts",
        "uin text, name text, contract text, first_day date, ended_on date",
    ),
    (
        "dash_alarms",
        "alarm integer, batch integer, input text, source text, code text, received integer, refused integer, raised_at time, \
         state text, ended_at time",
    ),
    (
        "dash_blocked",
        "uin text, period_start date, period_end date, why text, unpriced text, month_start date",
    ),
    (
        "dash_charges",
        "uin text, month text, period_start date, period_end date, state text, currency text, usage_amount decimal, \
         adjustment_amount decimal, rounding decimal, total decimal, total_for_charts real, line_count integer, records integer, \
         unpriced integer, statement_id text, as_of time, usage_through date, month_start date",
    ),
    (
        "dash_conflicts",
        "state text, conflicts integer, first_day date, last_day date",
    ),
    (
        "dash_control_days",
        "day date, status text, records integer, raw_ms integer, raw_count integer, uplift integer, month_start date",
    ),
    (
        "dash_control_totals",
        "status text, records integer, raw_ms integer, raw_count integer, uplift integer",
    ),
    ("dash_ended_accounts", "uin text, ended_on date"),
    (
        "dash_held_days",
        "day date, code text, sentence text, needs_person integer",
    ),
    (
        "dash_lines",
        "statement_id text, uin text, period_start date, period_end date, currency text, line_no integer, appid text, kind text, \
         card text, card_version date, region text, sku text, meter text, unit text, records integer, quantity decimal, \
         unit_price decimal, discount_percent decimal, amount decimal, amount_for_charts real, corrects_statement text, \
         corrects_line integer, price_unit text, month text, month_start date, packages integer, multiplier decimal, \
         usage_quantity decimal, corrects_kind text",
    ),
    (
        "dash_quarantine",
        "code text, line_count integer, first_received_at time, last_received_at time",
    ),
    ("dash_runs", "run integer, command text, as_of time, exit_code integer"),
    (
        "dash_sources",
        "source text, kind text, position text, newest time, batch integer, parts integer, records integer, committed_at time, \
         pulled_at time, done_at time, state text, failures integer, message text, disabled_at time",
    ),
    (
        "dash_top_accounts",
        "month text, currency text, uin text, total decimal, total_for_charts number, records integer, drafts integer, \
         month_start date",
    ),
    (
        "dash_totals",
        "month text, day date, task_type text, region text, sku text, unit text, records integer, raw_units integer, \
         billable_units integer, month_start date",
    ),
    (
        "dash_usage",
        "uin text, month text, day date, appid text, region text, sku text, records integer, raw_units integer, \
         billable_units integer, unit text, month_start date",
    ),
    (
        "dash_usage_by_sku",
        "uin text, month text, day date, sku text, records integer, raw_units integer, billable_units integer, unit text, \
         month_start date",
    ),
];

const MONTHS: [&str; 3] = ["2024-11", "2024-12", "2025-05"];
const ACCOUNTS: [u64; 4] = [7, 9, 10, LARGEST];

/// The rows that a ledger answers, as text.
pub fn answered(url: &str, sql: &str) -> Vec<Vec<String>> {
    let answer = ask(url, sql);
    answer.unwrap_or_else(|error| panic!("{sql}: {error}")).shown()
}

/// The rows of an answer that must be given.
fn rows(reader: &Reader, sql: &str) -> Vec<Vec<String>> {
    let answer = ask(&reader.url, sql);
    answer.unwrap_or_else(|error| panic!("{sql}: {error}")).shown()
}

fn sorted(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    rows.sort();
    rows
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The sums of the last column, by the others.
fn summed(rows: Vec<Vec<String>>) -> BTreeMap<Vec<String>, Decimal> {
    let mut sums = BTreeMap::new();
    for mut row in rows {
        let amount = decimal(&row.pop().unwrap());
        *sums.entry(row).or_default() += amount;
    }
    sums
}

#[test]
fn both_servers_have_the_same_dashboards() {
    let with_one_source = |server: &str| -> Vec<(String, String)> {
        let source = |name: &str| [format!("\"type\":\"{name}\""), format!("\"query\":\"{name}\"")];
        let same = |text: String| {
            let named = source(server).into_iter().zip(source("server"));
            named.fold(text, |text, (own, same)| text.replace(&own, &same))
        };
        let dashboards = files::dashboards(server).into_iter();
        dashboards.map(|(name, json)| (name, same(json.to_string()))).collect()
    };
    let postgres = with_one_source("postgres");
    assert_eq!(postgres.len(), 2);
    assert_eq!(postgres, with_one_source("mysql"));
}

#[test]
fn each_chart_takes_its_data_source_from_the_variable_and_charts_over_time_have_a_time() {
    for (file, dashboard) in files::dashboards("postgres").iter().chain(&files::dashboards("mysql")) {
        assert_eq!(dashboard["schemaVersion"], 39, "{file}");
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert_eq!(variables[0]["type"], "datasource", "{file}");
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: std::collections::BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{file}: each panel has a number of its own");
        let of_charts = panels
            .iter()
            .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
        let asking = of_charts.chain(variables.iter().filter(|variable| variable["type"] == "query"));
        for asks in asking {
            let source = &asks["datasource"];
            assert_eq!(source["type"], variables[0]["query"], "{file}: {asks}");
            assert_eq!(source["uid"], "${datasource}", "{file}: {asks}");
        }
        for asked in files::queries(dashboard) {
            let is_over_time = asked.sql.contains(" AS time, ") && asked.sql.contains(" AS metric, ");
            let format = if is_over_time { "time_series" } else { "table" };
            assert!(asked.format.is_none_or(|is| is == format), "{file}: {}", asked.sql);
        }
    }
}

#[test]
fn every_query_of_every_dashboard_gives_the_same_on_every_engine() {
    let place = rich_books();
    let reader = Reader::of(&place);
    let server = match ledgers::engine() {
        Engine::MySql => "mysql",
        _ => "postgres",
    };
    let largest = LARGEST.to_string();
    let november = [
        ("month", "2024-11"),
        ("account", "7"),
        ("currency", "CNY"),
        ("unit", "ms"),
    ];
    let december = [
        ("month", "2024-12"),
        ("account", &largest),
        ("currency", "USD"),
        ("unit", "ms"),
    ];
    let may = [
        ("month", "2025-05"),
        ("account", "7"),
        ("currency", "CNY"),
        ("unit", "count"),
    ];
    let mut text = String::new();
    for (_, dashboard) in files::dashboards(server) {
        for asked in files::queries(&dashboard) {
            text.push_str(&format!("# {}\n", asked.title));
            let mut is_empty = true;
            for values in [november, december, may] {
                let sql = values.iter().fold(asked.sql.clone(), |sql, (name, value)| {
                    sql.replace(&format!("${name}"), value)
                });
                assert!(!sql.contains('$'), "a variable that no dashboard has: {sql}");
                let answer = ask(&reader.url, &sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
                is_empty &= answer.rows.is_empty();
                if sql != asked.sql {
                    let values = values.map(|(name, value)| format!("{name} {value}"));
                    text.push_str(&format!("## {}\n", values.join(", ")));
                }
                text.push_str(&format!("{}\n", answer.columns.join(" | ")));
                for row in answer.shown() {
                    text.push_str(&format!("{}\n", row.join(" | ")));
                }
                if sql == asked.sql {
                    break;
                }
            }
            assert!(!is_empty, "{} has nothing to show", asked.title);
            text.push('\n');
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_views_say_what_the_program_itself_answers() {
    let place = rich_books();
    let reader = Reader::of(&place);
    run(async {
        let books = place.books(at(NOW)).await;
        for uin in ACCOUNTS {
            for month in MONTHS {
                let from: chrono::NaiveDate = format!("{month}-01").parse().unwrap();
                let to = from + chrono::Months::new(1);
                let answered = usage(&books.ledger, uin, from, to)
                    .await
                    .unwrap()
                    .into_iter()
                    .map(|line| {
                        let numbers =
                            [line.records, line.raw_units, line.billable_units].map(|number| number.to_string());
                        let names = [line.day, line.appid, line.region, line.sku];
                        names.into_iter().chain(numbers).collect()
                    });
                assert_eq!(
                    sorted(answered.collect()),
                    usage_of(&reader, uin, month),
                    "{uin} {month}"
                );
            }
            let (from, to) = ("2024-01-01".parse().unwrap(), "2026-01-01".parse().unwrap());
            let shown = statements(&books, uin, from, to).await.unwrap();
            let answered = shown.iter().map(|shown| {
                let statement = &shown.statement;
                let amounts = [
                    statement.usage_amount,
                    statement.adjustment_amount,
                    statement.rounding,
                    statement.total,
                ];
                let mut row = vec![
                    statement.period.start.to_string(),
                    statement.period.end.to_string(),
                    statement.currency.to_string(),
                ];
                row.extend(amounts.map(|amount| amount.normalize().to_string()));
                row.push(statement.lines.to_string());
                row.push(shown.unpriced.len().to_string());
                row.extend(if shown.draft {
                    ["draft".to_owned(), "-".to_owned()]
                } else {
                    ["closed".to_owned(), statement.statement_id.clone()]
                });
                row
            });
            let charges = format!(
                "SELECT period_start, period_end, currency, usage_amount, adjustment_amount, rounding, total, line_count, unpriced, \
                 state, statement_id FROM dash_charges WHERE uin = '{uin}'"
            );
            assert_eq!(
                sorted(answered.collect()),
                sorted(rows_apart(&reader, &charges)),
                "{uin}"
            );
        }
        books.ledger.close().await;
    });
}

#[test]
fn a_region_of_the_signs_that_json_is_made_of_is_told_as_it_came() {
    const ODD: &str = r#"{"odd":\}, [[é],1"#;
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }");
    let quoted = serde_json::Value::from(ODD).to_string();
    let odd = |id: &str, ms: u64| {
        used(id, 7, "A", "2024-11-05T10:00:00+08:00", ms)
            .replace("\"type\":", &format!("\"region\":{quoted},\"type\":"))
    };
    shop.drop(&[
        used("a", 7, "A", "2024-11-04T10:00:00+08:00", 60_000),
        odd("b", 60_000),
        odd("c", 90_001),
    ]);
    shop.place.night("2024-11-06T00:00:00Z");
    let sql =
        "SELECT region, day, records, raw_units, billable_units FROM dash_usage WHERE uin = '7' AND month = '2024-11'";
    let told = sorted(rows(&Reader::of(&shop.place), sql));
    assert_eq!(
        told,
        [
            ["r", "2024-11-04", "1", "60000", "60000"],
            [ODD, "2024-11-05", "2", "150001", "150001"]
        ]
    );
    assert_eq!(usage_of(&Reader::of(&shop.place), 7, "2024-11").len(), 2);
}

/// Usage of an account's month as its view has it, without what voids made nothing of.
fn usage_of(reader: &Reader, uin: u64, month: &str) -> Vec<Vec<String>> {
    let sql = format!(
        "SELECT day, appid, region, sku, SUM(records), SUM(raw_units), SUM(billable_units) FROM dash_usage \
         WHERE uin = '{uin}' AND month = '{month}' GROUP BY day, appid, region, sku"
    );
    let rows = rows_apart(reader, &sql).into_iter();
    sorted(rows.filter(|row| row[4..] != ["0", "0", "0"]).collect())
}

/// Rows, asked for within a runtime.
fn rows_apart(reader: &Reader, sql: &str) -> Vec<Vec<String>> {
    std::thread::scope(|scope| scope.spawn(|| rows(reader, sql)).join().unwrap())
}

#[test]
fn usage_by_sku_adds_up_over_apps_and_nights() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }");
    let of_app = |app: u64| {
        (1..=30).map(move |day| {
            let line = used(
                &format!("{app}-{day}"),
                7,
                "A",
                &format!("2024-11-{day:02}T10:00:00+08:00"),
                60_000 + app,
            );
            line.replace("\"appid\":1", &format!("\"appid\":{app}"))
        })
    };
    let many: Vec<String> = (1..=40).flat_map(of_app).collect();
    shop.drop(&many);
    shop.place.night("2024-12-01T00:00:00Z");
    shop.drop(&[void("v", "40-9")]);
    shop.place.night("2024-12-02T00:00:00Z");
    let reader = Reader::of(&shop.place);
    let units = (1..=40).map(|app| 60_000 + app).sum::<i64>();
    let row = |day: u32| {
        let (records, units) = if day == 9 { (39, units - 60_040) } else { (40, units) };
        let units = units.to_string();
        vec![
            format!("2024-11-{day:02}"),
            "A".to_owned(),
            records.to_string(),
            units.clone(),
            units,
        ]
    };
    let of_month = "WHERE uin = '7' AND month = '2024-11'";
    let sums = "SUM(records), SUM(raw_units), SUM(billable_units)";
    assert_eq!(
        sorted(rows(
            &reader,
            &format!("SELECT day, sku, {sums} FROM dash_usage_by_sku {of_month} GROUP BY day, sku")
        )),
        (1..=30).map(row).collect::<Vec<_>>()
    );
    assert_eq!(
        rows(&reader, &format!("SELECT day FROM dash_usage {of_month}")).len(),
        40 * 30 + 1
    );
}

#[test]
fn usage_for_dashboards_that_is_not_what_the_usage_files_hold_is_named() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }");
    shop.drop(&[
        used("a", 7, "A", "2024-11-04T10:00:00+08:00", 60_000),
        used("b", 8, "A", "2024-11-04T10:00:00+08:00", 60_000),
    ]);
    shop.place.night("2024-12-01T00:00:00Z");
    let verified = |place: &Place| crate::nights::verified(place, "2024-12-03T00:00:00Z").differences;
    assert_eq!(verified(&shop.place), Vec::<String>::new());
    for (change, told) in [
        (
            "UPDATE usage_daily SET days = REPLACE(days, '\"A\"', '\"B\"') WHERE uin = '7'",
            "usage_daily of account 7, metering 1, differs from",
        ),
        (
            "UPDATE usage_daily SET records = 2 WHERE uin = '8'",
            "usage_daily of account 8, metering 1, differs from",
        ),
        (
            "UPDATE usage_daily SET days = '[322]' WHERE uin = '7'",
            "usage_daily of account 7, metering 1: ",
        ),
        (
            "UPDATE usage_daily SET uin = '07' WHERE uin = '7'",
            "usage_daily of account 07, metering 1, in 2024-11: not a valid account or month",
        ),
        (
            "DELETE FROM usage_daily WHERE uin = '8'",
            "usage_daily of account 8, metering 1, is missing",
        ),
        (
            "INSERT INTO usage_daily (month, uin, metering, records, days) SELECT month, uin, 2, records, days FROM usage_daily",
            "usage_daily has 2 rows of metering 2, which has no usage file",
        ),
    ] {
        let copy = shop.place.copy();
        ledgers::execute(copy.path(), change);
        let found = verified(&copy).join("\n");
        assert!(found.contains(told), "{change}: {found}");
    }
}

#[test]
fn sums_by_day_account_and_statement_agree_and_the_control_totals_balance() {
    let place = rich_books();
    let reader = Reader::of(&place);
    for sum in ["records", "raw_units", "billable_units"] {
        let of = |view: &str| {
            let by = format!("SELECT month, day, region, sku, SUM({sum}) FROM {view} GROUP BY month, day, region, sku");
            sorted(rows(&reader, &by))
        };
        assert_eq!(of("dash_totals"), of("dash_usage"), "{sum}");
    }
    let charged = summed(rows(&reader, "SELECT month, currency, uin, total FROM dash_charges"));
    let of_accounts = rows(&reader, "SELECT month, currency, uin, total FROM dash_top_accounts");
    assert_eq!(charged, summed(of_accounts.clone()));
    assert_eq!(charged.len(), of_accounts.len(), "one row for each");
    let stated = rows(
        &reader,
        "SELECT statement_id, total FROM dash_charges WHERE state = 'closed'",
    );
    assert_eq!(
        summed(stated),
        summed(rows(&reader, "SELECT statement_id, amount FROM dash_lines"))
    );
    let control = rows(
        &reader,
        "SELECT status, records, raw_ms, raw_count FROM dash_control_totals",
    );
    for at in 1..4 {
        let side = |is_received: bool| -> Decimal {
            let of_side = control.iter().filter(|row| (row[0] == "received") == is_received);
            of_side.map(|row| decimal(&row[at])).sum()
        };
        assert!(!side(true).is_zero());
        assert_eq!(side(true), side(false), "{control:?}");
    }
}

#[test]
fn lines_are_unfolded_as_their_statement_has_them() {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }");
    shop.drop(&[used("a", 7, "A", "2024-11-04T10:00:00+08:00", 60_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    let lines = lines_of_three_groups();
    let wanted: Vec<usize> = (0..16).chain(19..document::COLUMNS.len()).collect();
    let columns: Vec<&str> = wanted.iter().map(|at| document::COLUMNS[*at]).collect();
    let sql = format!("SELECT {} FROM dash_lines ORDER BY line_no", columns.join(", "));
    for document in [document::write(None, &lines), document::v1::text(&lines)] {
        let body = ledgers::literal(&document.as_str().into());
        ledgers::execute(shop.place.path(), &format!("UPDATE document SET body = {body}"));
        let stated = document::rows(&document).unwrap();
        let stated: Vec<Vec<String>> = stated
            .iter()
            .map(|row| wanted.iter().map(|at| shown(&row[*at])).collect())
            .collect();
        let answer = ask(&Reader::of(&shop.place).url, &sql).unwrap();
        let unfolded = answer
            .rows
            .iter()
            .map(|row| row.iter().map(answers::Cell::exact).collect());
        assert_eq!(unfolded.collect::<Vec<Vec<String>>>(), stated, "{document}");
    }
}

/// Two groups of several lines, with discounts, tiers, packages, multipliers and what they correct, and the rounding line.
fn lines_of_three_groups() -> Vec<document::Line<'static>> {
    let line = |line_no: u32, region: &'static str| document::Line {
        line_no,
        appid: Some(1_300_000_001),
        kind: Kind::Adjustment,
        card: "mps-cn".into(),
        card_version: "2024-01-01".parse().ok(),
        region: region.into(),
        sku: format!("SKU.{line_no}").into(),
        meter: "transcode".into(),
        unit: "minute".into(),
        records: Some(i64::from(line_no) - 3),
        priced: Some(document::Priced {
            quantity: Decimal::new(1_500_000 + i64::from(line_no), 6),
            unit_price: Decimal::new(32_500_000_000 + i64::from(line_no % 2), 12),
            discount_percent: Decimal::new(i64::from(line_no % 2) * 125, 1),
            packages: (line_no == 2).then_some(7),
        }),
        amount: Decimal::new(-487_500, 7),
        multiplier: (line_no == 3).then(|| Decimal::new(175, 2)),
        usage_quantity: (line_no == 3).then(|| Decimal::new(857_143, 6)),
        corrects_kind: (line_no == 4).then_some(Kind::Included),
        corrects: (line_no > 2).then(|| ("7-20241001-20241101".into(), 9 + line_no)),
        note: "late".into(),
        slice: line_no / 2,
        span_start: None,
    };
    let first = (1..4).map(|line_no| line(line_no, "ap-guangzhou"));
    let second = (4..6).map(|line_no| line(line_no, "eu-frankfurt"));
    let rounding = document::Line::rounding(6, Decimal::new(25, 4), "to 0.01 CNY".to_owned());
    first.chain(second).chain([rounding]).collect()
}

/// A cell of a document as the answers are shown.
fn shown(cell: &str) -> String {
    match Decimal::from_str_exact(cell) {
        _ if cell.is_empty() => "-".to_owned(),
        Ok(number) if cell.contains('.') => number.normalize().to_string(),
        _ => cell.to_owned(),
    }
}

#[test]
fn every_view_has_the_columns_that_the_documents_describe() {
    let place = rich_books();
    if ledgers::is_embedded() {
        // It tells the kind of a column by a value, and the card of these books has no packages and no multiplier.
        let body = document::write(None, &lines_of_three_groups());
        let body = ledgers::literal(&body.as_str().into());
        let sql = format!("UPDATE document SET body = {body} WHERE document = (SELECT MIN(document) FROM document)");
        ledgers::execute(place.path(), &sql);
    }
    let reader = Reader::of(&place);
    let all = std::iter::once(OWN_VIEW).chain(VIEWS.map(|(view, _)| view));
    assert_eq!(views(&place), all.collect::<Vec<_>>());
    let page = page_of_views();
    for (view, described) in VIEWS {
        let expected = described.split(", ").filter_map(kind_here);
        assert_eq!(columns(&reader, view), expected.collect::<Vec<_>>(), "{view}");
        assert_eq!(documented(&page, view), described, "docs/reference/views.md, {view}");
    }
}

/// The columns of a view with their kinds, as the table under its heading has them.
fn documented(page: &str, view: &str) -> String {
    let (_, section) = page.split_once(&format!("\n## {view}\n")).unwrap();
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let cells = section
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split_once("` | "));
    let columns = cells.map(|(name, rest)| format!("{name} {}", rest.split(" |").next().unwrap()));
    columns.collect::<Vec<_>>().join(", ")
}

#[test]
fn the_example_queries_of_the_documents_have_answers() {
    let place = rich_books();
    let reader = Reader::of(&place);
    let page = page_of_views();
    let (_, section) = page.split_once("```sql\n").unwrap();
    let (examples, _) = section.split_once("```").unwrap();
    let examples: Vec<&str> = examples
        .split(';')
        .map(str::trim)
        .filter(|sql| !sql.is_empty())
        .collect();
    assert!(examples.len() > 2, "{examples:?}");
    for sql in examples {
        assert!(!rows(&reader, sql).is_empty(), "{sql}");
    }
}

fn page_of_views() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/views.md")).unwrap()
}

/// The columns of a view with their kinds: as the server says, or as the embedded ledger's values are.
fn columns(reader: &Reader, view: &str) -> Vec<String> {
    if ledgers::is_embedded() {
        let answer = ask(&reader.url, &format!("SELECT * FROM {view}")).unwrap();
        let first = |at: usize| answer.rows.iter().map(|row| &row[at]).find(|cell| !cell.is_null());
        let with_kind = |(at, name): (usize, &String)| {
            let cell = first(at).unwrap_or_else(|| panic!("{view}.{name} has a value"));
            format!("{name} {}", kind(&cell.kind))
        };
        return answer.columns.iter().enumerate().map(with_kind).collect();
    }
    let sql = format!(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = {} AND table_name = '{view}' \
         ORDER BY ordinal_position",
        schema()
    );
    let columns = rows(reader, &sql).into_iter();
    columns
        .map(|column| format!("{} {}", column[0], kind(&column[1])))
        .collect()
}

/// The views of a place's ledger.
fn views(place: &Place) -> Vec<String> {
    let url = ledgers::url(place.path());
    let url = url.unwrap_or_else(|| tallybook::storage::ledger::Ledger::embedded_url(&place.data()));
    let sql = if ledgers::is_embedded() {
        "SELECT name FROM sqlite_master WHERE type = 'view'".to_owned()
    } else {
        format!(
            "SELECT table_name FROM information_schema.views WHERE table_schema = {}",
            schema()
        )
    };
    sorted(ask(&url, &sql).unwrap().shown()).concat()
}

/// What the server calls the place of the ledger's tables.
fn schema() -> &'static str {
    match ledgers::engine() {
        Engine::MySql => "DATABASE()",
        _ => "current_schema()",
    }
}

/// What an engine's type is to the documents.
fn kind(of_engine: &str) -> &str {
    match of_engine {
        "TEXT" | "text" | "varchar" | "longtext" => "text",
        "INTEGER" | "bigint" => "integer",
        "numeric" | "decimal" => "decimal",
        "timestamp with time zone" | "datetime" => "time",
        "REAL" => "real",
        other => other,
    }
}

/// The column of the engine under test that the documents describe; none where this engine does not have it.
fn kind_here(column: &str) -> Option<String> {
    let (name, kind) = column.split_once(' ').unwrap();
    let is_embedded = ledgers::is_embedded();
    match kind {
        "real" if !is_embedded => None,
        // To order by: SQLite has no exact number to do it.
        "number" if is_embedded => Some(format!("{name} real")),
        "number" => Some(format!("{name} decimal")),
        "decimal" | "date" | "time" if is_embedded => Some(format!("{name} text")),
        kind => Some(format!("{name} {kind}")),
    }
}

#[test]
fn a_reader_made_by_the_documented_statements_reads_the_views_and_nothing_else() {
    if ledgers::is_embedded() {
        return;
    }
    let place = Place::new();
    place.night("2024-12-10T00:00:00Z");
    let reader = Reader::of(&place);
    for (view, _) in VIEWS {
        rows(&reader, &format!("SELECT * FROM {view}"));
    }
    let tables = run(async {
        let books = place.books(at("2024-12-10T00:00:00Z")).await;
        let tables = books.ledger.tables().await.unwrap();
        books.ledger.close().await;
        tables
    });
    assert!(tables.len() > 30, "{tables:?}");
    let hidden = ["write_lock", "_sqlx_migrations"].map(str::to_owned);
    for table in tables.iter().chain(&hidden) {
        refused(&reader, &format!("SELECT 1 FROM {table}"));
        refused(&reader, &format!("DELETE FROM {table}"));
    }
    // Nobody can write through it, whatever their rights.
    refused(&reader, &format!("SELECT 1 FROM {OWN_VIEW}"));
    for (view, _) in VIEWS {
        refused(&reader, &format!("DROP VIEW {view}"));
    }
    // Who had the right to it could write through these.
    for view in ["dash_blocked", "dash_held_days", "dash_runs"] {
        refused(&reader, &format!("DELETE FROM {view}"));
    }
    refused(&reader, "UPDATE dash_runs SET exit_code = 0");
    refused(
        &reader,
        "INSERT INTO dash_runs (run, command, exit_code) VALUES (9, 'nightly', 0)",
    );
    refused(&reader, "UPDATE run SET exit_code = 0");
    refused(&reader, "CREATE TABLE mine (one INT)");
    refused(&reader, "CREATE TEMPORARY TABLE mine (one INT)");
    refused(&reader, "CREATE VIEW mine AS SELECT 1 AS one");
    refused(&reader, "CREATE DATABASE mine");
}

/// The server says that the reader has no right to it, and not that something else is wrong with it.
fn refused(reader: &Reader, sql: &str) {
    let Err(sqlx::Error::Database(error)) = ask(&reader.url, sql).map(|answer| answer.rows.len()) else {
        panic!("{sql} is refused");
    };
    let message = error.message();
    let is_for_rights = match ledgers::engine() {
        Engine::Postgres => error.code().as_deref() == Some("42501"),
        _ => message.contains("command denied to user") || message.contains("Access denied for user"),
    };
    assert!(is_for_rights, "{sql}: {message}");
}

#[test]
fn no_file_of_the_dashboards_has_a_password() {
    for server in ["postgres", "mysql"] {
        let folder = files::folder().join(server);
        let statements = std::fs::read_to_string(folder.join("reader.sql")).unwrap();
        assert!(statements.contains("'CHANGE-ME'"));
        let source = std::fs::read_to_string(folder.join("provisioning/datasources/tallybook.yaml")).unwrap();
        assert!(source.contains("password: $TALLYBOOK_READER_PASSWORD"));
    }
}
