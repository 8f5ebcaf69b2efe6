//! Books that move from one engine to the next by backup and restore: the same books in each, and the same next night.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tallybook::backup::create::back_up;
use tallybook::backup::restore::restore;
use tallybook::context::{Books, Settings};
use tallybook::inspect::verify::verify;
use tallybook::nightly::nightly;
use tallybook::support::clock::Clock;
use tallybook::values::digest::sha256_hex_of_file;

use super::dumps::{Scratch, servers};
use crate::crashes::books::files;
use crate::exactly_once::shop::usage;
use crate::ledgers::is_embedded;
use crate::tamper::{NOW, rich_books};
use crate::world::{at, run};

/// After what is in the books, with a month to close.
const NEXT_NIGHT: &str = "2025-08-10T00:00:00Z";

/// Every exported file with its digest.
fn exports(data: &Path) -> BTreeMap<PathBuf, String> {
    let found = files(&data.join("exports")).into_iter();
    found
        .map(|(path, file)| (path, sha256_hex_of_file(&file).unwrap()))
        .collect()
}

/// Opens books at an instant, does something with them, and closes them.
fn with<T>(data: &Path, ledger: Option<&str>, settings: &Settings, now: &str, act: impl AsyncFnOnce(&Books) -> T) -> T {
    run(async {
        let books = Books::open_there(data, ledger, Clock::at(at(now)), settings.clone())
            .await
            .unwrap();
        let done = act(&books).await;
        books.ledger.close().await;
        done
    })
}

#[test]
fn books_move_from_engine_to_engine_and_back_and_the_next_night_is_the_same_in_each() {
    if !is_embedded() {
        return;
    }
    let Some([postgres, mysql]) = servers() else { return };
    let mut shop = rich_books();
    let settings = shop.place.settings().clone();
    let (postgres, mysql) = (Scratch::new(postgres, "moved"), Scratch::new(mysql, "moved"));
    let root = tempfile::tempdir().unwrap();
    let folder = |name: &str| root.path().join(name);
    let before = exports(&shop.place.data());
    let mut all = vec![(shop.place.data(), None)];
    for (name, url) in [
        ("postgres", Some(postgres.url())),
        ("mysql", Some(mysql.url())),
        ("sqlite", None),
    ] {
        let (data, ledger) = all.last().cloned().unwrap();
        let kept = folder(&format!("kept-{name}"));
        let done = with(&data, ledger.as_deref(), &settings, NOW, async |books| {
            back_up(books, &kept).await
        });
        assert!(done.unwrap().is_whole(), "before {name}");
        let data = folder(name);
        run(restore(&kept, &data, url.as_deref(), &settings)).unwrap();
        assert_eq!(exports(&data), before, "{name}");
        all.push((data, url));
    }
    let mut after = Vec::new();
    for (data, ledger) in &all {
        let differences = async |books: &Books| verify(books).await.unwrap().differences;
        assert_eq!(
            with(data, ledger.as_deref(), &settings, NOW, differences),
            Vec::<String>::new(),
            "{ledger:?}"
        );
        std::fs::create_dir_all(data.join("drop")).unwrap();
        let more = usage("m", 7, "A", "2025-07-20T10:00:00+08:00", 90_000);
        std::fs::write(data.join("drop/more.ndjson"), more).unwrap();
        with(data, ledger.as_deref(), &settings, NEXT_NIGHT, async |books| {
            nightly(books).await
        })
        .unwrap();
        assert_eq!(
            with(data, ledger.as_deref(), &settings, NEXT_NIGHT, differences),
            Vec::<String>::new(),
            "{ledger:?}"
        );
        after.push(exports(data));
    }
    assert!(after[0].len() > before.len(), "the next night exports something");
    for (other, (_, ledger)) in after.iter().zip(&all) {
        assert_eq!(*other, after[0], "{ledger:?}");
    }
}
