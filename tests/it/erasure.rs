//! Accounts that are erased: what keeps it from being done, what is gone, what stays and can be proved, and who comes back.

/// Books with an account to be erased, and another.
mod books;

/// A kill at every point.
mod deaths;

/// The door, after an erasure.
mod door;

/// What keeps an account from being erased.
mod refusals;

/// Numbers in files, in the ledger, and in backups.
pub mod search;

use std::collections::BTreeSet;

use books::{APPS, ERASE_AT, OTHER, UIN, ended_and_exported, erase, exported_rows, raw_rows, run, said};
use search::{found_in_files, found_in_ledger};

use crate::backups::kept_and_named;
use crate::crashes::books::{differences, with_books};
use crate::ledgers::is_embedded;

/// What nothing may say after the erasure: the numbers, names of the customer's work, and who the customer is.
fn texts() -> Vec<String> {
    let numbers = APPS.map(|app| app.to_string());
    [UIN.to_string()]
        .into_iter()
        .chain(numbers)
        .chain(["work-of-seven", "Seven Seas", "seven-seas", "C-SEVEN", "seven-gold"].map(str::to_owned))
        .collect()
}

fn numbers() -> Vec<u64> {
    [UIN].into_iter().chain(APPS).collect()
}

/// The number under which the account stands now.
fn pseudonym(path: &std::path::Path) -> u64 {
    with_books(path, async |books| {
        let all = tallybook::catalog::account::erased::store::pseudonyms(&books.ledger)
            .await
            .unwrap();
        assert_eq!(all.len(), 1);
        all.into_iter().next().unwrap()
    })
}

#[test]
fn after_an_erasure_no_file_and_no_row_has_the_numbers_or_the_names_of_the_work() {
    let dir = ended_and_exported();
    let path = dir.path();
    let before = found_in_files(&path.join("books"), &texts(), &numbers());
    for folder in ["raw/", "log/", "exports/", "drop/done/", "usage/"] {
        assert!(
            before.iter().any(|found| found.contains(folder)),
            "{folder} in {before:#?}"
        );
    }
    assert!(!found_in_ledger(path, &texts()).is_empty());
    erase(path, &["--page", "page.html"]);
    assert_eq!(found_in_ledger(path, &texts()), Vec::<String>::new());
    assert_eq!(
        found_in_files(&path.join("books"), &texts(), &numbers()),
        Vec::<String>::new()
    );
    let page = std::fs::read_to_string(path.join("page.html")).unwrap();
    assert!(page.contains(&UIN.to_string()) && page.contains("letter 12"));
    let certificate = said(path, ERASE_AT, &["erase", "certificate", "1"]);
    let digest = tallybook::values::digest::sha256_hex(certificate.as_bytes());
    assert!(page.contains(&digest), "{certificate}");
    assert!(said(path, ERASE_AT, &["erase", "list"]).contains(&digest));
    assert!(said(path, ERASE_AT, &["retention", "deleted"]).contains("erasure 1"));
}

#[test]
fn the_books_prove_themselves_after_an_erasure_and_after_the_next_nights() {
    let dir = ended_and_exported();
    let path = dir.path();
    assert_eq!(differences(path), Vec::<String>::new());
    erase(path, &[]);
    assert_eq!(differences(path), Vec::<String>::new());
    assert!(said(path, ERASE_AT, &["verify"]).contains(", 1 erased account: all agree"));
    for night in [
        "2024-12-12T00:00:00Z",
        "2025-01-10T00:00:00Z",
        "2025-06-20T00:00:00Z",
        "2025-06-21T00:00:00Z",
    ] {
        run(path, night, &["nightly"], 0);
        assert_eq!(differences(path), Vec::<String>::new(), "{night}");
    }
    assert_eq!(found_in_ledger(path, &texts()), Vec::<String>::new());
    assert_eq!(
        found_in_files(&path.join("books"), &texts(), &numbers()),
        Vec::<String>::new()
    );
}

#[test]
fn what_is_of_other_accounts_stays_as_it_was_to_the_byte() {
    let dir = ended_and_exported();
    let path = dir.path();
    let (rows, raw) = (exported_rows(path, OTHER), raw_rows(path, OTHER));
    assert!(!rows.is_empty() && !raw.is_empty() && !raw_rows(path, UIN).is_empty());
    erase(path, &[]);
    assert_eq!(exported_rows(path, OTHER), rows);
    assert_eq!(raw_rows(path, OTHER), raw);
    assert!(raw_rows(path, UIN).is_empty());
}

#[test]
fn statements_are_shown_explained_and_exported_again_under_the_pseudonym() {
    let dir = ended_and_exported();
    let path = dir.path();
    let total = |uin: u64| {
        let shown = said(path, ERASE_AT, &["statement", &uin.to_string(), "--json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let ids = |text: String| text.replace(&uin.to_string(), "N");
        let all = shown.as_array().unwrap().iter();
        all.map(|of| ids(format!("{} {}", of["statement_id"], of["total"])))
            .collect::<BTreeSet<String>>()
    };
    let before = total(UIN);
    erase(path, &[]);
    let pseudonym = pseudonym(path);
    assert_eq!(total(pseudonym), before);
    let id = format!("{pseudonym}-20241101-20241121");
    let explained = said(path, ERASE_AT, &["explain", &id]);
    assert!(
        explained.contains("its account was erased, and with it the raw records"),
        "{explained}"
    );
    let month = said(
        path,
        ERASE_AT,
        &["usage", &pseudonym.to_string(), "--month", "2024-11", "--json"],
    );
    assert!(month.contains("records"), "{month}");
    let files = || {
        let mut all = Vec::new();
        search::files_below(&path.join("books/exports"), &mut all);
        all.into_iter()
            .map(|file| std::fs::read(&file).unwrap())
            .collect::<Vec<_>>()
    };
    let written = files();
    for export in ["1", "2", "3"] {
        run(path, ERASE_AT, &["export", "--again", export], 0);
    }
    assert_eq!(files(), written);
}

#[test]
fn lines_of_packages_stay_as_they_were_billed_and_prove_themselves_after_an_erasure() {
    let dir = books::ground();
    let path = dir.path();
    let card = path.join("cards/c/2024-01-01.toml");
    let text = std::fs::read_to_string(&card).unwrap();
    let of_packages = "unit_price = \"0.5\", package = \"60s\", included = \"0.5\"";
    std::fs::write(&card, text.replace("unit_price = \"0.5\"", of_packages)).unwrap();
    let used = books::own("a", 0, "2024-11-10T10:00:00Z") + &books::own("b", 1, "2024-11-11T10:00:00Z");
    crate::crashes::play::drop_file(path, &format!("november-{UIN}.ndjson"), &used);
    run(path, "2024-11-13T00:00:00Z", &["nightly"], 0);
    books::terminate(path);
    run(path, "2024-12-10T00:00:00Z", &["nightly"], 0);
    let lines = |uin: u64| {
        let shown = said(path, ERASE_AT, &["statement", &uin.to_string(), "--json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let lines = shown[0]["lines"].as_array().unwrap().clone();
        let of = |line: &serde_json::Value| {
            ["kind", "quantity", "packages", "unit_price", "amount", "note"]
                .map(|key| line[key].to_string())
                .join(" ")
        };
        lines.iter().map(of).collect::<Vec<String>>()
    };
    let billed = lines(UIN);
    // 122 s less 30 s are two packages: the first line starts one, the second the other.
    assert!(
        billed[1].starts_with("\"usage\" \"0.516667\" 1 \"0.5\" \"0.5000000000\""),
        "{billed:?}"
    );
    assert!(
        billed[2].starts_with("\"usage\" \"1.016667\" 1 \"0.5\" \"0.5000000000\""),
        "{billed:?}"
    );
    erase(path, &[]);
    assert_eq!(lines(pseudonym(path)), billed);
    assert_eq!(differences(path), Vec::<String>::new());
    let explained = said(
        path,
        ERASE_AT,
        &["explain", &format!("{}-20241101-20241121", pseudonym(path))],
    );
    let counted = "package counter from 31,000 to 92,000 base units, in packages of 60,000: 1 package started";
    assert!(explained.contains(counted), "{explained}");
    let rows = exported_rows(path, pseudonym(path));
    assert!(rows.iter().any(|row| row.contains("packages 1")), "{rows:?}");
}

#[test]
fn the_backup_that_follows_has_the_account_no_more_and_restores_books_that_know_it_was_erased() {
    let dir = ended_and_exported();
    let path = dir.path();
    run(path, ERASE_AT, &["backup", "backup"], 0);
    let store = path.join("backup");
    assert!(!found_in_files(&store, &texts(), &[]).is_empty());
    let uin = UIN.to_string();
    let mut erasing = crate::crashes::process::program(path, ERASE_AT, &["erase", &uin, "--request", "letter 12"]);
    let ended = crate::crashes::process::run(erasing.env("TALLYBOOK_BACKUP", "backup"));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(found_in_files(&store, &texts(), &numbers()), Vec::<String>::new());
    if !is_embedded() {
        return;
    }
    let other = tempfile::tempdir().unwrap();
    let restored = said(other.path(), ERASE_AT, &["restore", store.to_str().unwrap()]);
    assert!(restored.contains(", 1 erased account: all agree"), "{restored}");
    std::fs::create_dir(other.path().join("in")).unwrap();
    std::fs::write(
        other.path().join("in/x.ndjson"),
        books::own("y", 0, "2024-11-10T12:00:00Z"),
    )
    .unwrap();
    let ingested = crate::crashes::process::run(&mut crate::crashes::process::program(
        other.path(),
        ERASE_AT,
        &["ingest", "in/x.ndjson"],
    ));
    assert_eq!(ended_as_erased(other.path()), 1, "{}", ingested.said);
}

#[test]
fn an_erasure_ends_the_backups_before_it_and_the_list_says_so() {
    let dir = ended_and_exported();
    let path = dir.path();
    let list = |path| said(path, ERASE_AT, &["backup", "list", "kept"]);
    run(path, "2024-12-10T01:00:00Z", &["backup", "kept"], 0);
    run(path, "2024-12-10T02:00:00Z", &["backup", "kept"], 0);
    assert!(list(path).contains("can be restored"), "{}", list(path));
    erase(path, &[]);
    run(path, "2024-12-11T01:00:00Z", &["backup", "kept"], 0);
    let ended = "cannot be restored: an account was erased since";
    assert_eq!(list(path).matches(ended).count(), 2, "{}", list(path));
    let (kept, named) = kept_and_named(&path.join("kept"));
    assert_eq!(kept, named);
    assert_eq!(
        found_in_files(&path.join("kept"), &texts(), &numbers()),
        Vec::<String>::new()
    );
    if is_embedded() {
        let (other, kept) = (tempfile::tempdir().unwrap(), path.join("kept"));
        let args = ["restore", kept.to_str().unwrap(), "--to", "1"];
        let refused =
            crate::crashes::process::run(&mut crate::crashes::process::program(other.path(), ERASE_AT, &args));
        assert_eq!(refused.code, Some(2), "{}", refused.said);
        assert!(refused.said.contains("an account was erased since"), "{}", refused.said);
    }
    // Those after it are points again.
    run(path, "2024-12-12T01:00:00Z", &["backup", "kept"], 0);
    assert_eq!(list(path).matches("can be restored").count(), 1, "{}", list(path));
}

/// Lines refused as of an erased account.
fn ended_as_erased(path: &std::path::Path) -> i64 {
    with_books(path, async |books| {
        let sql = "SELECT COUNT(*) FROM quarantine WHERE code = 'account_erased'";
        let row = tallybook::storage::ledger::query(sql)
            .fetch_one(&books.ledger)
            .await
            .unwrap();
        row.try_get(0).unwrap()
    })
}

#[test]
fn when_the_backup_fails_the_erasure_is_done_and_needs_a_person() {
    let dir = ended_and_exported();
    let path = dir.path();
    let uin = UIN.to_string();
    let mut erasing = crate::crashes::process::program(path, ERASE_AT, &["erase", &uin, "--request", "letter 12"]);
    let ended = crate::crashes::process::run(erasing.env("TALLYBOOK_BACKUP", "nowhere"));
    assert_eq!(ended.code, Some(3), "{}", ended.said);
    assert_eq!(
        found_in_files(&path.join("books"), &texts(), &numbers()),
        Vec::<String>::new()
    );
    assert!(said(path, ERASE_AT, &["erase", "list"]).contains("letter 12"));
}

#[test]
fn a_correction_of_prices_leaves_an_erased_account_as_it_was_billed_and_says_so() {
    let dir = ended_and_exported();
    let path = dir.path();
    erase(path, &[]);
    crate::crashes::play::card(path, "0.6", false);
    let args = [
        "rate-card",
        "import",
        "cards",
        "--corrects",
        "2024-01-01",
        "--reason",
        "a typing error",
    ];
    let imported = said(path, "2024-12-12T00:00:00Z", &args);
    assert!(imported.contains("1 erased account left as billed"), "{imported}");
    run(path, "2025-01-10T00:00:00Z", &["nightly"], 0);
    assert_eq!(differences(path), Vec::<String>::new());
}

#[test]
fn an_account_whose_records_and_lines_have_expired_is_erased_from_what_is_left() {
    let dir = ended_and_exported();
    let path = dir.path();
    for night in ["2025-06-20T00:00:00Z", "2025-06-21T00:00:00Z"] {
        run(path, night, &["nightly"], 0);
    }
    let mut night = crate::crashes::process::program(path, "2026-02-01T00:00:00Z", &["nightly"]);
    night.env("TALLYBOOK_KEEP_STATEMENT_MONTHS", "12");
    let ended = crate::crashes::process::run(&mut night);
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    run(
        path,
        "2026-02-02T00:00:00Z",
        &["erase", &UIN.to_string(), "--request", "letter 12"],
        0,
    );
    assert_eq!(found_in_ledger(path, &texts()), Vec::<String>::new());
    assert_eq!(
        found_in_files(&path.join("books"), &texts(), &numbers()),
        Vec::<String>::new()
    );
    let verified = said(path, "2026-02-02T00:00:00Z", &["verify"]);
    assert!(verified.contains(", 1 erased account: all agree"), "{verified}");
    assert!(
        verified.contains("its lines had gone before its account was erased"),
        "{verified}"
    );
    run(path, "2026-02-03T00:00:00Z", &["nightly"], 0);
    assert_eq!(differences(path), Vec::<String>::new());
}

#[test]
fn a_row_that_is_lost_after_an_erasure_is_found_as_before() {
    if !is_embedded() {
        return;
    }
    let dir = ended_and_exported();
    let path = dir.path();
    erase(path, &[]);
    let second = "UPDATE erased_statement SET digest = 'beef' WHERE period_start = '2024-11-01'";
    let rows = "UPDATE erased_rows SET row_count = row_count - 1";
    let back = format!(
        "INSERT INTO account SELECT '{UIN}', added_by, '2025-01-01T00:00:00Z', first_day, seal FROM account LIMIT 1"
    );
    for (damage, told) in [
        (second, "digest is stored as `beef`"),
        (rows, "were erased"),
        (&*back, "was erased, and is an account again"),
    ] {
        let copy = tempfile::tempdir().unwrap();
        crate::crashes::copy(path, copy.path());
        crate::ledgers::execute(copy.path(), damage);
        let found = differences(copy.path()).join("\n");
        assert!(found.contains(told), "{damage}: {found}");
    }
}
