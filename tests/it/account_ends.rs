//! Accounts that end on a day, and go on again: what is billed, what is refused, and what is said.

use std::path::Path;
use std::process::{Command, Stdio};

use tallybook::catalog::account::add::{Wanted, add};
use tallybook::catalog::account::end::reinstate::{Reinstated, reinstate};
use tallybook::catalog::account::end::terminate::{Terminated, terminate};
use tallybook::inspect::verify::verify;
use tallybook::nightly::Night;
use tallybook::pipeline::ingest::quarantine::filter::Filter;
use tallybook::pipeline::ingest::quarantine::retry::retry;
use tallybook::storage::ledger::{Lease, audit_trail};
use tallybook::support::error::Error;
use tallybook::values::calendar::Cycle;

use crate::crashes::process::{program, run as run_program, stop_at};
use crate::exactly_once::shop::{Shop, usage};
use crate::faults::small::{ends, says};
use crate::world::{at, run};

const PRICE: &str = "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }";
const NOW: &str = "2024-11-20T00:00:00Z";

/// Account 7 with a minute on 5 November in Shanghai, billed by calendar months.
fn shop() -> Shop {
    let shop = Shop::new("CNY", PRICE);
    shop.drop(&[minute("a", "2024-11-05T10:00:00+08:00")]);
    shop.place.night(NOW);
    shop
}

fn minute(id: &str, finished_at: &str) -> String {
    usage(id, 7, "A", finished_at, 60_000)
}

fn end_on(shop: &Shop, now: &str, day: &str) -> Result<Terminated, Error> {
    run(async {
        let books = shop.place.books(at(now)).await;
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        let ended = terminate(&books, &lease, 7, day.parse().unwrap(), "it moves").await;
        lease.release().await.unwrap();
        books.ledger.close().await;
        ended
    })
}

fn go_on(shop: &Shop, now: &str) -> Result<Reinstated, Error> {
    run(async {
        let books = shop.place.books(at(now)).await;
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        let goes_on = reinstate(&books, &lease, 7, "it stays").await;
        lease.release().await.unwrap();
        books.ledger.close().await;
        goes_on
    })
}

/// Lines that a retry took.
fn taken_again(shop: &Shop, now: &str) -> i64 {
    run(async {
        let books = shop.place.books(at(now)).await;
        let taken = retry(&books, &Filter::default()).await.unwrap().accepted;
        books.ledger.close().await;
        taken
    })
}

fn quarantined(night: &Night) -> i64 {
    let mut statuses = night.control.all.statuses.iter();
    statuses.find(|(name, _)| *name == "quarantined").unwrap().1.records
}

/// Statement, kind of line and amount of all that was exported, in the order of the exports.
fn billed(shop: &Shop) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, text) in shop.place.exported("statement_lines.csv") {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let at = ["statement_id", "kind", "amount"].map(|name| header.iter().position(|it| it == name).unwrap());
        lines.extend(reader.records().map(|row| {
            let row = row.unwrap();
            at.map(|at| row[at].to_owned()).join(" ")
        }));
    }
    lines
}

fn all_agree(shop: &Shop, now: &str) {
    let differences = run(async {
        let books = shop.place.books(at(now)).await;
        let verified = verify(&books).await.unwrap();
        books.ledger.close().await;
        verified.differences
    });
    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn the_last_period_ends_on_the_day_and_usage_of_that_day_is_refused_to_the_nanosecond() {
    let shop = shop();
    let ended = end_on(&shop, NOW, "2024-11-21").unwrap();
    let period = ended.last_period.unwrap();
    assert_eq!(period.to_string(), "[2024-11-01, 2024-11-21)");
    shop.drop(&[
        minute("before", "2024-11-20T23:59:59.999999999+08:00"),
        minute("after", "2024-11-21T00:00:00+08:00"),
        usage("other", 8, "A", "2024-11-21T10:00:00+08:00", 60_000),
    ]);
    let night = shop.place.night("2024-11-23T00:00:00Z");
    assert_eq!((quarantined(&night), billed(&shop)), (1, Vec::new()), "3 days of grace");
    shop.place.night("2024-11-24T00:00:00Z");
    assert_eq!(billed(&shop), ["7-20241101-20241121 usage 6.0000000000"]);
    let night = shop.place.night("2025-03-01T00:00:00Z");
    assert_eq!(quarantined(&night), 1);
    assert_eq!(
        billed(&shop),
        [
            "7-20241101-20241121 usage 6.0000000000",
            "8-20241101-20241201 usage 3.0000000000"
        ],
        "periods after the end issue nothing"
    );
    all_agree(&shop, "2025-03-01T00:00:00Z");
}

#[test]
fn usage_from_before_the_end_that_comes_late_is_adjusted_after_it() {
    let shop = shop();
    end_on(&shop, NOW, "2024-11-21").unwrap();
    shop.place.night("2024-11-24T00:00:00Z");
    shop.drop(&[minute("late", "2024-11-20T10:00:00+08:00")]);
    shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!(
        billed(&shop),
        [
            "7-20241101-20241121 usage 3.0000000000",
            "7-20241121-20241201 adjustment 3.0000000000"
        ]
    );
    all_agree(&shop, "2024-12-10T00:00:00Z");
}

#[test]
fn what_was_refused_is_billed_when_the_end_is_taken_back() {
    let shop = shop();
    end_on(&shop, NOW, "2024-11-21").unwrap();
    shop.drop(&[minute("b", "2024-11-22T10:00:00+08:00")]);
    shop.place.night("2024-11-25T00:00:00Z");
    assert_eq!(taken_again(&shop, "2024-11-26T00:00:00Z"), 0, "it has ended still");
    let goes_on = go_on(&shop, "2024-11-26T00:00:00Z").unwrap();
    assert_eq!(goes_on.period.to_string(), "[2024-11-21, 2024-12-01)");
    assert_eq!(taken_again(&shop, "2024-11-26T00:00:00Z"), 1);
    let night = shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!(quarantined(&night), 0);
    assert_eq!(
        billed(&shop),
        [
            "7-20241101-20241121 usage 3.0000000000",
            "7-20241121-20241201 usage 3.0000000000"
        ]
    );
    all_agree(&shop, "2024-12-10T00:00:00Z");
}

#[test]
fn an_end_can_be_taken_back_up_to_the_thirtieth_day_after_it() {
    let shop = shop();
    end_on(&shop, NOW, "2024-11-21").unwrap();
    // In Shanghai it is 22 December.
    let refused = go_on(&shop, "2024-12-21T16:00:00Z").unwrap_err().to_string();
    assert_eq!(
        refused,
        "account 7 ended on 2024-11-21, which could be taken back until 2024-12-21, 30 days later; today is 2024-12-22"
    );
    go_on(&shop, "2024-12-21T15:59:59Z").unwrap();
    let refused = go_on(&shop, "2024-12-21T15:59:59Z").unwrap_err().to_string();
    assert_eq!(refused, "account 7 has not ended; nothing can be taken back");
}

#[test]
fn an_account_that_went_on_can_end_again_and_each_end_parts_its_periods() {
    let shop = shop();
    end_on(&shop, NOW, "2024-11-25").unwrap();
    go_on(&shop, NOW).unwrap();
    end_on(&shop, NOW, "2024-11-22").unwrap();
    go_on(&shop, NOW).unwrap();
    shop.drop(&[
        minute("b", "2024-11-22T10:00:00+08:00"),
        minute("c", "2024-11-24T10:00:00+08:00"),
        minute("d", "2024-11-26T10:00:00+08:00"),
    ]);
    shop.place.night("2024-12-10T00:00:00Z");
    let expected = ["7-20241101-20241122", "7-20241122-20241125", "7-20241125-20241201"];
    let amounts = ["3.0000000000", "6.0000000000", "3.0000000000"];
    let expected: Vec<String> = expected
        .iter()
        .zip(amounts)
        .map(|(id, amount)| format!("{id} usage {amount}"))
        .collect();
    assert_eq!(billed(&shop), expected);
    all_agree(&shop, "2024-12-10T00:00:00Z");
}

#[test]
fn a_day_before_stored_usage_in_a_closed_period_or_before_the_beginning_is_refused_with_the_cure() {
    let shop = shop();
    let refused = |now: &str, day: &str| end_on(&shop, now, day).unwrap_err().to_string();
    assert_eq!(
        refused(NOW, "2024-11-05"),
        "account 7 has a record of 2024-11-05 (Asia/Shanghai), so it cannot end on 2024-11-05; end it on 2024-11-06 or later. \
         Records that were voided, failed or repeated count, too"
    );
    assert!(refused(NOW, "2024-11-04").contains("begins on 2024-11-05"));
    // Not metered yet, and in a zone in which it is the day before.
    let path = shop.place.file("b.ndjson", minute("b", "2024-11-18T20:00:00Z"));
    shop.place.ingest(NOW, &path).unwrap();
    assert!(refused(NOW, "2024-11-19").contains("has a record of 2024-11-19"));
    shop.place.night("2024-12-10T00:00:00Z");
    let now = "2024-12-10T00:00:00Z";
    assert!(refused(now, "2024-11-30").contains("is closed up to 2024-12-01; it can end on that day or later"));
    end_on(&shop, now, "2024-12-01").unwrap();
    assert!(refused(now, "2024-12-24").contains("ended on 2024-12-01 already"));
    let terms = run(async {
        let books = shop.place.books(at(now)).await;
        let wanted = Wanted {
            uin: 7,
            from: Some("2025-01-01".parse().unwrap()),
            ..Wanted::default()
        };
        let added = add(&books, wanted).await;
        books.ledger.close().await;
        added.unwrap_err().to_string()
    });
    assert!(
        terms.contains("ended on 2024-12-01, so terms from 2025-01-01 would never hold"),
        "{terms}"
    );
}

#[test]
fn an_account_that_is_billed_by_days_ends_as_well_and_its_counters_go_on_in_the_month() {
    let tiers = "[{ from = 0, to = 1, unit_price = \"3\" }, { from = 1, unit_price = \"1\" }]";
    let shop = Shop::new(
        "CNY",
        &format!("\"A\" = {{ tiers = {tiers}, origin = \"illustrative\" }}"),
    );
    shop.place.add_account(NOW, 7, "c", Cycle::Daily, "2024-11-01");
    shop.drop(&[minute("a", "2024-11-18T10:00:00+08:00")]);
    shop.place.night(NOW);
    end_on(&shop, NOW, "2024-11-19").unwrap();
    go_on(&shop, NOW).unwrap();
    shop.drop(&[minute("b", "2024-11-20T10:00:00+08:00")]);
    shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!(
        billed(&shop),
        [
            "7-20241118-20241119 usage 3.0000000000",
            "7-20241120-20241121 usage 1.0000000000"
        ]
    );
    all_agree(&shop, "2024-12-10T00:00:00Z");
}

#[test]
fn who_ended_an_account_and_why_is_in_the_audit_trail() {
    let shop = shop();
    end_on(&shop, NOW, "2024-11-21").unwrap();
    go_on(&shop, NOW).unwrap();
    let trail = run(async {
        let books = shop.place.books(at(NOW)).await;
        let trail = audit_trail(&books.ledger).await.unwrap();
        books.ledger.close().await;
        trail
    });
    let told: Vec<String> = trail
        .iter()
        .map(|entry| format!("{} {} {} {}", entry.action, entry.subject, entry.detail, entry.reason))
        .collect();
    assert_eq!(
        told,
        [
            "terminate account 7 {\"end_day\":\"2024-11-21\",\"zone\":\"Asia/Shanghai\"} it moves",
            "reinstate account 7 {\"end_day\":\"2024-11-21\"} it stays"
        ]
    );
}

const AS_OF: &str = "2024-11-16T12:00:00Z";

/// Books with account 7, and a line of it beside them.
fn books_and_line() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    crate::crashes::play::lay_ground(path);
    let line = crate::world::line("x", 7, "2024-11-16T10:00:00+08:00", 60_000);
    std::fs::write(path.join("in/x.ndjson"), line).unwrap();
    dir
}

fn end_in(path: &Path, day: &str) -> Command {
    program(path, AS_OF, &["terminate", "7", "--on", day, "--reason", "it moves"])
}

#[test]
fn an_input_that_was_read_before_the_account_ended_is_not_taken_and_the_next_run_refuses_its_line() {
    let dir = books_and_line();
    let path = dir.path();
    let ingest = || program(path, AS_OF, &["ingest", "in/x.ndjson"]);
    let stopped = stop_at(&mut ingest(), "synced raw").unwrap();
    ends(&mut end_in(path, "2024-11-16"), 0);
    let words = [
        "account 7 was ended (on 2024-11-16) while this input was being read",
        "run the same command again",
    ];
    says(&stopped.go_on(), 5, &words);
    // No record of its input could be taken, which needs a person.
    ends(&mut ingest(), 3);
    let listed = printed(path, &["quarantine", "list", "--json"]);
    assert!(listed.contains("\"code\":\"account_ended\""), "{listed}");
    assert!(
        listed.contains("account 7 ended on 2024-11-16 (in its time zone), and `finished_at` is 2024-11-16T02:00:00Z"),
        "{listed}"
    );
}

#[test]
fn a_retry_that_read_its_lines_before_the_account_ended_takes_none() {
    let dir = books_and_line();
    let path = dir.path();
    ends(&mut end_in(path, "2024-11-16"), 0);
    ends(&mut program(path, AS_OF, &["ingest", "in/x.ndjson"]), 3);
    ends(
        &mut program(path, AS_OF, &["reinstate", "7", "--reason", "it stays"]),
        0,
    );
    let stopped = stop_at(&mut program(path, AS_OF, &["quarantine", "retry"]), "synced raw").unwrap();
    ends(&mut end_in(path, "2024-11-16"), 0);
    says(&stopped.go_on(), 5, &["account 7 was ended (on 2024-11-16)"]);
    ends(
        &mut program(path, AS_OF, &["reinstate", "7", "--reason", "it stays"]),
        0,
    );
    ends(&mut program(path, AS_OF, &["quarantine", "retry"]), 0);
    says(
        &run_program(&mut end_in(path, "2024-11-16")),
        2,
        &["has a record of 2024-11-16"],
    );
}

fn printed(path: &Path, args: &[&str]) -> String {
    printed_at(path, AS_OF, args)
}

fn printed_at(path: &Path, now: &str, args: &[&str]) -> String {
    let output = program(path, now, args).stdout(Stdio::piped()).output().unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_dry_run_tells_what_an_end_would_do_and_writes_nothing() {
    let dir = books_and_line();
    let path = dir.path();
    let args = [
        "terminate",
        "7",
        "--on",
        "2024-11-20",
        "--reason",
        "it moves",
        "--dry-run",
    ];
    let before = crate::crashes::books::dump(path);
    insta::assert_snapshot!(printed(path, &args), @r"
    account 7 would end on 2024-11-20 (Asia/Shanghai)
    its last period, 2024-11-01 to 2024-11-20, closes from 2024-11-23T00:00:00+08:00 on
    usage of that day and later goes to quarantine (account_ended)
    until 2024-12-20, `tallybook reinstate 7 --reason TEXT` takes it back
    dry run: nothing was written
    ");
    assert!(crate::crashes::books::dump(path) == before);
    insta::assert_snapshot!(printed(path, &args[..6]), @r"
    account 7 ends on 2024-11-20 (Asia/Shanghai), audit entry 1
    its last period, 2024-11-01 to 2024-11-20, closes from 2024-11-23T00:00:00+08:00 on
    usage of that day and later goes to quarantine (account_ended)
    until 2024-12-20, `tallybook reinstate 7 --reason TEXT` takes it back
    ");
    insta::assert_snapshot!(printed(path, &["account", "show", "7"]), @r"
    account 7
    terms    from 1970-01-01: card c, Asia/Shanghai, monthly from day 1, discount 0 %
    periods  from 2024-11-15, closed to -
    ended    on 2024-11-20
    open     2024-11-01 to 2024-11-20
    ");
    assert!(printed(path, &["status"]).contains(", 1 ended"));
    let args = ["reinstate", "7", "--reason", "it stays", "--dry-run"];
    let before = crate::crashes::books::dump(path);
    insta::assert_snapshot!(printed(path, &args), @r"
    account 7 would go on: its end on 2024-11-20 would be taken back
    a new period begins on that day, 2024-11-20 to 2024-12-01
    dry run: nothing was written
    ");
    assert!(crate::crashes::books::dump(path) == before);
    insta::assert_snapshot!(printed(path, &["reinstate", "7", "--reason", "it stays"]), @r"
    account 7 goes on: its end on 2024-11-20 is taken back (audit entry 2)
    a new period begins on that day, 2024-11-20 to 2024-12-01
    run `tallybook quarantine retry --code account_ended` for lines that were refused since
    ");
    assert!(printed(path, &["account", "show", "7"]).contains("ended    on 2024-11-20, taken back\n"));
}

#[test]
fn an_end_has_a_certificate_with_its_decisions_and_statements_and_a_page_that_is_written_over_nothing() {
    const LATER: &str = "2024-11-24T00:00:00Z";
    let place = crate::faults::small::place();
    let path = place.path();
    ends(&mut program(path, AS_OF, &["nightly"]), 0);
    let certificate = ["account", "certificate", "7"];
    says(
        &run_program(&mut program(path, AS_OF, &certificate)),
        2,
        &["account 7 has not ended", "terminate 7"],
    );
    printed(
        path,
        &["terminate", "7", "--on", "2024-11-20", "--reason", "<it> moves"],
    );
    ends(&mut program(path, LATER, &["nightly"]), 0);
    let text = printed_at(path, LATER, &certificate);
    let digest = tallybook::values::digest::sha256_hex(text.as_bytes());
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let of_statement = shown["statements"][0]["digest"].as_str().unwrap();
    insta::assert_snapshot!(text.replace(of_statement, "DIGEST"));
    let statement = printed_at(path, LATER, &["statement", "7", "--month", "2024-11", "--json"]);
    assert!(statement.contains(of_statement), "{statement}");
    let page = path.join("end.html");
    let with_page = ["account", "certificate", "7", "--page", page.to_str().unwrap()];
    assert_eq!(printed_at(path, LATER, &with_page), text);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains(&digest) && html.contains("7-20241101-20241120"), "{html}");
    says(
        &run_program(&mut program(path, LATER, &with_page)),
        2,
        &["name a new file"],
    );
    assert_eq!(std::fs::read_to_string(&page).unwrap(), html);
}
