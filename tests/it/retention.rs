//! Retention of the ledger's own rows, by settings.

use tallybook::inspect::statement::{Shown, statements};
use tallybook::inspect::usage::usage as usage_of;
use tallybook::inspect::verify::{Verified, verify};
use tallybook::nightly::Night;
use tallybook::storage::ledger::query;
use tallybook::support::error::Error;

use crate::exactly_once::shop::{Shop, usage};
use crate::world::{at, run};

const PRICE: &str = "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }";

/// Three months of usage of one account, each closed on the tenth of the next.
fn three_months(keep_usage: Option<u32>, keep_lines: Option<u32>) -> Shop {
    let mut shop = Shop::new("CNY", PRICE);
    shop.place.settings().keep_usage_months = keep_usage;
    shop.place.settings().keep_statement_months = keep_lines;
    for (id, day, night) in [
        ("a", "2024-01-15", "2024-02-10"),
        ("b", "2024-02-15", "2024-03-10"),
        ("c", "2024-03-15", "2024-04-10"),
    ] {
        shop.drop(&[usage(id, 7, "A", &format!("{day}T10:00:00+08:00"), 60_000)]);
        shop.place.night(&format!("{night}T00:00:00Z"));
    }
    shop
}

fn verified(shop: &Shop, now: &str) -> Verified {
    run(async {
        let books = shop.place.books(at(now)).await;
        let verified = verify(&books).await.unwrap();
        books.ledger.close().await;
        verified
    })
}

fn count(shop: &Shop, sql: &'static str) -> i64 {
    run(async {
        let books = shop.place.books(at("2025-03-01T00:00:00Z")).await;
        let count = query(sql).fetch_one(&books.ledger).await.unwrap().try_get(0).unwrap();
        books.ledger.close().await;
        count
    })
}

fn gone(night: &Night) -> (&[String], &[String]) {
    let months = &night.expired.months;
    (&months.usage, &months.statement_lines)
}

#[test]
fn without_a_setting_usage_and_lines_are_kept_for_ever() {
    let shop = three_months(None, None);
    let night = shop.place.night("2040-01-01T00:00:00Z");
    assert_eq!(gone(&night), (&[][..], &[][..]));
    assert_eq!(count(&shop, "SELECT COUNT(*) FROM usage_daily"), 3);
}

#[test]
fn usage_for_dashboards_goes_by_months_and_the_rest_still_verifies() {
    let shop = three_months(Some(7), None);
    let now = "2024-09-20T00:00:00Z";
    assert_eq!(gone(&shop.place.night(now)).0, ["2024-01"]);
    assert_eq!(verified(&shop, now).differences, Vec::<String>::new());
    assert_eq!(count(&shop, "SELECT COUNT(*) FROM usage_daily"), 2);
    assert_eq!(count(&shop, "SELECT COUNT(*) FROM usage_total"), 2);
    let of = |from: &str, to: &str| {
        run(async {
            let books = shop.place.books(at(now)).await;
            let usage = usage_of(&books.ledger, 7, from.parse().unwrap(), to.parse().unwrap()).await;
            books.ledger.close().await;
            usage.map(|lines| lines.len())
        })
    };
    let refused = of("2024-01-01", "2024-03-01").unwrap_err().to_string();
    assert!(
        refused.contains("2024-01") && refused.contains("keep_usage_months"),
        "{refused}"
    );
    assert_eq!(of("2024-02-01", "2024-04-01").unwrap(), 2);
    assert_eq!(
        gone(&shop.place.night(now)).0,
        [] as [String; 0],
        "a second night drops nothing"
    );
}

#[test]
fn a_draft_of_a_period_whose_usage_for_dashboards_is_gone_says_the_same() {
    let mut shop = Shop::new("CNY", PRICE);
    shop.place.settings().keep_usage_months = Some(7);
    shop.write_card_not_sold(PRICE, "B");
    shop.drop(&[
        usage("a", 7, "A", "2024-01-15T10:00:00+08:00", 60_000),
        usage("b", 7, "B", "2024-01-15T10:00:00+08:00", 60_000),
        usage("c", 7, "A", "2024-02-15T10:00:00+08:00", 60_000),
    ]);
    // What has no price keeps January open.
    shop.place.night("2024-03-01T00:00:00Z");
    let drafts = || {
        run(async {
            let books = shop.place.books(at("2024-09-20T00:00:00Z")).await;
            let (from, to) = ("2024-01-01".parse().unwrap(), "2024-04-01".parse().unwrap());
            let shown = statements(&books, 7, from, to).await.unwrap();
            books.ledger.close().await;
            let told = |shown: &Shown| (shown.statement.digest.clone(), shown.unpriced.clone(), shown.draft);
            shown.iter().map(told).collect::<Vec<_>>()
        })
    };
    let before = drafts();
    assert_eq!(before.len(), 2);
    assert_eq!(gone(&shop.place.night("2024-09-20T00:00:00Z")).0, ["2024-01"]);
    assert_eq!(drafts(), before);
}

#[test]
fn lines_of_exported_statements_go_and_their_totals_digests_and_proofs_stay() {
    let shop = three_months(None, Some(12));
    let now = "2025-03-01T00:00:00Z";
    assert_eq!(gone(&shop.place.night(now)).1, ["2024-01", "2024-02"]);
    assert_eq!(count(&shop, "SELECT COUNT(*) FROM document"), 1);
    assert_eq!(count(&shop, "SELECT COUNT(*) FROM statement"), 3);
    // Rated again from the usage files, the digest is the same.
    let found = verified(&shop, now);
    assert_eq!((found.differences, found.statements), (Vec::<String>::new(), 3));
    let explained = run(async {
        let books = shop.place.books(at(now)).await;
        let explained = tallybook::inspect::explain::explain(&books, "7-20240101-20240201", None, 1).await;
        books.ledger.close().await;
        explained
    });
    let refused = explained.unwrap_err().to_string();
    assert!(refused.contains("keep_statement_months"), "{refused}");
    run(async {
        let books = shop.place.books(at(now)).await;
        tallybook::inspect::explain::explain(&books, "7-20240301-20240401", None, 1)
            .await
            .unwrap();
        let again = tallybook::pipeline::export::export_again(&books, 1, None)
            .await
            .unwrap_err();
        assert!(
            matches!(&again, Error::Usage(why) if why.contains("keep_statement_months")),
            "{again}"
        );
        books.ledger.close().await;
    });
}

#[test]
fn a_correction_of_periods_whose_lines_are_gone_is_refused_and_changes_nothing() {
    let shop = three_months(None, Some(12));
    shop.place.night("2025-03-01T00:00:00Z");
    shop.write_card("\"A\" = { unit_price = \"2\", origin = \"illustrative\" }");
    let refused = shop.try_correct("2025-03-02T00:00:00Z");
    assert!(
        matches!(&refused, Err(Error::NeedsPerson(why)) if why.contains("account 7") && why.contains("settle it outside")),
        "{refused:?}"
    );
    assert_eq!(count(&shop, "SELECT COUNT(*) FROM rate_card"), 1);
}

#[test]
fn lines_that_wait_for_an_adjustment_stay() {
    let shop = three_months(None, Some(12));
    shop.write_card("\"A\" = { unit_price = \"2\", origin = \"illustrative\" }");
    shop.correct("2025-02-20T00:00:00Z");
    // The correction is billed in the month that is open: nothing goes while it waits.
    let night = shop.place.night("2025-03-01T00:00:00Z");
    assert_eq!(
        night.closed.adjusted_accounts, 1,
        "the months since are closed in this night"
    );
    let kept_then = count(&shop, "SELECT COUNT(*) FROM document");
    assert_eq!(count(&shop, "SELECT COUNT(*) FROM statement") - kept_then, 2);
    assert_eq!(
        verified(&shop, "2025-03-01T00:00:00Z").differences,
        Vec::<String>::new()
    );
}

#[test]
fn a_statement_that_lost_its_lines_before_their_time_is_named() {
    let shop = three_months(None, None);
    crate::ledgers::execute(shop.place.path(), "DELETE FROM document");
    let found = verified(&shop, "2024-05-01T00:00:00Z").differences.join("\n");
    assert!(
        found.contains("the lines of statement 7-20240101-20240201 are missing"),
        "{found}"
    );
}
