//! Corrections show their money first; decisions hold for what was shown; what no statement can carry is settled outside.

use std::process::Command;

use serde_json::Value;
use tallybook::inspect::verify::verify;
use tallybook::nightly::report;
use tallybook::storage::ledger::{Value as Cell, query};

use crate::crashes::books::dump;
use crate::crashes::process::stop_at;
use crate::exactly_once::shop::{Shop, records, usage, void};
use crate::ledgers::{execute, is_embedded, literal};
use crate::world::{at, run};

const NOVEMBER: &str = "2024-11-15T10:00:00+08:00";

fn price(of: &str) -> String {
    format!("\"A\" = {{ unit_price = \"{of}\", origin = \"illustrative\" }}")
}

/// The program on the books of a shop.
fn program(shop: &Shop, now: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command.env_clear().env("TALLYBOOK_DEFAULT_CARD", "c");
    command.arg("--data-dir").arg(shop.place.data());
    command.arg("--rate-cards").arg(shop.cards());
    command.args(["--who", "mira", "--as-of", now]).args(args);
    if let Some(ledger) = crate::ledgers::url(shop.place.path()) {
        command.env("TALLYBOOK_LEDGER", ledger);
    }
    command
}

/// What a command prints, with its exit code.
fn said(shop: &Shop, now: &str, args: &[&str]) -> (i32, String) {
    let output = program(shop, now, args).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), text.concat())
}

/// The JSON of a command that succeeds.
fn json(shop: &Shop, now: &str, args: &[&str]) -> Value {
    let (code, text) = said(shop, now, &[args, &["--json"]].concat());
    assert_eq!(code, 0, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn assert_proved(shop: &Shop, now: &str) {
    run(async {
        let books = shop.place.books(at(now)).await;
        assert_eq!(verify(&books).await.unwrap().differences, Vec::<String>::new());
        books.ledger.close().await;
    });
}

/// The ledger's file, where it is one.
fn ledger_bytes(shop: &Shop) -> Option<Vec<u8>> {
    is_embedded().then(|| std::fs::read(shop.place.data().join("ledger.sqlite")).unwrap())
}

/// What a command leaves as it was: every row, and every byte of the embedded ledger.
fn json_that_writes_nothing(shop: &Shop, now: &str, args: &[&str]) -> Value {
    let rows = dump(shop.place.path());
    let bytes = ledger_bytes(shop);
    let told = json(shop, now, args);
    assert!(ledger_bytes(shop) == bytes, "{args:?} changed the ledger's bytes");
    assert!(dump(shop.place.path()) == rows, "{args:?} changed the ledger's rows");
    told
}

/// The sum of the adjustments of all statements.
fn adjusted(shop: &Shop, now: &str) -> String {
    run(async {
        let books = shop.place.books(at(now)).await;
        let rows = query("SELECT adjustment_amount FROM statement")
            .fetch_all(&books.ledger)
            .await
            .unwrap();
        books.ledger.close().await;
        let amounts = rows.iter().map(|row| row.try_get::<rust_decimal::Decimal>(0).unwrap());
        amounts.sum::<rust_decimal::Decimal>().normalize().to_string()
    })
}

/// November closed for two accounts, at 3 a minute; one of them goes on.
fn two_accounts() -> Shop {
    let shop = Shop::new("CNY", &price("3"));
    shop.drop(&[
        usage("a", 7, "A", NOVEMBER, 60_000),
        usage("b", 7, "A", NOVEMBER, 120_000),
        usage("c", 8, "A", NOVEMBER, 60_000),
        usage("d", 7, "A", "2024-12-05T10:00:00+08:00", 60_000),
    ]);
    shop.place.night("2024-12-10T00:00:00Z");
    shop
}

#[test]
fn first_use_a5_a_correction_shows_its_money_first_and_a_dry_run_writes_nothing() {
    let shop = two_accounts();
    shop.write_card(&price("2"));
    let now = "2024-12-11T00:00:00Z";
    let card = shop.cards().join("c/2024-01-01.toml");
    let import = [
        "rate-card",
        "import",
        card.to_str().unwrap(),
        "--corrects",
        "2024-01-01",
        "--reason",
        "misread",
    ];
    let told = json_that_writes_nothing(&shop, now, &[&import[..], &["--dry-run"]].concat());
    assert_eq!(
        (&told["dry_run"], &told["cards"][0]["outcome"]),
        (&true.into(), &"correction".into())
    );
    let money = &told["money"];
    assert_eq!((&money["accounts"], &money["closed_periods"]), (&2.into(), &2.into()));
    let sum = &money["sums"][0];
    assert_eq!(sum["currency"], "CNY");
    assert_eq!(
        sum["closed"],
        serde_json::json!({"old": "12.00", "new": "8.00", "difference": "-4.00"})
    );
    assert_eq!(
        sum["open"],
        serde_json::json!({"old": "3.00", "new": "2.00", "difference": "-1.00"})
    );
    let largest = money["largest"].as_array().unwrap();
    assert_eq!(
        (largest.len(), &largest[0]["uin"], &largest[0]["difference"]),
        (2, &"7".into(), &"-4.00".into())
    );
    assert_eq!(
        (&largest[1]["uin"], &largest[1]["difference"]),
        (&"8".into(), &"-1.00".into())
    );
    // A correction of a day that no version begins on is refused as without --dry-run.
    assert_eq!(
        said(
            &shop,
            now,
            &["rate-card", "import", card.to_str().unwrap(), "--dry-run"]
        )
        .0,
        3
    );
    // The same is told when it is done, and the next statements carry exactly that.
    let (code, text) = said(&shop, now, &import);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("2 closed periods") && text.contains("-4.00") && !text.contains("--dry-run"),
        "{text}"
    );
    shop.place.night("2025-01-10T00:00:00Z");
    assert_eq!(adjusted(&shop, "2025-01-10T00:00:00Z"), "-4");
    assert_proved(&shop, "2025-01-10T00:00:00Z");
}

#[test]
fn the_money_of_a_correction_leaves_out_what_waits_for_an_adjustment_anyway() {
    let shop = two_accounts();
    shop.drop(&[usage("late", 8, "A", NOVEMBER, 600_000)]);
    shop.place.night("2024-12-11T00:00:00Z");
    shop.write_card(&price("2"));
    let card = shop.cards().join("c/2024-01-01.toml");
    let import = [
        "rate-card",
        "import",
        card.to_str().unwrap(),
        "--corrects",
        "2024-01-01",
        "--reason",
        "misread",
        "--dry-run",
    ];
    let told = json_that_writes_nothing(&shop, "2024-12-12T00:00:00Z", &import);
    // Account 8: 33 with the late record, and 22.
    let closed = &told["money"]["sums"][0]["closed"];
    assert_eq!(
        *closed,
        serde_json::json!({"old": "42.00", "new": "28.00", "difference": "-14.00"})
    );
}

#[test]
fn a_new_version_tells_what_open_periods_come_to_by_it_before_it_is_imported() {
    let shop = two_accounts();
    let text = std::fs::read_to_string(shop.cards().join("c/2024-01-01.toml")).unwrap();
    let text = text.replace("2024-01-01", "2024-12-03").replace("\"3\"", "\"9\"");
    let file = shop.cards().join("c/2024-12-03.toml");
    std::fs::write(&file, text).unwrap();
    let import = ["rate-card", "import", file.to_str().unwrap(), "--dry-run"];
    let told = json_that_writes_nothing(&shop, "2024-12-11T00:00:00Z", &import);
    assert_eq!(told["cards"][0]["outcome"], "new version");
    let sum = &told["money"]["sums"][0];
    assert_eq!(
        sum["open"],
        serde_json::json!({"old": "3.00", "new": "9.00", "difference": "6.00"})
    );
    assert_eq!(
        (&told["money"]["accounts"], &told["money"]["closed_periods"]),
        (&1.into(), &0.into())
    );
}

#[test]
fn later_terms_tell_what_they_change_and_what_it_comes_to() {
    let shop = two_accounts();
    let now = "2024-12-11T00:00:00Z";
    let add = [
        "account",
        "add",
        "7",
        "--discount",
        "50",
        "--price",
        "A=5",
        "--from",
        "2024-12-01",
    ];
    let told = json_that_writes_nothing(&shop, now, &[&add[..], &["--dry-run"]].concat());
    assert_eq!(
        (&told["before"]["discount_percent"], &told["discount_percent"]),
        (&"0".into(), &"50".into())
    );
    let open = &told["money"]["sums"][0]["open"];
    assert_eq!(
        *open,
        serde_json::json!({"old": "3.00", "new": "2.50", "difference": "-0.50"})
    );
    assert_eq!(told["money"]["closed_periods"], 0);
    let (code, text) = said(&shop, now, &add);
    assert_eq!(code, 0, "{text}");
    let change = "from 2024-12-01 on: discount 0 % -> 50 %; A the card's price -> 5";
    assert!(text.contains(change) && text.contains("-0.50"), "{text}");
    let (_, shown) = said(&shop, now, &["account", "show", "7"]);
    assert!(shown.contains("discount 50 %"), "{shown}");
}

/// Three records, and a file with other contents of them.
fn three_conflicts() -> Shop {
    let shop = Shop::new("CNY", &price("1"));
    shop.drop(&[
        usage("a", 7, "A", NOVEMBER, 60_000),
        usage("b", 7, "A", NOVEMBER, 60_000),
        usage("c", 8, "A", NOVEMBER, 60_000),
    ]);
    shop.place.night("2024-11-20T00:00:00Z");
    shop.drop(&[
        usage("a", 7, "A", NOVEMBER, 120_000),
        usage("b", 7, "A", NOVEMBER, 180_000),
        usage("c", 8, "A", NOVEMBER, 120_000),
    ]);
    shop.place.night("2024-11-21T00:00:00Z");
    shop
}

const DECIDES: &str = "2024-11-22T00:00:00Z";

fn digest_of(list: &Value) -> &str {
    list["digest"].as_str().unwrap()
}

#[test]
fn one_decision_holds_for_exactly_the_list_that_was_shown() {
    let shop = three_conflicts();
    let list = json(&shop, DECIDES, &["conflict", "list"]);
    assert_eq!(list["count"], 3);
    assert_eq!(
        list["money"],
        serde_json::json!([{"currency": "CNY", "closed": false, "accounts": 2, "amount": "4.0000000000"}])
    );
    let decide = |word: &str, filter: &[&str], digest: &str| {
        let args = [&["conflict", word], filter, &["--list", digest, "--reason", "seen"]].concat();
        said(&shop, DECIDES, &args)
    };
    // A list is named, and it is the list of the filter.
    assert_eq!(
        said(&shop, DECIDES, &["conflict", "keep", "--all", "--reason", "seen"]).0,
        2
    );
    let of_8 = json(&shop, DECIDES, &["conflict", "list", "--account", "8"]);
    assert_eq!(of_8["count"], 1);
    let (code, text) = decide("replace", &["--all"], digest_of(&of_8));
    assert!(
        code == 2 && text.contains("is out of date") && text.contains(digest_of(&list)),
        "{text}"
    );
    // Another conflict came since the list was shown.
    shop.drop(&[usage("c", 8, "A", NOVEMBER, 600_000)]);
    shop.place.night("2024-11-22T00:00:00Z");
    let (code, text) = decide("replace", &["--all"], digest_of(&list));
    assert!(code == 2 && text.contains("4 open conflicts"), "{text}");
    // Two contents of one identity cannot both stand.
    let list = json(&shop, DECIDES, &["conflict", "list"]);
    let (code, text) = decide("replace", &["--all"], digest_of(&list));
    assert!(
        code == 2 && text.contains("and 4 are two later versions of default c"),
        "{text}"
    );
    let of_file = json(&shop, DECIDES, &["conflict", "list", "--input", "002.ndjson"]);
    assert_eq!(
        (&of_file["count"], &of_file["conflicts"][0]["conflict"]),
        (&1.into(), &4.into())
    );
    let (code, text) = decide("keep", &["--input", "002.ndjson"], digest_of(&of_file));
    assert_eq!(code, 0, "{text}");
    let of_batch = json(&shop, DECIDES, &["conflict", "list", "--batch", "2"]);
    let (code, text) = decide("replace", &["--batch", "2"], digest_of(&of_batch));
    assert!(code == 0 && text.contains("+4.0000000000 CNY"), "{text}");
    assert_eq!(json(&shop, DECIDES, &["conflict", "list"])["count"], 0);
    // Decided again, it is final.
    let (code, text) = decide("replace", &["--batch", "2"], digest_of(&of_batch));
    assert!(code == 2 && text.contains("decisions are final"), "{text}");
    let night = shop.place.night("2024-12-10T00:00:00Z");
    assert_eq!(night.closed.totals["CNY"], "7.00");
    assert_proved(&shop, "2024-12-10T00:00:00Z");
}

#[test]
fn a_list_with_a_conflict_that_can_only_be_kept_is_not_replaced() {
    let shop = three_conflicts();
    shop.drop(&[void("v", "a")]);
    shop.place.night("2024-11-22T00:00:00Z");
    let list = json(&shop, DECIDES, &["conflict", "list"]);
    let all = [
        "conflict",
        "replace",
        "--all",
        "--list",
        digest_of(&list),
        "--reason",
        "seen",
    ];
    let (code, text) = said(&shop, DECIDES, &all);
    assert!(
        code == 2 && text.contains("1 conflict on the list can only be kept"),
        "{text}"
    );
    let keep = [
        "conflict",
        "keep",
        "--all",
        "--list",
        digest_of(&list),
        "--reason",
        "seen",
    ];
    assert_eq!(said(&shop, DECIDES, &keep).0, 0);
    assert_proved(&shop, DECIDES);
}

#[test]
fn a_decision_about_a_list_that_is_killed_goes_on_where_it_was() {
    for point in [
        "resolve.before_commit",
        "resolve.after_commit",
        "meter.before_commit",
        "meter.after_commit",
    ] {
        let shop = three_conflicts();
        let list = json(&shop, DECIDES, &["conflict", "list"]);
        let all = [
            "conflict",
            "replace",
            "--all",
            "--list",
            digest_of(&list),
            "--reason",
            "seen",
        ];
        stop_at(&mut program(&shop, DECIDES, &all), point).unwrap().kill();
        let (code, text) = said(&shop, DECIDES, &all);
        let done = point == "meter.after_commit";
        assert_eq!(code, if done { 2 } else { 0 }, "{point}: {text}");
        assert_eq!(json(&shop, DECIDES, &["audit"]).as_array().unwrap().len(), 1, "{point}");
        let night = shop.place.night("2024-12-10T00:00:00Z");
        assert_eq!(night.closed.totals["CNY"], "7.00", "{point}");
        assert_proved(&shop, "2024-12-10T00:00:00Z");
    }
}

#[test]
fn a_close_names_the_open_conflicts_of_the_periods_that_it_closes() {
    let shop = three_conflicts();
    // One of December, which stays open.
    shop.drop(&[
        usage("d", 8, "A", "2024-12-02T10:00:00+08:00", 60_000),
        usage("d", 8, "A", "2024-12-02T10:00:00+08:00", 120_000),
    ]);
    let night = shop.place.night("2024-12-10T00:00:00Z");
    let over = &night.closed_over;
    assert_eq!(
        (over.count, over.conflicts.len(), u8::from(night.exit_code())),
        (3, 3, 0)
    );
    let of_a = over.conflicts.iter().find(|conflict| conflict.id == "a").unwrap();
    assert_eq!(of_a.periods, ["account 7, 2024-11-01 to 2024-12-01"]);
    assert_eq!(
        (over.money[0].amount.as_str(), over.money[0].closed),
        ("4.0000000000", true)
    );
    let text = report::night(&night);
    assert!(
        text.contains("CONFLICTS in periods that closed: 3 open conflicts"),
        "{text}"
    );
    // Told once: the next night closes nothing.
    assert_eq!(shop.place.night("2024-12-11T00:00:00Z").closed_over.count, 0);
}

/// November billed in CNY; from January on the account is billed in USD; then a record of November comes.
fn blocked_by_currency() -> Shop {
    let shop = Shop::new("CNY", &price("1"));
    shop.drop(&[usage("a", 7, "A", NOVEMBER, 60_000)]);
    shop.place.night("2024-12-10T00:00:00Z");
    shop.change_card("2024-12-10T00:00:00Z", 7, "2025-01-01").unwrap();
    shop.place.night("2025-01-05T00:00:00Z");
    shop.drop(&[
        usage("late", 7, "A", "2024-11-16T10:00:00+08:00", 60_000),
        usage("usd", 7, "A", "2025-01-05T10:00:00+08:00", 60_000),
    ]);
    shop
}

const SETTLE: [&str; 6] = ["adjustment", "settle", "7", "2024-11-01", "--reason", "credit note 12"];

#[test]
fn an_adjustment_in_another_currency_is_settled_outside_and_the_account_closes() {
    let shop = blocked_by_currency();
    let night = shop.place.night("2025-02-10T00:00:00Z");
    assert_eq!((u8::from(night.exit_code()), night.closed.blocked.len()), (3, 1));
    assert!(
        night.needs_person[0].contains("tallybook adjustment settle 7 2024-11-01"),
        "{:?}",
        night.needs_person
    );
    let now = "2025-02-11T00:00:00Z";
    let listed = json_that_writes_nothing(&shop, now, &["adjustment", "list"]);
    let only = &listed[0];
    assert_eq!(
        (listed.as_array().unwrap().len(), &only["state"]),
        (1, &"blocked".into())
    );
    assert_eq!(
        (&only["amount"], &only["currency"], &only["records"]),
        (&"1.0000000000".into(), &"CNY".into(), &1.into())
    );
    // What does not wait is not settled.
    for wrong in [["7", "2024-12-01"], ["8", "2024-11-01"]] {
        let (code, text) = said(
            &shop,
            now,
            &["adjustment", "settle", wrong[0], wrong[1], "--reason", "x"],
        );
        assert!(code == 2 && text.contains("no adjustment to settle"), "{text}");
    }
    let settled = json(&shop, now, &SETTLE);
    assert_eq!(
        (&settled["state"], &settled["amount"]),
        (&"settled".into(), &"1.0000000000".into())
    );
    assert_proved(&shop, now);
    let (code, text) = said(&shop, now, &SETTLE);
    assert!(code == 2 && text.contains("is already settled"), "{text}");
    // Before the next close and after it, both sides of the control totals agree.
    let explained = json(&shop, now, &["explain", "7-20241101-20241201"]);
    let sides =
        ["metered", "billed", "settled_outside", "waiting"].map(|side| explained["control"][side].as_i64().unwrap());
    assert_eq!(sides, [2, 1, 1, 0]);
    let night = shop.place.night("2025-02-12T00:00:00Z");
    assert_eq!(
        (u8::from(night.exit_code()), night.closed.totals["USD"].as_str()),
        (0, "7.00")
    );
    assert_proved(&shop, "2025-02-12T00:00:00Z");
    let (code, text) = said(&shop, "2025-02-12T00:00:00Z", &["explain", "7-20241101-20241201"]);
    assert!(
        code == 0 && text.contains("2 metered = 1 billed + 0 adjusted later + 1 settled outside + 0 waiting"),
        "{text}"
    );
    let audit = json(&shop, "2025-02-12T00:00:00Z", &["audit"]);
    let last = audit.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["action"], &last["who"], &last["reason"]),
        (&"adjustment settle".into(), &"mira".into(), &"credit note 12".into())
    );
}

#[test]
fn a_corrected_price_that_another_currency_blocks_is_settled_too() {
    let shop = blocked_by_currency();
    shop.place.night("2025-02-10T00:00:00Z");
    json(&shop, "2025-02-11T00:00:00Z", &SETTLE);
    shop.place.night("2025-02-12T00:00:00Z");
    shop.drop(&[usage("february", 7, "A", "2025-02-05T10:00:00+08:00", 60_000)]);
    shop.write_card(&price("2"));
    let now = "2025-02-13T00:00:00Z";
    let card = shop.cards().join("c/2024-01-01.toml");
    let import = [
        "rate-card",
        "import",
        card.to_str().unwrap(),
        "--corrects",
        "2024-01-01",
        "--reason",
        "misread",
    ];
    let told = json(&shop, now, &import);
    // What was settled counts as billed.
    let closed = serde_json::json!({"old": "2.00", "new": "4.00", "difference": "2.00"});
    assert_eq!(told["money"]["sums"][0]["closed"], closed);
    let night = shop.place.night("2025-03-10T00:00:00Z");
    assert_eq!((u8::from(night.exit_code()), night.closed.blocked.len()), (3, 1));
    let listed = json(&shop, "2025-03-11T00:00:00Z", &["adjustment", "list"]);
    assert_eq!(
        (&listed[0]["amount"], &listed[0]["records"]),
        (&"2.0000000000".into(), &0.into())
    );
    json(&shop, "2025-03-11T00:00:00Z", &SETTLE);
    let night = shop.place.night("2025-03-12T00:00:00Z");
    assert_eq!(
        (u8::from(night.exit_code()), night.closed.totals["USD"].as_str()),
        (0, "7.00")
    );
    assert_proved(&shop, "2025-03-12T00:00:00Z");
}

#[test]
fn what_was_settled_is_where_later_changes_of_its_period_start() {
    let shop = blocked_by_currency();
    shop.place.night("2025-02-10T00:00:00Z");
    json(&shop, "2025-02-11T00:00:00Z", &SETTLE);
    // A second record of November before the close, and then the settled one is taken back.
    shop.drop(&[usage("later", 7, "A", "2024-11-17T10:00:00+08:00", 180_000)]);
    let night = shop.place.night("2025-02-12T00:00:00Z");
    assert_eq!((u8::from(night.exit_code()), night.closed.blocked.len()), (3, 1));
    let listed = json(&shop, "2025-02-13T00:00:00Z", &["adjustment", "list"]);
    assert_eq!(
        (&listed[0]["amount"], &listed[0]["records"]),
        (&"3.0000000000".into(), &1.into())
    );
    json(&shop, "2025-02-13T00:00:00Z", &SETTLE);
    assert_eq!(shop.place.night("2025-02-14T00:00:00Z").closed.totals["USD"], "7.00");
    shop.drop(&[
        void("v", "late"),
        usage("february", 7, "A", "2025-02-05T10:00:00+08:00", 60_000),
    ]);
    shop.place.night("2025-03-10T00:00:00Z");
    let listed = json(&shop, "2025-03-11T00:00:00Z", &["adjustment", "list", "--all"]);
    let amounts: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["amount"].as_str().unwrap())
        .collect();
    assert_eq!(amounts, ["-1.0000000000", "1.0000000000", "3.0000000000"]);
    json(&shop, "2025-03-11T00:00:00Z", &SETTLE);
    assert_eq!(shop.place.night("2025-03-12T00:00:00Z").exit_code(), 0);
    assert_proved(&shop, "2025-03-12T00:00:00Z");
}

/// Makes books that wait for a decision.
type Made<'a> = &'a dyn Fn() -> Shop;

#[test]
fn a_decision_that_is_killed_happened_whole_or_not_at_all() {
    let settling = || {
        let shop = blocked_by_currency();
        shop.place.night("2025-02-10T00:00:00Z");
        shop
    };
    let withdrawing = || {
        let shop = two_accounts();
        later_version(&shop);
        shop.place.night("2025-02-10T00:00:00Z");
        shop
    };
    let dismissing = || {
        let shop = Shop::new("CNY", &price("1"));
        shop.drop(&[void("v", "a")]);
        shop.place.night("2025-02-10T00:00:00Z");
        shop
    };
    let cases: [(&str, Made, &[&str]); 3] = [
        ("settle", &settling, &SETTLE),
        (
            "withdraw",
            &withdrawing,
            &["rate-card", "withdraw", "c", "2025-06-01", "--reason", "typo"],
        ),
        (
            "dismiss_void",
            &dismissing,
            &["void", "dismiss", "v", "--reason", "expired"],
        ),
    ];
    let now = "2025-02-11T00:00:00Z";
    for (commit, shop, command) in cases {
        for (point, code) in [("before_commit", 0), ("after_commit", 2)] {
            let shop = shop();
            let point = format!("{commit}.{point}");
            stop_at(&mut program(&shop, now, command), &point).unwrap().kill();
            assert_proved(&shop, now);
            let (ended, text) = said(&shop, now, command);
            assert_eq!(ended, code, "{point}: {text}");
            assert_eq!(
                json(&shop, now, &["audit"])
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|it| it["reason"] != "")
                    .count(),
                1
            );
            assert_proved(&shop, now);
        }
        // The ledger dies after the commit and before its answer.
        let shop = shop();
        let output = program(&shop, now, command)
            .env("TALLYBOOK_LOSE_ANSWER_AT", commit)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("run the same command again"), "{text}");
        assert_eq!(said(&shop, now, command).0, 2);
        assert_proved(&shop, now);
    }
}

/// A version from June 2025 on, at 9 a minute.
fn later_version(shop: &Shop) {
    let text = std::fs::read_to_string(shop.cards().join("c/2024-01-01.toml")).unwrap();
    let text = text.replace("2024-01-01", "2025-06-01").replace("\"3\"", "\"9\"");
    std::fs::write(shop.cards().join("c/2025-06-01.toml"), text).unwrap();
}

#[test]
fn first_use_a5_a_future_version_is_withdrawn_and_stays_so_though_its_file_is_there() {
    let shop = two_accounts();
    later_version(&shop);
    let night = shop.place.night("2024-12-11T00:00:00Z");
    assert_eq!(night.cards[0].outcome, "new version");
    let now = "2024-12-12T00:00:00Z";
    let withdraw = ["rate-card", "withdraw", "c", "2025-06-01", "--reason", "not agreed yet"];
    let (code, text) = said(&shop, now, &withdraw);
    assert!(
        code == 0 && text.contains("the version of 2024-01-01 is now in force"),
        "{text}"
    );
    assert_eq!(said(&shop, now, &withdraw).0, 2);
    assert_proved(&shop, now);
    // The night tells of the file, and bills June by the version that is in force.
    let night = shop.place.night("2024-12-13T00:00:00Z");
    assert_eq!((night.cards[0].outcome, u8::from(night.exit_code())), ("withdrawn", 0));
    shop.drop(&[usage("j", 7, "A", "2025-06-05T10:00:00+08:00", 60_000)]);
    let night = shop.place.night("2025-07-10T00:00:00Z");
    assert_eq!(
        (night.closed.totals["CNY"].as_str(), u8::from(night.exit_code())),
        ("6.00", 0)
    );
    assert_proved(&shop, "2025-07-10T00:00:00Z");
    let (_, listed) = said(&shop, "2025-07-10T00:00:00Z", &["rate-card", "list"]);
    assert!(
        listed
            .lines()
            .any(|line| line.contains("2025-06-01") && line.contains("2024-12-12T00:00:00+00:00")),
        "{listed}"
    );
}

#[test]
fn a_withdrawn_version_comes_back_when_a_person_names_its_file_or_it_says_something_else() {
    let shop = two_accounts();
    later_version(&shop);
    shop.place.night("2024-12-11T00:00:00Z");
    let now = "2024-12-12T00:00:00Z";
    let withdraw = ["rate-card", "withdraw", "c", "2025-06-01", "--reason", "not agreed yet"];
    let file = shop.cards().join("c/2025-06-01.toml");
    let outcome = |told: &Value, at: usize| told["cards"][at]["outcome"].as_str().unwrap().to_owned();
    said(&shop, now, &withdraw);
    let told = json(&shop, now, &["rate-card", "import"]);
    assert_eq!(outcome(&told, 1), "withdrawn");
    let told = json(&shop, now, &["rate-card", "import", file.to_str().unwrap()]);
    assert_eq!(outcome(&told, 0), "new version");
    assert_eq!(said(&shop, now, &withdraw).0, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"9\"", "\"4\"")).unwrap();
    let night = shop.place.night("2024-12-13T00:00:00Z");
    assert_eq!(night.cards[0].outcome, "new version");
    shop.drop(&[usage("j", 7, "A", "2025-06-05T10:00:00+08:00", 60_000)]);
    let night = shop.place.night("2025-07-10T00:00:00Z");
    assert_eq!(night.closed.totals["CNY"], "7.00");
    assert_proved(&shop, "2025-07-10T00:00:00Z");
}

#[test]
fn a_version_on_which_something_rests_is_not_withdrawn() {
    let shop = two_accounts();
    let now = "2024-12-12T00:00:00Z";
    let withdraw =
        |name: &str, from: &str| said(&shop, now, &["rate-card", "withdraw", name, from, "--reason", "typo"]);
    let (code, text) = withdraw("c", "2024-01-01");
    assert!(
        code == 3 && text.contains("usage is already metered up to 2024-12-05"),
        "{text}"
    );
    assert_eq!(withdraw("c", "2024-02-01").0, 2);
    // Terms under a card of one version.
    shop.change_card(now, 7, "2025-01-01").unwrap();
    let (code, text) = withdraw("usd", "2024-01-01");
    assert!(code == 3 && text.contains("2024-12-05"), "{text}");
    later_version(&shop);
    assert_eq!(said(&shop, now, &["rate-card", "import"]).0, 0);
    let price = ["account", "add", "8", "--price", "A=7", "--from", "2025-01-01"];
    assert_eq!(said(&shop, now, &price).0, 0);
    assert_eq!(withdraw("c", "2025-06-01").0, 0);
}

#[test]
fn a_void_that_is_dismissed_waits_no_more_and_keeps_no_other_from_its_record() {
    let shop = Shop::new("CNY", &price("1"));
    shop.drop(&[void("v", "a")]);
    shop.place.night("2024-11-20T00:00:00Z");
    let now = "2024-11-21T00:00:00Z";
    assert_eq!(json(&shop, now, &["void", "list"])[0]["voids"], "a");
    let (code, text) = said(&shop, now, &["void", "dismiss", "w", "--reason", "expired"]);
    assert!(code == 2 && text.contains("void list"), "{text}");
    let (code, text) = said(
        &shop,
        now,
        &["void", "dismiss", "v", "--reason", "its record has expired"],
    );
    assert!(code == 0 && text.contains("it is billed"), "{text}");
    assert_eq!(json(&shop, now, &["void", "list"]).as_array().unwrap().len(), 0);
    assert_eq!(json(&shop, now, &["status"])["voids_waiting"], 0);
    assert_proved(&shop, now);
    shop.drop(&[usage("a", 7, "A", NOVEMBER, 60_000)]);
    let night = shop.place.night("2024-11-22T00:00:00Z");
    assert_eq!((records(&night, "metered"), records(&night, "voided")), (1, 0));
    shop.drop(&[void("w", "a")]);
    let night = shop.place.night("2024-11-23T00:00:00Z");
    assert_eq!((records(&night, "metered"), records(&night, "voided")), (0, 1));
    assert_proved(&shop, "2024-11-23T00:00:00Z");
}

#[test]
fn a_settlement_or_a_withdrawal_that_was_changed_by_hand_is_found() {
    let shop = blocked_by_currency();
    later_version(&shop);
    shop.place.night("2025-02-10T00:00:00Z");
    let now = "2025-02-11T00:00:00Z";
    json(&shop, now, &SETTLE);
    assert_eq!(
        said(
            &shop,
            now,
            &["rate-card", "withdraw", "c", "2025-06-01", "--reason", "typo"]
        )
        .0,
        0
    );
    run(async {
        for table in ["settlement", "withdrawn_card"] {
            let books = shop.place.books(at(now)).await;
            let row = query(format!("SELECT * FROM {table}"))
                .fetch_one(&books.ledger)
                .await
                .unwrap();
            books.ledger.close().await;
            let mut changes = vec![format!("DELETE FROM {table}")];
            for (column, value) in row.names().iter().zip(row.values()) {
                let other = match value {
                    Cell::Text(text) => literal(&Cell::Text(format!("{}9", &text[..text.len() - 1]))),
                    _ => format!("{column} + 1"),
                };
                changes.push(format!("UPDATE {table} SET {column} = {other}"));
            }
            for change in changes {
                let copy = shop.place.copy();
                execute(copy.path(), &change);
                let books = copy.books(at(now)).await;
                let found = verify(&books).await.unwrap().differences;
                books.ledger.close().await;
                assert!(
                    found.iter().any(|sentence| sentence.contains(table)),
                    "{change}: {found:?}"
                );
            }
        }
    });
}
