//! Nights in a row: repeats, late usage, blocked periods, expiry, proofs.

use std::collections::BTreeSet;

use tallybook::catalog::account::add::{Wanted, add};
use tallybook::catalog::account::store::load_accounts;
use tallybook::catalog::account::terms::PriceOverride;
use tallybook::catalog::rate_card::import::import;
use tallybook::catalog::rate_card::store::load_cards;
use tallybook::inspect::verify::{Verified, verify};
use tallybook::nightly::{Night, nightly};
use tallybook::pipeline::close::due::due;
use tallybook::pipeline::ingest::ingest;
use tallybook::pipeline::ingest::input::Input;
use tallybook::pipeline::meter::meter_in_parts;
use tallybook::storage::ledger::{Lease, query};
use tallybook::support::error::Error;
use tallybook::values::calendar::Cycle;

use crate::exactly_once::shop::{Shop, usage};
use crate::world::{Place, at, line, run};

const NOVEMBER: &str = "2024-11-15T10:00:00+08:00";

fn records(night: &Night, status: &str) -> i64 {
    night
        .control
        .all
        .statuses
        .iter()
        .find(|(name, _)| *name == status)
        .unwrap()
        .1
        .records
}

pub fn verified(place: &Place, now: &str) -> Verified {
    run(async {
        let books = place.books(at(now)).await;
        let verified = verify(&books).await.unwrap();
        books.ledger.close().await;
        verified
    })
}

#[test]
fn a_second_run_of_the_same_night_closes_and_exports_nothing() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    let first = place.night("2024-12-10T00:00:00Z");
    assert_eq!((first.closed.statements, first.exported.len()), (1, 1));
    let exported = place.exported("manifest.json");
    let second = place.night("2024-12-10T00:00:00Z");
    assert_eq!(
        (second.closed.periods, second.exported.len(), second.metered.batches),
        (0, 0, 0)
    );
    assert_eq!(place.exported("manifest.json"), exported);
}

#[test]
fn a_period_closes_only_after_its_grace_in_the_accounts_zone() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    // 1 December + 3 days, midnight in UTC+8.
    assert_eq!(place.night("2024-12-03T15:59:59Z").closed.periods, 0);
    assert_eq!(place.night("2024-12-03T16:00:00Z").closed.periods, 1);
}

#[test]
fn usage_after_the_close_is_counted_listed_and_changes_no_statement() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-12-10T00:00:00Z");
    let statements = place.exported("statement_lines.csv");
    place.drop("b.ndjson", line("b", 7, NOVEMBER, 60_000));
    let night = place.night("2024-12-11T00:00:00Z");
    assert_eq!((night.metered.late_records, night.closed.periods), (1, 0));
    assert_eq!(place.exported("statement_lines.csv"), statements);
    assert_eq!(
        verified(&place, "2024-12-11T00:00:00Z").differences,
        Vec::<String>::new()
    );
}

#[test]
fn a_straggler_gets_an_export_of_its_own_chained_to_the_one_before() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-12-10T00:00:00Z");
    place.drop("b.ndjson", line("b", 8, NOVEMBER, 60_000));
    let night = place.night("2024-12-11T00:00:00Z");
    assert_eq!(
        night.closed.statements, 1,
        "account 8 had no closed period, so its November closes now"
    );
    let manifests = place.exported("manifest.json");
    assert_eq!(manifests.len(), 2);
    assert!(
        manifests[1]
            .1
            .contains(&tallybook::values::digest::sha256_hex(manifests[0].1.as_bytes()))
    );
}

#[test]
fn late_usage_reads_the_statements_of_the_days_that_it_touches_and_of_no_earlier_ones() {
    const DECEMBER: &str = "2024-12-15T10:00:00+08:00";
    let place = Place::new();
    let both = [line("a", 7, NOVEMBER, 60_000), line("b", 7, DECEMBER, 60_000)];
    place.drop("a.ndjson", both.concat());
    assert_eq!(place.night("2025-01-10T00:00:00Z").closed.statements, 2);
    crate::ledgers::execute(place.path(), "UPDATE document SET body = 'damaged' WHERE document = 1");
    place.drop("late.ndjson", line("late", 7, DECEMBER, 60_000));
    assert_eq!(place.night("2025-01-11T00:00:00Z").metered.late_records, 1);
    assert_eq!(place.night("2025-02-10T00:00:00Z").closed.adjusted_accounts, 1);
}

#[test]
fn a_mistake_in_the_default_card_is_told_by_the_night_that_lacks_it() {
    let cards = tempfile::tempdir().unwrap();
    let folder = cards.path().join("c");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(
        folder.join("2024-01-01.toml"),
        "card = \"c\"\nfrom = 2024-01-01\ncurrency = \"XYZ\"\n",
    )
    .unwrap();
    let place = Place::with_cards(cards.path(), "c");
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    let error = place.try_night("2024-12-10T00:00:00Z").unwrap_err().to_string();
    assert!(error.contains("the default rate card \"c\" is not imported"), "{error}");
    assert!(error.contains("XYZ"), "what is wrong with the file: {error}");
}

#[test]
fn a_sku_without_a_price_blocks_its_account_until_the_card_has_one() {
    let cards = tempfile::tempdir().unwrap();
    let folder = cards.path().join("c");
    std::fs::create_dir(&folder).unwrap();
    let card = |price: &str, not_sold: &str| {
        format!(
            "card = \"c\"\nfrom = 2024-01-01\ncurrency = \"CNY\"\nzone = \"Asia/Shanghai\"\ndefault_region = \"r\"\n\
             [regions]\nall = [\"*\"]\n\
             [[meter]]\nname = \"work\"\ntask_type = \"Transcode\"\nsku = \"{{type}}\"\nquantity = \"duration\"\nunit = \"minute\"\n\
             {not_sold}\n[meter.dimensions]\ntype = [\"Standard\", \"Other\"]\n\
             [prices]\n\"Other\" = {{ unit_price = \"1\", origin = \"illustrative\" }}\n{price}"
        )
    };
    let path = folder.join("2024-01-01.toml");
    std::fs::write(&path, card("", "not_sold = [\"Standard\"]")).unwrap();
    let place = Place::with_cards(cards.path(), "c");
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    let blocked = place.night("2024-12-10T00:00:00Z");
    assert_eq!(
        (
            blocked.closed.periods,
            blocked.closed.blocked.len(),
            u8::from(blocked.exit_code())
        ),
        (0, 1, 3),
        "{:?}",
        blocked.needs_person
    );
    assert!(
        blocked.closed.blocked[0].unpriced[0].contains("Standard"),
        "{:?}",
        blocked.closed.blocked
    );
    std::fs::write(
        &path,
        card(
            "\"Standard\" = { unit_price = \"0.5\", origin = \"illustrative\" }\n",
            "",
        ),
    )
    .unwrap();
    let closed = place.night("2024-12-11T00:00:00Z");
    assert_eq!(
        (closed.closed.statements, u8::from(closed.exit_code())),
        (1, 0),
        "{:?}",
        closed.needs_person
    );
    assert_eq!(closed.closed.totals["CNY"], "0.50");
}

#[test]
fn a_changed_price_is_refused_with_both_digests_and_the_night_goes_on() {
    let cards = tempfile::tempdir().unwrap();
    let folder = cards.path().join("mps-cn");
    std::fs::create_dir(&folder).unwrap();
    let real = std::fs::read_to_string(crate::world::real_cards().join("mps-cn/2024-01-01.toml")).unwrap();
    let path = folder.join("2024-01-01.toml");
    std::fs::write(&path, &real).unwrap();
    let place = Place::with_cards(cards.path(), "mps-cn");
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-11-20T00:00:00Z");
    std::fs::write(&path, real.replace("\"0.0325\"", "\"0.0326\"")).unwrap();
    let night = place.night("2024-12-10T00:00:00Z");
    assert_eq!((u8::from(night.exit_code()), night.closed.statements), (3, 1));
    assert!(
        night.needs_person[0].contains("Standard.H264.HD") && night.needs_person[0].contains("digest"),
        "{:?}",
        night.needs_person
    );
    assert_eq!(night.closed.totals["CNY"], "0.03");
}

#[test]
fn a_record_that_no_meter_takes_is_tried_again_when_the_card_grows() {
    let cards = tempfile::tempdir().unwrap();
    let folder = cards.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    let full = std::fs::read_to_string(crate::world::real_cards().join("mps-cn/2024-01-01.toml")).unwrap();
    let start = full.find("[[meter]]").unwrap();
    let path = folder.join("2024-01-01.toml");
    let renamed = full.replace("card = \"mps-cn\"", "card = \"small\"");
    assert!(start > 0 && renamed != full);
    std::fs::write(&path, &renamed).unwrap();
    let place = Place::with_cards(cards.path(), "small");
    let other = line("a", 7, NOVEMBER, 60_000).replace("Transcode", "Evaluation");
    place.drop("a.ndjson", format!("{other}{}", line("b", 7, NOVEMBER, 60_000)));
    let before = place.night("2024-11-20T00:00:00Z");
    assert_eq!((records(&before, "unmetered"), records(&before, "metered")), (1, 1));
    let meter = "[[meter]]\nname = \"evaluation\"\ntask_type = \"Evaluation\"\nsku = \"Evaluation\"\nquantity = \"duration\"\nunit = \"minute\"\n\n";
    let prices = renamed.find("[prices]").unwrap();
    let mut grown = format!("{}{meter}{}", &renamed[..prices], &renamed[prices..]);
    grown.push_str("\n\"Evaluation\" = { unit_price = \"0.5\", origin = \"illustrative\" }\n");
    std::fs::write(&path, grown).unwrap();
    let after = place.night("2024-11-21T00:00:00Z");
    assert_eq!(after.needs_person, Vec::<String>::new());
    assert_eq!(
        (
            records(&after, "unmetered"),
            records(&after, "metered"),
            after.metered.classified_again
        ),
        (0, 2, 1)
    );
    assert_eq!(
        verified(&place, "2024-11-21T00:00:00Z").differences,
        Vec::<String>::new()
    );
    assert_eq!(place.night("2024-12-10T00:00:00Z").closed.totals["CNY"], "0.53");
}

#[test]
fn raw_expires_after_six_months_and_the_statements_still_verify() {
    let place = Place::new();
    let text = line("a", 7, NOVEMBER, 60_000);
    place.drop("a.ndjson", &text);
    place.night("2024-12-10T00:00:00Z");
    assert!(place.night("2025-05-14T00:00:00Z").expired.days.is_empty());
    let night = place.night("2025-05-15T00:00:00Z");
    assert_eq!(night.expired.days, [("2024-11-15".parse().unwrap(), 1)]);
    assert_eq!(std::fs::read_dir(place.data().join("raw")).unwrap().count(), 0);
    assert_eq!(
        verified(&place, "2025-05-15T00:00:00Z").differences,
        Vec::<String>::new()
    );
    // The same records under another name: the day is gone for good.
    place.drop("again.ndjson", format!("{text}\n"));
    let again = place.night("2025-05-16T00:00:00Z");
    assert_eq!(
        (
            again.metered.rows,
            records(&again, "quarantined"),
            again.closed.statements
        ),
        (0, 1, 0)
    );
    // Whatever the clock says later.
    place.drop("back.ndjson", format!("{text}\n\n"));
    assert_eq!(records(&place.night("2024-12-11T00:00:00Z"), "quarantined"), 2);
}

#[test]
fn a_day_in_an_open_period_is_held_without_a_person_and_one_with_a_conflict_with() {
    let place = Place::new();
    place.add_account(
        "2024-01-02T00:00:00Z",
        7,
        "mps-cn",
        Cycle::Monthly { anchor_day: 1 },
        "2024-01-01",
    );
    place.drop(
        "a.ndjson",
        format!("{}{}", line("a", 7, NOVEMBER, 60_000), line("a", 7, NOVEMBER, 61_000)),
    );
    let night = place.night("2024-12-10T00:00:00Z");
    assert_eq!((records(&night, "conflict"), night.metered.conflicts), (1, 1));
    let held = place.night("2025-05-20T00:00:00Z");
    assert_eq!(held.expired.days, []);
    assert_eq!(
        held.expired
            .held
            .iter()
            .map(|h| (h.code, h.needs_person))
            .collect::<Vec<_>>(),
        [("conflict", true)]
    );
    assert_eq!(u8::from(held.exit_code()), 3);
    run(async {
        let books = place.books(at("2025-05-21T00:00:00Z")).await;
        tallybook::pipeline::retention::store::waive(&books, "2024-11-15".parse().unwrap(), "seen with the customer")
            .await
            .unwrap();
        books.ledger.close().await;
    });
    assert_eq!(place.night("2025-05-21T00:00:00Z").expired.days.len(), 1);
}

#[test]
fn usage_that_no_statement_has_yet_holds_its_day() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-12-10T00:00:00Z");
    place.night("2025-05-10T00:00:00Z");
    place.drop("b.ndjson", line("b", 7, NOVEMBER, 60_000));
    let night = place.night("2025-05-20T00:00:00Z");
    let held: Vec<_> = night.expired.held.iter().map(|h| (h.code, h.needs_person)).collect();
    assert_eq!(held, [("late_usage", false)]);
    // The statement of May adjusts it; then the day may go.
    let night = place.night("2025-06-10T00:00:00Z");
    assert_eq!((night.closed.statements, night.expired.days.len()), (1, 1));
}

#[test]
fn service_log_fields_go_after_a_month_and_the_record_stays() {
    let place = Place::new();
    let with_log = line("a", 7, NOVEMBER, 60_000).replace("\"appid\":1", "\"appid\":1,\"task_id\":\"t-1\"");
    place.drop("a.ndjson", with_log);
    place.night("2024-11-20T00:00:00Z");
    assert_eq!(std::fs::read_dir(place.data().join("log")).unwrap().count(), 1);
    let night = place.night("2024-12-15T00:00:00Z");
    assert_eq!((night.expired.log_days, night.expired.days.len()), (1, 0));
    assert_eq!(std::fs::read_dir(place.data().join("log")).unwrap().count(), 0);
}

#[test]
fn a_void_takes_back_what_was_metered_and_waits_for_what_was_not() {
    let place = Place::new();
    let void = |id: &str, target: &str| format!("{{\"id\":\"{id}\",\"kind\":\"void\",\"voids\":\"{target}\"}}\n");
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-11-20T00:00:00Z");
    place.drop("b.ndjson", format!("{}{}", void("v1", "a"), void("v2", "b")));
    place.night("2024-11-21T00:00:00Z");
    place.drop(
        "c.ndjson",
        format!("{}{}", line("b", 7, NOVEMBER, 60_000), line("c", 7, NOVEMBER, 120_000)),
    );
    let night = place.night("2024-12-10T00:00:00Z");
    assert_eq!(
        (
            records(&night, "void"),
            records(&night, "voided"),
            records(&night, "metered")
        ),
        (2, 2, 1)
    );
    assert_eq!(night.closed.totals["CNY"], "0.07", "two minutes at 0.0325");
    assert_eq!(
        verified(&place, "2024-12-10T00:00:00Z").differences,
        Vec::<String>::new()
    );
}

#[test]
fn many_small_nights_are_merged_and_bill_the_same() {
    let place = Place::new();
    for night in 1..=12 {
        place.drop(
            &format!("{night}.ndjson"),
            line(&format!("r{night}"), 7, NOVEMBER, 60_000),
        );
        place.night(&format!("2024-11-{:02}T00:00:00Z", 15 + night));
    }
    let segments = std::fs::read_dir(place.data().join("raw/day=2024-11-15"))
        .unwrap()
        .count();
    let runs = std::fs::read_dir(place.data().join("keys")).unwrap().count();
    assert!(segments < 8 && runs <= 8, "{segments} segments, {runs} key runs");
    place.drop("again.ndjson", format!("{}\n", line("r3", 7, NOVEMBER, 60_000)));
    let night = place.night("2024-12-10T00:00:00Z");
    assert_eq!((records(&night, "metered"), records(&night, "duplicate")), (12, 1));
    assert_eq!(
        verified(&place, "2024-12-10T00:00:00Z").differences,
        Vec::<String>::new()
    );
}

#[test]
fn a_backlog_is_metered_in_parts_and_told_as_one() {
    let place = Place::new();
    run(async {
        let books = place.books(at("2024-11-20T00:00:00Z")).await;
        import(&books, std::slice::from_ref(&books.settings.rate_cards), None)
            .await
            .unwrap();
        for (number, ids) in [["a", "b"], ["c", "a"], ["d", "e"]].iter().enumerate() {
            let text = ids.map(|id| line(id, 7, NOVEMBER, 60_000)).concat();
            let path = place.file(&format!("{number}.ndjson"), &text);
            let input = Input::named(&path, None).unwrap();
            ingest(&books, &input, "default").await.unwrap();
        }
        let lease = Lease::take(&books.ledger, "meter").await.unwrap();
        let (metered, accounts) = meter_in_parts(&books, &lease, 3).await.unwrap();
        assert_eq!((metered.batches, metered.batch_hi, metered.rows), (3, 3, 6));
        assert_eq!((metered.new_accounts, accounts.iter().count()), (1, 1));
        let meterings = query("SELECT COUNT(*) FROM metering")
            .fetch_one(&books.ledger)
            .await
            .unwrap();
        assert_eq!(meterings.try_get::<i64>(0).unwrap(), 3);
        lease.release().await.unwrap();
        books.ledger.close().await;
    });
    let night = place.night("2024-12-10T00:00:00Z");
    assert_eq!((records(&night, "metered"), records(&night, "duplicate")), (5, 1));
    assert_eq!(
        verified(&place, "2024-12-10T00:00:00Z").differences,
        Vec::<String>::new()
    );
}

#[test]
fn verify_names_a_changed_export_a_changed_statement_and_changed_usage() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-12-10T00:00:00Z");
    let (path, text) = place.exported("statements.csv").remove(0);
    std::fs::write(place.data().join("exports").join(&path), text.replace("0.03", "0.04")).unwrap();
    let found = verified(&place, "2024-12-10T00:00:00Z").differences;
    assert!(
        found.len() == 1 && found[0].contains("statements.csv is missing or changed"),
        "{found:?}"
    );
    run(async {
        let books = place.books(at("2024-12-10T00:00:00Z")).await;
        query("UPDATE statement SET total = '0.04'")
            .execute_alone(&books.ledger)
            .await
            .unwrap();
        query("UPDATE control_total SET records = 2 WHERE status = 'metered'")
            .execute_alone(&books.ledger)
            .await
            .unwrap();
        books.ledger.close().await;
    });
    let found = verified(&place, "2024-12-10T00:00:00Z").differences.join("\n");
    assert!(
        found.contains("control totals") && found.contains("7-20241101-20241201"),
        "{found}"
    );
}

#[test]
fn an_export_written_again_has_the_same_bytes() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-12-10T00:00:00Z");
    let names = ["statement_lines.csv", "statements.csv", "manifest.json"];
    let before = names.map(|name| place.exported(name));
    std::fs::remove_dir_all(place.data().join("exports")).unwrap();
    run(async {
        let books = place.books(at("2025-01-10T00:00:00Z")).await;
        tallybook::pipeline::export::export_again(&books, 1, None)
            .await
            .unwrap();
        books.ledger.close().await;
    });
    assert_eq!(names.map(|name| place.exported(name)), before);
}

#[test]
fn what_lost_its_lines_before_their_time_is_not_billed_again() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    assert_eq!(place.night("2024-12-10T00:00:00Z").closed.statements, 1);
    crate::ledgers::execute(place.path(), "DELETE FROM document");
    place.drop("late.ndjson", line("late", 7, NOVEMBER, 60_000));
    run(async {
        let books = place.books(at("2024-12-11T00:00:00Z")).await;
        let error = nightly(&books).await.unwrap_err().to_string();
        assert!(
            error.contains("the lines of statement 7-20241101-20241201 are missing before the end of their retention"),
            "{error}"
        );
        books.ledger.close().await;
    });
}

#[test]
fn verify_holds_exports_against_the_statements_that_they_took() {
    for (changed, told) in [
        ("export = 99", "export 99 has statements but is not in the ledger"),
        ("statements = 2", "export 1: its statements in the ledger differ"),
        (
            "period_end = '2024-12-02'",
            "export 1: its statements in the ledger differ",
        ),
    ] {
        let place = Place::new();
        place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
        place.night("2024-12-10T00:00:00Z");
        crate::ledgers::execute(place.path(), &format!("UPDATE stated_period SET {changed}"));
        let found = verified(&place, "2024-12-10T00:00:00Z").differences.join("\n");
        assert!(found.contains(told), "{changed}: {found}");
    }
}

#[test]
fn verify_names_a_closed_period_that_stands_there_twice() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-12-10T00:00:00Z");
    crate::ledgers::execute(
        place.path(),
        "INSERT INTO empty_period (uin, period_start, period_end, closing, seal) VALUES ('7', '2024-11-01', '2024-12-01', 1, 0)",
    );
    let found = verified(&place, "2024-12-10T00:00:00Z").differences.join("\n");
    assert!(
        found.contains("account 7: after its closed period [2024-11-01, 2024-12-01) comes [2024-11-01"),
        "{found}"
    );
}

#[test]
fn a_statement_that_is_gone_is_missed_by_its_export() {
    let place = Place::new();
    place.drop(
        "a.ndjson",
        [line("a", 7, NOVEMBER, 60_000), line("b", 8, NOVEMBER, 60_000)].concat(),
    );
    place.night("2024-11-30T00:00:00Z");
    run(async {
        let books = place.books(at("2024-12-10T00:00:00Z")).await;
        let lease = Lease::take(&books.ledger, "close").await.unwrap();
        let mut accounts = load_accounts(&books.ledger).await.unwrap();
        let closed = tallybook::pipeline::close::close(&books, &lease, &mut accounts, &BTreeSet::new())
            .await
            .unwrap();
        assert_eq!(closed.statements, 2);
        let mut tx = books.ledger.begin().await.unwrap();
        query("DELETE FROM statement WHERE uin = '8'")
            .execute(&mut tx)
            .await
            .unwrap();
        books.ledger.commit(tx, "test").await.unwrap();
        let error = tallybook::pipeline::export::export_new(&books, &lease)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("2 statements of 2024-11-01 to 2024-12-01 are to be exported"),
            "{error}"
        );
        assert!(error.to_string().contains("the ledger has 1"), "{error}");
        lease.release().await.unwrap();
        books.ledger.close().await;
    });
}

#[test]
fn a_second_run_beside_the_first_says_who_holds_the_books() {
    let place = Place::new();
    run(async {
        let books = place.books(at("2024-12-10T00:00:00Z")).await;
        let lease = Lease::take(&books.ledger, "close").await.unwrap();
        let error = nightly(&books).await.unwrap_err();
        assert!(
            matches!(&error, Error::LeaseHeld { owner, .. } if owner.starts_with("close")),
            "{error}"
        );
        assert_eq!(u8::from(error.exit_code()), 5);
        lease.release().await.unwrap();
        nightly(&books).await.unwrap();
        books.ledger.close().await;
    });
}

#[test]
fn an_id_whose_raw_has_expired_is_new_usage() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-12-10T00:00:00Z");
    assert_eq!(place.night("2025-07-01T00:00:00Z").expired.days.len(), 1);
    place.drop("b.ndjson", line("a", 7, "2025-06-30T10:00:00+08:00", 120_000));
    let night = place.night("2025-07-01T01:00:00Z");
    assert_eq!((records(&night, "metered"), records(&night, "conflict")), (2, 0));
}

#[test]
fn a_waived_day_that_expired_gets_no_usage_from_a_card_that_grows_later() {
    let cards = tempfile::tempdir().unwrap();
    let folder = cards.path().join("mps-cn");
    std::fs::create_dir(&folder).unwrap();
    let real = std::fs::read_to_string(crate::world::real_cards().join("mps-cn/2024-01-01.toml")).unwrap();
    let path = folder.join("2024-01-01.toml");
    std::fs::write(&path, &real).unwrap();
    let place = Place::with_cards(cards.path(), "mps-cn");
    place.drop(
        "a.ndjson",
        line("a", 7, NOVEMBER, 60_000).replace("Transcode", "Evaluation"),
    );
    place.night("2024-12-10T00:00:00Z");
    run(async {
        let books = place.books(at("2025-05-20T00:00:00Z")).await;
        tallybook::pipeline::retention::store::waive(&books, "2024-11-15".parse().unwrap(), "a test task")
            .await
            .unwrap();
        books.ledger.close().await;
    });
    assert_eq!(place.night("2025-05-20T00:00:00Z").expired.days.len(), 1);
    let meter = "[[meter]]\nname = \"evaluation\"\ntask_type = \"Evaluation\"\nsku = \"Evaluation\"\nquantity = \"duration\"\nunit = \"minute\"\n\n";
    let prices = real.find("[prices]").unwrap();
    let mut grown = format!("{}{meter}{}", &real[..prices], &real[prices..]);
    grown.push_str("\n\"Evaluation\" = { unit_price = \"0.5\", origin = \"illustrative\" }\n");
    std::fs::write(&path, grown).unwrap();
    let night = place.night("2025-05-21T00:00:00Z");
    assert_eq!(
        (
            records(&night, "unmetered"),
            records(&night, "metered"),
            night.metered.late_records
        ),
        (1, 0, 0)
    );
}

#[test]
fn a_void_of_a_void_is_refused_whenever_it_comes() {
    let place = Place::new();
    let void = |id: &str, target: &str| format!("{{\"id\":\"{id}\",\"kind\":\"void\",\"voids\":\"{target}\"}}\n");
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-11-20T00:00:00Z");
    place.drop("b.ndjson", void("v", "a"));
    place.night("2024-11-21T00:00:00Z");
    place.drop("c.ndjson", void("w", "v"));
    let night = place.night("2024-11-22T00:00:00Z");
    assert_eq!(
        (
            records(&night, "void"),
            records(&night, "voided"),
            records(&night, "metered")
        ),
        (2, 1, 0)
    );
    assert_eq!((night.metered.voids, night.metered.voids_of_voids), (1, 1));
    assert!(tallybook::nightly::report::night(&night).contains("1 void names another void, which has no effect"));
    let status = run(async {
        let books = place.books(at("2024-11-22T00:00:00Z")).await;
        let status = tallybook::inspect::status::status(&books).await.unwrap();
        books.ledger.close().await;
        status
    });
    assert_eq!(
        (status.voids_waiting, status.voids.len(), status.voids_of_voids),
        (0, 0, 1)
    );
}

/// Due periods of each account, by the accounts one by one; `status` must say the same.
fn due_periods(place: &Place, now: &str) -> Vec<usize> {
    let (status, accounts, cards) = run(async {
        let books = place.books(at(now)).await;
        let status = tallybook::inspect::status::status(&books).await.unwrap();
        let accounts = load_accounts(&books.ledger).await.unwrap();
        let cards = load_cards(&books.ledger).await.unwrap();
        books.ledger.close().await;
        (status, accounts, cards)
    });
    let due = due(&accounts, &cards, at(now));
    let periods: Vec<usize> = due.iter().map(|due| due.periods.len()).collect();
    assert_eq!(
        (status.accounts, status.periods_due),
        (accounts.len(), periods.iter().sum())
    );
    periods
}

#[test]
fn status_counts_the_accounts_and_their_due_periods_whatever_their_terms() {
    let place = Place::new();
    let now = "2024-11-20T00:00:00Z";
    let monthly = |anchor_day| Cycle::Monthly { anchor_day };
    for uin in [1, 2, 3] {
        place.add_account(now, uin, "mps-cn", monthly(1), "2024-09-01");
    }
    place.add_account(now, 4, "mps-cn", Cycle::Daily, "2024-11-01");
    // First one cycle, then another.
    place.add_account(now, 5, "mps-cn", monthly(1), "2024-09-01");
    place.add_account(now, 5, "mps-cn", Cycle::Daily, "2024-10-01");
    assert_eq!(due_periods(&place, now)[..3], [2, 2, 2]);
    place.drop("a.ndjson", line("a", 6, NOVEMBER, 60_000));
    place.night(now);
    assert!(due_periods(&place, now).is_empty());
    let later = "2025-01-20T00:00:00Z";
    let in_january = due_periods(&place, later);
    assert_eq!((in_january.len(), in_january[0], in_january[5]), (6, 2, 2));
    // Usage before what account 6 was known by, and a new account.
    place.drop(
        "b.ndjson",
        line("b", 6, "2024-10-05T10:00:00+08:00", 60_000) + &line("c", 7, NOVEMBER, 60_000),
    );
    place.night("2024-11-21T00:00:00Z");
    assert_eq!(due_periods(&place, later).len(), 7);
}

#[test]
fn later_terms_keep_what_is_not_said_and_agreed_prices_go_with_their_card() {
    let place = Place::new();
    place.night("2024-09-01T00:00:00Z");
    let price = |sku: &str, price: i64| PriceOverride {
        sku: sku.to_owned(),
        region_group: None,
        unit_price: price.into(),
    };
    let terms_of = |from: &str, wanted: Wanted| {
        let wanted = Wanted {
            uin: 7,
            from: Some(from.parse().unwrap()),
            ..wanted
        };
        run(async {
            let books = place.books(at("2024-09-01T00:00:00Z")).await;
            let terms = add(&books, wanted).await.unwrap();
            books.ledger.close().await;
            terms
        })
    };
    let first = Wanted {
        cycle: Some(Cycle::Daily),
        discount_percent: Some(50.into()),
        overrides: vec![price("Audio", 1), price("Standard.H264.HD", 2)],
        ..Wanted::default()
    };
    let first = terms_of("2024-09-01", first);
    let second = Wanted {
        overrides: vec![price("Audio", 3)],
        ..Wanted::default()
    };
    let second = terms_of("2024-10-01", second);
    assert_eq!((second.cycle, second.discount_percent), (Cycle::Daily, 50.into()));
    assert_eq!(second.overrides, [price("Audio", 3), price("Standard.H264.HD", 2)]);
    let third = Wanted {
        card_prices: true,
        ..Wanted::default()
    };
    assert_eq!(terms_of("2024-11-01", third).overrides, []);
    let fourth = Wanted {
        overrides: vec![price("Audio", 3)],
        ..Wanted::default()
    };
    terms_of("2024-12-01", fourth);
    let fifth = Wanted {
        card: Some("mps-intl".to_owned()),
        ..Wanted::default()
    };
    let fifth = terms_of("2025-01-01", fifth);
    assert_eq!(
        (fifth.overrides, fifth.discount_percent, fifth.zone),
        (vec![], 50.into(), first.zone)
    );
}

#[test]
fn an_amount_that_does_not_fit_blocks_its_account_and_no_other() {
    let shop = Shop::new(
        "CNY",
        "\"A\" = { unit_price = \"999999999999\", origin = \"illustrative\" }",
    );
    shop.drop(&[
        usage("a", 7, "A", NOVEMBER, 9_007_199_254_740_992),
        usage("b", 8, "A", NOVEMBER, 60_000),
    ]);
    let open = shop.place.night("2024-11-20T00:00:00Z");
    assert_eq!((u8::from(open.exit_code()), open.drafts), (0, 2));
    let night = shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!((u8::from(night.exit_code()), night.closed.statements), (3, 1));
    let [blocked] = &night.closed.blocked[..] else {
        panic!("{:?}", night.closed.blocked)
    };
    assert!(
        blocked.uin == 7 && blocked.why.contains("does not fit"),
        "{}",
        blocked.why
    );
}

#[test]
fn an_adjustment_that_does_not_fit_blocks_its_account_and_no_other() {
    let price = |price: &str| format!("\"A\" = {{ unit_price = \"{price}\", origin = \"illustrative\" }}");
    let shop = Shop::new("CNY", &price("1"));
    shop.drop(&[
        usage("a", 7, "A", NOVEMBER, 9_007_199_254_740_992),
        usage("b", 8, "A", NOVEMBER, 60_000),
    ]);
    assert_eq!(shop.place.night("2024-12-10T00:00:00Z").closed.statements, 2);
    shop.write_card(&price("999999999999"));
    shop.correct("2024-12-11T00:00:00Z");
    let night = shop.place.night("2025-01-10T00:00:00Z");
    assert_eq!((u8::from(night.exit_code()), night.closed.statements), (3, 1));
    let blocked = &night.closed.blocked[0];
    assert!(
        blocked.uin == 7 && blocked.why.contains("does not fit"),
        "{}",
        blocked.why
    );
}

/// A folder with the real cards of one version each.
fn card_folder() -> tempfile::TempDir {
    let cards = tempfile::tempdir().unwrap();
    for card in ["mps-cn", "mps-intl"] {
        let file = format!("{card}/2024-01-01.toml");
        std::fs::create_dir(cards.path().join(card)).unwrap();
        std::fs::copy(crate::world::real_cards().join(&file), cards.path().join(file)).unwrap();
    }
    cards
}

#[test]
fn a_broken_card_keeps_no_other_out_and_nothing_is_closed_under_it() {
    let cards = card_folder();
    let place = Place::with_cards(cards.path(), "mps-cn");
    place.night("2024-10-20T00:00:00Z");
    let monthly = Cycle::Monthly { anchor_day: 1 };
    place.add_account("2024-10-20T00:00:00Z", 8, "mps-intl", monthly, "2024-10-01");
    place.drop(
        "a.ndjson",
        line("a", 7, NOVEMBER, 60_000) + &line("b", 8, NOVEMBER, 60_000),
    );
    // One card gets a version that cannot be read, the other a good one.
    std::fs::write(cards.path().join("mps-intl/2024-11-01.toml"), "card = mps-intl").unwrap();
    let real = std::fs::read_to_string(cards.path().join("mps-cn/2024-01-01.toml")).unwrap();
    let later = real.replace("from = 2024-01-01", "from = 2024-11-10");
    std::fs::write(cards.path().join("mps-cn/2024-11-10.toml"), later).unwrap();
    let night = place.night("2024-12-10T00:00:00Z");
    let imported: Vec<&str> = night.cards.iter().map(|card| card.from.as_str()).collect();
    assert_eq!((imported, u8::from(night.exit_code())), (vec!["2024-11-10"], 3));
    assert_eq!((night.closed.periods, night.closed.held["mps-intl"]), (1, 1));
    let [broken, held] = &night.needs_person[..] else {
        panic!("{:?}", night.needs_person)
    };
    assert!(broken.contains("mps-intl/2024-11-01.toml"), "{broken}");
    assert!(held.contains("rate card mps-intl: 1 account not closed"), "{held}");
    std::fs::remove_file(cards.path().join("mps-intl/2024-11-01.toml")).unwrap();
    let night = place.night("2024-12-11T00:00:00Z");
    assert_eq!((night.closed.periods, u8::from(night.exit_code())), (2, 0));
}

#[test]
fn a_version_in_the_folder_of_another_card_holds_back_both() {
    let cards = card_folder();
    let place = Place::with_cards(cards.path(), "mps-cn");
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-11-20T00:00:00Z");
    let real = std::fs::read_to_string(cards.path().join("mps-cn/2024-01-01.toml")).unwrap();
    let later = real.replace("from = 2024-01-01", "from = 2024-11-21");
    std::fs::write(cards.path().join("mps-intl/2024-11-21.toml"), later).unwrap();
    let night = place.night("2024-12-10T00:00:00Z");
    assert_eq!((night.closed.periods, night.closed.held["mps-cn"]), (0, 1));
}

#[test]
fn a_night_that_failed_is_among_the_runs_with_its_error() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-11-20T00:00:00Z");
    place.drop("b.ndjson", line("b", 7, NOVEMBER, 60_000));
    crate::ledgers::execute(place.path(), "UPDATE account SET first_day = 'x'");
    let failed = place.try_night("2024-11-21T00:00:00Z").unwrap_err();
    crate::ledgers::execute(place.path(), "UPDATE account SET first_day = '2024-11-15'");
    let runs = run(async {
        let books = place.books(at("2024-11-22T00:00:00Z")).await;
        let runs = tallybook::nightly::store::last_runs(&books.ledger, 5).await.unwrap();
        books.ledger.close().await;
        runs
    });
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].exit_code, i64::from(u8::from(failed.exit_code())));
    assert_eq!(
        runs[0].text,
        format!("nightly run as of 2024-11-21T00:00:00+00:00 failed: {failed}")
    );
}

#[test]
fn a_card_version_that_measures_otherwise_cannot_start_in_days_that_have_usage() {
    let cards = tempfile::tempdir().unwrap();
    let folder = cards.path().join("mps-cn");
    std::fs::create_dir(&folder).unwrap();
    let real = std::fs::read_to_string(crate::world::real_cards().join("mps-cn/2024-01-01.toml")).unwrap();
    std::fs::write(folder.join("2024-01-01.toml"), &real).unwrap();
    let place = Place::with_cards(cards.path(), "mps-cn");
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-11-20T00:00:00Z");
    let later = real.replace("from = 2024-01-01", "from = 2024-11-10");
    let rounded = later.replace("default_region = \"ap-guangzhou\"", "default_region = \"ap-beijing\"");
    std::fs::write(folder.join("2024-11-10.toml"), rounded).unwrap();
    let night = place.night("2024-11-21T00:00:00Z");
    assert!(
        night.needs_person[0].contains("different meters"),
        "{:?}",
        night.needs_person
    );
    // Other prices alone are another matter: usage is measured alike, and the period is open.
    std::fs::write(
        folder.join("2024-11-10.toml"),
        later.replace("\"0.0325\"", "\"0.0650\""),
    )
    .unwrap();
    assert_eq!(place.night("2024-11-22T00:00:00Z").needs_person, Vec::<String>::new());
    assert_eq!(place.night("2024-12-10T00:00:00Z").closed.totals["CNY"], "0.07");
}

#[test]
fn two_first_starts_make_one_set_of_tables() {
    let place = Place::new();
    run(async {
        let now = at("2024-11-20T00:00:00Z");
        let (one, two) = tokio::join!(place.books(now), place.books(now));
        one.ledger.close().await;
        two.ledger.close().await;
    });
}

#[test]
fn an_export_is_never_written_over_a_folder_that_holds_something() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-12-10T00:00:00Z");
    let mine = place.file("mine.txt", "keep me");
    run(async {
        let books = place.books(at("2025-01-10T00:00:00Z")).await;
        let error = tallybook::pipeline::export::export_again(&books, 1, mine.parent())
            .await
            .unwrap_err();
        assert_eq!(u8::from(error.exit_code()), 2, "{error}");
        books.ledger.close().await;
    });
    assert_eq!(std::fs::read_to_string(mine).unwrap(), "keep me");
}

#[test]
fn an_original_is_kept_a_month_from_its_receipt_whatever_its_own_time_says() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    let old = std::time::SystemTime::UNIX_EPOCH;
    let path = place.data().join("drop/a.ndjson");
    std::fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(old)
        .unwrap();
    assert_eq!(place.night("2024-11-20T00:00:00Z").expired.original_files, 0);
    assert_eq!(place.night("2024-12-21T00:00:00Z").expired.original_files, 1);
}

#[test]
fn a_copy_of_an_interrupted_export_does_not_stand_for_it() {
    let place = Place::new();
    place.drop("a.ndjson", line("a", 7, NOVEMBER, 60_000));
    place.night("2024-12-10T00:00:00Z");
    let expected = place.exported("manifest.json");
    std::fs::remove_dir_all(place.data().join("exports")).unwrap();
    run(async {
        let books = place.books(at("2024-12-10T00:00:00Z")).await;
        query("UPDATE export SET written = 0")
            .execute_alone(&books.ledger)
            .await
            .unwrap();
        let copy = place.data().join("copy");
        tallybook::pipeline::export::export_again(&books, 1, Some(&copy))
            .await
            .unwrap();
        books.ledger.close().await;
    });
    place.night("2024-12-11T00:00:00Z");
    assert_eq!(
        place.exported("manifest.json"),
        expected,
        "the night puts the export where it belongs"
    );
}
