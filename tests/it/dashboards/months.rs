//! Months as dates, units beside numbers, and what business intelligence tools ask of a reader.

use super::{Reader, VIEWS, ask, ledgers, rich_books, rows, sorted, summed};
use crate::ledgers::is_embedded;
use crate::world::Place;
use tallybook::storage::ledger::Engine;

/// The views that have a month, and how it is written in them.
fn with_months() -> impl Iterator<Item = &'static str> {
    let with_month = VIEWS.iter().filter(|(_, columns)| columns.contains("month_start date"));
    with_month.map(|(view, _)| *view)
}

#[test]
fn every_view_with_a_period_has_its_month_as_a_date() {
    let place = rich_books();
    let reader = Reader::of(&place);
    assert_eq!(with_months().count(), 8);
    for (view, columns) in VIEWS {
        let has_period = columns.contains("period_start") || columns.contains("month text");
        assert!(!has_period || with_months().any(|with| with == view), "{view}");
    }
    for view in with_months() {
        let months = sorted(rows(&reader, &format!("SELECT DISTINCT month_start FROM {view}")));
        assert!(!months.is_empty(), "{view}");
        for month in &months {
            assert!(month[0].len() == 10 && month[0].ends_with("-01"), "{view}: {month:?}");
        }
    }
    for view in with_months().filter(|view| !["dash_blocked", "dash_control_days"].contains(view)) {
        let other =
            format!("SELECT month, month_start FROM {view} WHERE month <> SUBSTR(CAST(month_start AS CHAR(10)), 1, 7)");
        assert!(rows(&reader, &other).is_empty(), "{view}");
    }
}

/// October as a tool asks for it that knows a time column: from its first day to the first of the next month.
#[test]
fn a_time_filter_of_a_month_finds_this_month_and_no_other() {
    let place = rich_books();
    let reader = Reader::of(&place);
    // A tool on a server writes instants; SQLite has dates as text, and compares text.
    let (from, to) = if is_embedded() {
        ("2024-11-01", "2024-12-01")
    } else {
        ("2024-11-01 00:00:00", "2024-12-01 00:00:00")
    };
    for view in [
        "dash_charges",
        "dash_lines",
        "dash_usage",
        "dash_totals",
        "dash_top_accounts",
    ] {
        let filtered =
            format!("SELECT DISTINCT month FROM {view} WHERE month_start >= '{from}' AND month_start < '{to}'");
        assert_eq!(rows(&reader, &filtered), [["2024-11"]], "{view}");
    }
}

#[test]
fn usage_has_its_unit_beside_it_and_a_sku_measured_in_both_has_none() {
    let place = rich_books();
    let of = |reader: &Reader, view: &str| {
        let sql = format!("SELECT month, sku, unit, SUM(billable_units) FROM {view} GROUP BY month, sku, unit");
        sorted(rows(reader, &sql))
    };
    let reader = Reader::of(&place);
    let by_total = of(&reader, "dash_totals");
    assert!(by_total.iter().any(|row| row[2] == "count") && by_total.iter().any(|row| row[2] == "ms"));
    assert_eq!(of(&reader, "dash_usage"), by_total);
    assert_eq!(of(&reader, "dash_usage_by_sku"), by_total);
    drop(reader);
    ledgers::execute(
        place.path(),
        "UPDATE usage_total SET unit = 'count' WHERE sku = 'A' AND month = '2024-11'",
    );
    let reader = Reader::of(&place);
    for view in ["dash_usage", "dash_usage_by_sku"] {
        let units = rows(&reader, &format!("SELECT DISTINCT unit FROM {view} WHERE sku = 'A'"));
        assert_eq!(units, [["-"]], "{view}");
    }
    let lines = rows(
        &reader,
        "SELECT DISTINCT price_unit FROM dash_lines WHERE sku IN ('A', 'Shot')",
    );
    assert_eq!(sorted(lines), [["image"], ["minute"]]);
}

#[test]
fn charges_tell_the_day_that_their_usage_reaches() {
    let place = rich_books();
    let reader = Reader::of(&place);
    let drafts = rows(
        &reader,
        "SELECT uin, usage_through FROM dash_charges WHERE state = 'draft' AND month = '2025-05' AND total <> 0",
    );
    let of = |uin: &str| drafts.iter().find(|row| row[0] == uin).map(|row| row[1].as_str());
    assert_eq!(of("7"), Some("2025-05-02"), "{drafts:?}");
    assert_eq!(of(&super::LARGEST.to_string()), Some("2025-05-03"), "{drafts:?}");
    let closed = rows(
        &reader,
        "SELECT DISTINCT period_end, usage_through FROM dash_charges WHERE state = 'closed' AND month = '2024-11'",
    );
    assert_eq!(closed, [["2024-12-01", "2024-11-30"]]);
}

#[test]
fn control_totals_by_day_add_up_to_all() {
    let place = rich_books();
    let reader = Reader::of(&place);
    for sum in ["records", "raw_ms", "raw_count", "uplift"] {
        let of = |view: &str| summed(rows(&reader, &format!("SELECT status, {sum} FROM {view}")));
        assert_eq!(of("dash_control_days"), of("dash_control_totals"), "{sum}");
    }
    let days = rows(&reader, "SELECT DISTINCT day FROM dash_control_days");
    assert!(days.contains(&vec!["2024-12-10".to_owned()]), "{days:?}");
}

#[test]
fn a_reader_of_a_postgresql_server_east_of_utc_labels_months_right() {
    if ledgers::engine() != Engine::Postgres {
        return;
    }
    let place = rich_books();
    let reader = Reader::of(&place);
    let owner = ledgers::url(place.path()).unwrap();
    // As a tool rounds to months: a date becomes an instant of the session's zone.
    let label = "SELECT DISTINCT CAST(CAST(DATE_TRUNC('month', period_start) AT TIME ZONE 'UTC' AS DATE) AS TEXT) \
                 FROM dash_charges WHERE month = '2024-11'";
    let in_zone = |zone: &str| {
        let sql = format!("SET timezone = '{zone}'; {label}");
        ask(&owner, &sql).unwrap().shown()
    };
    assert_eq!(
        in_zone("Asia/Shanghai"),
        [["2024-10-31"]],
        "what the role's zone is set against"
    );
    let role = format!(
        "SELECT CAST(s.setconfig AS TEXT) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE r.rolname = '{}'",
        reader.name()
    );
    let settings = ask(&owner, &role).unwrap().shown().concat().concat();
    for set in [
        "TimeZone=UTC",
        "statement_timeout=60s",
        "default_transaction_read_only=on",
    ] {
        assert!(settings.contains(set), "{settings}");
    }
    assert_eq!(in_zone("UTC"), [["2024-11-01"]]);
    // A month as a date is the same in any session.
    let dates = "SET timezone = 'Asia/Shanghai'; SELECT DISTINCT CAST(month_start AS TEXT) FROM dash_charges WHERE month = '2024-11'";
    assert_eq!(ask(&reader.url, dates).unwrap().shown(), [["2024-11-01"]]);
}

#[test]
fn a_reader_on_mysql_may_see_the_columns_of_each_view_and_has_a_time_limit() {
    if ledgers::engine() != Engine::MySql {
        return;
    }
    let place = Place::new();
    place.night("2024-12-10T00:00:00Z");
    let reader = Reader::of(&place);
    for (view, _) in VIEWS {
        let shown = rows(&reader, &format!("SHOW CREATE TABLE {view}"));
        assert_eq!(shown.len(), 1, "{view}");
    }
    let owner = ledgers::url(place.path()).unwrap();
    let is_mariadb = ask(&owner, "SELECT VERSION()").unwrap().shown()[0][0].contains("MariaDB");
    let user = ask(&owner, &format!("SHOW CREATE USER '{}'@'%'", reader.name())).unwrap();
    let user = user.shown().concat().concat();
    assert_eq!(user.contains("MAX_STATEMENT_TIME 60"), is_mariadb, "{user}");
}
