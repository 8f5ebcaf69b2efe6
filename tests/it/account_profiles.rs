//! Names, contacts, contract numbers and labels of accounts, set one by one and from files.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::crashes::books::{differences, dump};
use crate::crashes::play::card;
use crate::crashes::process::program;
use crate::exactly_once::shop::Shop;

const NOW: &str = "2026-11-02T00:00:00Z";

/// Books with the accounts 7 and 9 under a card in UTC.
fn ground() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["in", "cards/c", "books/drop"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    card(dir.path(), "0.5", false);
    said(dir.path(), &["rate-card", "import"]);
    for uin in ["7", "9"] {
        said(
            dir.path(),
            &["account", "add", uin, "--card", "c", "--from", "2026-11-01"],
        );
    }
    dir
}

/// What a command prints, and how it ends.
fn answer(path: &Path, args: &[&str]) -> String {
    let output = program(path, NOW, args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    format!(
        "{}{}exit code {}\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap()
    )
}

/// What a command prints that succeeds.
fn said(path: &Path, args: &[&str]) -> String {
    let answer = answer(path, args);
    answer
        .strip_suffix("exit code 0\n")
        .unwrap_or_else(|| panic!("{args:?}: {answer}"))
        .to_owned()
}

fn json(path: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&said(path, &[args, &["--json"]].concat())).unwrap()
}

const SET: [&str; 13] = [
    "account",
    "set",
    "7",
    "--name",
    "Acme, Ltd",
    "--contact",
    "bills@acme.test",
    "--contract",
    "C-17",
    "--label",
    "tier=gold",
    "--label",
    "team=video",
];

#[test]
fn a_dry_run_shows_what_setting_changes_and_writes_nothing() {
    let dir = ground();
    let before = dump(dir.path());
    let shown = said(dir.path(), &[&SET[..], &["--dry-run"]].concat());
    insta::assert_snapshot!(shown, @r"
    account 7
      name: none -> Acme, Ltd
      contact: none -> bills@acme.test
      contract: none -> C-17
      label team: none -> video
      label tier: none -> gold
    dry run: nothing was written
    ");
    assert_eq!(dump(dir.path()), before);
    assert_eq!(
        said(dir.path(), &SET),
        shown.replace("dry run: nothing was written\n", "")
    );
}

#[test]
fn setting_what_is_set_writes_nothing() {
    let dir = ground();
    said(dir.path(), &SET);
    let before = dump(dir.path());
    assert_eq!(said(dir.path(), &SET), "account 7\n  no change\n");
    assert_eq!(dump(dir.path()), before);
}

#[test]
fn each_change_is_a_version_and_an_earlier_one_stays_what_it_was() {
    let dir = ground();
    said(dir.path(), &SET);
    said(
        dir.path(),
        &[
            "account",
            "set",
            "7",
            "--name",
            "Acme Inc",
            "--contact",
            "",
            "--unlabel",
            "team",
            "--label",
            "tier=silver",
        ],
    );
    insta::assert_snapshot!(said(dir.path(), &["account", "show", "7"]));
    insta::assert_snapshot!(said(dir.path(), &["account", "list"]));
    let shown = json(dir.path(), &["account", "show", "7"]);
    assert_eq!(shown["profile"], shown["profile_versions"][1]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&shown["profile_versions"]).unwrap());
    assert_eq!(json(dir.path(), &["account", "show", "9"])["profile"], Value::Null);
    assert_eq!(differences(dir.path()), Vec::<String>::new());
}

#[test]
fn the_audit_trail_tells_what_changed_and_no_name() {
    let dir = ground();
    said(dir.path(), &SET);
    let trail = json(dir.path(), &["audit"]);
    let last = trail.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["action"], &last["subject"]),
        (&"account set".into(), &"account 7".into())
    );
    assert_eq!(
        last["detail"],
        serde_json::json!({ "version": 1, "changed": ["name", "contact", "contract", "label team", "label tier"] })
    );
    assert!(
        !trail.to_string().contains("Acme"),
        "an erasure need not look for it there"
    );
}

#[test]
fn what_cannot_be_set_is_refused_with_the_cure() {
    let dir = ground();
    let answers: Vec<String> = [
        &["account", "set", "8", "--name", "x"][..],
        &["account", "set", "7"],
        &["account", "set", "7", "--name", " x"],
        &["account", "set", "7", "--label", "tier"],
        &["account", "set", "7", "--label", "a b=c"],
        &["account", "set", "7", "--unlabel", "tier"],
    ]
    .iter()
    .map(|args| format!("$ {}\n{}", args.join(" "), answer(dir.path(), args)))
    .collect();
    // Its usage names the options that were given, and on servers the ledger is one of them.
    insta::assert_snapshot!(answers.join("\n").replace("--ledger <URL> ", ""));
}

const CSV: &str = "uin,name,contact,contract,label.tier,card,cycle,anchor_day,discount,from\n\
                   7,\"Acme, Ltd\",bills@acme.test,C-17,gold,,,,7.5,2026-12-01\n\
                   8,New One,,,,c,monthly,15,,2026-11-15\n\
                   9,,,,,,,,,\n";

const TOML: &str = "[[account]]\nuin = 7\nname = \"Acme, Ltd\"\ncontact = \"bills@acme.test\"\ncontract = \"C-17\"\n\
                    labels = { tier = \"gold\" }\ndiscount = \"7.5\"\nfrom = 2026-12-01\n\
                    [[account]]\nuin = \"8\"\nname = \"New One\"\ncard = \"c\"\ncycle = \"monthly\"\nanchor_day = 15\nfrom = 2026-11-15\n\
                    [[account]]\nuin = 9\n";

#[test]
fn a_file_is_shown_before_it_is_imported_and_imported_once() {
    let dir = ground();
    std::fs::write(dir.path().join("accounts.csv"), CSV).unwrap();
    let before = dump(dir.path());
    insta::assert_snapshot!(said(dir.path(), &["account", "import", "accounts.csv", "--dry-run"]));
    assert_eq!(dump(dir.path()), before);
    insta::assert_snapshot!(said(dir.path(), &["account", "import", "accounts.csv"]));
    let after = dump(dir.path());
    assert_eq!(
        said(dir.path(), &["account", "import", "accounts.csv"]),
        "3 accounts: 0 new, 0 changed, 3 unchanged\n"
    );
    assert_eq!(dump(dir.path()), after, "nothing was written again");
    // The same in the other form.
    std::fs::write(dir.path().join("accounts.toml"), TOML).unwrap();
    assert_eq!(
        said(dir.path(), &["account", "import", "accounts.toml", "--dry-run"]),
        "3 accounts: 0 new, 0 changed, 3 unchanged\nno effect on closed or open periods\ndry run: nothing was written\n"
    );
    insta::assert_snapshot!(said(dir.path(), &["account", "show", "8"]));
    assert_eq!(differences(dir.path()), Vec::<String>::new());
}

#[test]
fn a_file_with_a_mistake_is_kept_out_as_a_whole_and_every_mistake_is_told() {
    let dir = ground();
    // 7 may start new terms only where a period starts; 8 is on a card that nobody has; 9 keeps its zone; 10 is fine.
    let text = "uin,card,zone,discount,from\n7,,,5,2026-12-15\n8,nonesuch,,,2026-12-01\n9,,Asia/Tokyo,,2026-12-01\n10,c,,101,2026-12-01\n11,c,,5,\n";
    std::fs::write(dir.path().join("bad.csv"), text).unwrap();
    let before = dump(dir.path());
    insta::assert_snapshot!(answer(dir.path(), &["account", "import", "bad.csv"]));
    assert_eq!(dump(dir.path()), before);
}

#[test]
fn terms_of_a_file_are_those_that_account_add_makes() {
    let by_file = ground();
    std::fs::write(
        by_file.path().join("accounts.csv"),
        "uin,card,cycle,discount,from\n7,,,7.5,2026-12-01\n8,c,daily,,2026-11-15\n",
    )
    .unwrap();
    said(by_file.path(), &["account", "import", "accounts.csv"]);
    let by_hand = ground();
    said(
        by_hand.path(),
        &["account", "add", "7", "--discount", "7.5", "--from", "2026-12-01"],
    );
    said(
        by_hand.path(),
        &[
            "account",
            "add",
            "8",
            "--card",
            "c",
            "--cycle",
            "daily",
            "--from",
            "2026-11-15",
        ],
    );
    let list = |dir: &tempfile::TempDir| json(dir.path(), &["account", "list"]);
    assert_eq!(list(&by_file), list(&by_hand));
    let audited = |dir: &tempfile::TempDir| {
        let trail = json(dir.path(), &["audit"]);
        let entries = trail.as_array().unwrap().iter();
        entries
            .map(|entry| format!("{} {} {}", entry["action"], entry["subject"], entry["detail"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(audited(&by_file), audited(&by_hand));
}

#[test]
fn names_do_not_change_what_is_billed() {
    let november = [crate::exactly_once::shop::usage(
        "a",
        7,
        "A",
        "2024-11-15T10:00:00+08:00",
        60_000,
    )];
    let statement = |name: Option<&str>| {
        let shop = Shop::new("CNY", "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }");
        shop.drop(&november);
        shop.place.night("2024-11-20T00:00:00Z");
        if let Some(name) = name {
            crate::world::run(async {
                let books = shop.place.books(crate::world::at("2024-11-21T00:00:00Z")).await;
                let said = tallybook::catalog::account::profile::Said {
                    name: Some(name.to_owned()),
                    ..Default::default()
                };
                tallybook::catalog::account::profile::set::set(&books, 7, &said)
                    .await
                    .unwrap();
                books.ledger.close().await;
            });
        }
        shop.place.night("2024-12-10T00:00:00Z");
        shop.place.exported("statements.csv")
    };
    assert_eq!(statement(Some("Acme")), statement(None));
}
