//! What a night sees of files that are gone, and what `verify` says of rows that are no text.

use std::path::{Path, PathBuf};

use tallybook::error::Error;
use tallybook::ledger::{Value, query};
use tallybook::nightly::Night;
use tallybook::verify::{Verified, verify};

use crate::exactly_once::shop::{Shop, records, usage};
use crate::ledgers;
use crate::world::{Place, at, run};

const PRICE: &str = "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }";
const NIGHT: &str = "2024-11-20T00:00:00Z";
const NEXT_NIGHT: &str = "2024-11-21T00:00:00Z";

/// Books with usage of two days.
fn shop_of_two_days() -> Shop {
    let shop = Shop::new("CNY", PRICE);
    shop.drop(&[
        usage("a", 7, "A", "2024-11-15T10:00:00+08:00", 60_000),
        usage("b", 8, "A", "2024-11-16T10:00:00+08:00", 60_000),
    ]);
    shop.place.night(NIGHT);
    shop
}

/// Moves a file or folder of the books away, and back when it is called.
fn move_away(shop: &Shop, name: &str) -> impl FnOnce() + use<> {
    let (place, aside) = (shop.place.data().join(name), shop.place.path().join("aside"));
    std::fs::rename(&place, &aside).unwrap();
    move || std::fs::rename(aside, place).unwrap()
}

fn first_file(folder: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.swap_remove(0)
}

/// The sentences of a night about files that are not all there.
fn told(night: &Night) -> Vec<&String> {
    night
        .needs_person
        .iter()
        .filter(|told| told.contains("not all on disk"))
        .collect()
}

#[test]
fn a9_a_raw_day_that_is_gone_from_disk_is_told_by_the_next_night() {
    let shop = shop_of_two_days();
    let put_back = move_away(&shop, "raw/day=2024-11-15");
    let night = shop.place.night(NEXT_NIGHT);
    assert_eq!(night.exit_code(), 3);
    let [told_of] = told(&night)[..] else {
        panic!("{:?}", night.needs_person)
    };
    for part in [
        "raw of 2024-11-15",
        "raw/day=2024-11-15/i0",
        "is gone",
        "restore",
        "verify",
    ] {
        assert!(told_of.contains(part), "{part}: {told_of}");
    }
    assert!(!told_of.contains("2024-11-16"), "{told_of}");
    put_back();
    let night = shop.place.night(NEXT_NIGHT);
    assert_eq!((night.exit_code(), told(&night).len()), (0, 0));
}

#[test]
fn a_raw_file_that_was_cut_is_told_by_the_next_night_with_both_lengths() {
    let shop = shop_of_two_days();
    let path = first_file(&shop.place.data().join("raw/day=2024-11-16"));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..100]).unwrap();
    let night = shop.place.night(NEXT_NIGHT);
    assert_eq!(night.exit_code(), 3);
    let lengths = format!("has 100 bytes where {} were written", whole.len());
    assert!(told(&night)[0].contains(&lengths), "{:?}", night.needs_person);
}

#[test]
fn keys_that_are_gone_stop_the_night_with_their_name_and_what_was_dropped_is_taken_in() {
    let shop = shop_of_two_days();
    let put_back = move_away(&shop, "keys");
    shop.drop(&[usage("c", 7, "A", "2024-11-17T10:00:00+08:00", 60_000)]);
    let error = shop.place.try_night(NEXT_NIGHT).unwrap_err();
    assert!(matches!(error, Error::NeedsPerson(_)), "{error}");
    let error = error.to_string();
    assert!(error.contains("keys/i0") && error.contains("restore"), "{error}");
    std::fs::remove_dir_all(shop.place.data().join("keys")).ok();
    put_back();
    let night = shop.place.night(NEXT_NIGHT);
    assert_eq!((night.dropped.ingested.len(), records(&night, "metered")), (0, 3));
}

fn verified(place: &Place) -> Verified {
    run(async {
        let books = place.books(at(NEXT_NIGHT)).await;
        let verified = verify(&books).await.unwrap();
        books.ledger.close().await;
        verified
    })
}

/// Tables without seals.
const UNSEALED: [&str; 4] = ["tally", "counter", "intake", "lease"];

/// Columns of tables that have a text in some row.
fn text_columns(place: &Place) -> Vec<(String, String)> {
    run(async {
        let books = place.books(at(NEXT_NIGHT)).await;
        let mut found = Vec::new();
        for table in books.ledger.tables().await.unwrap() {
            let row = query(format!("SELECT * FROM {table} LIMIT 1"));
            let row = row.fetch_optional(&books.ledger).await.unwrap();
            let Some(row) = row.filter(|_| !UNSEALED.contains(&table.as_str())) else {
                continue;
            };
            let columns = row.names().iter().zip(row.values());
            let texts = columns.filter(|(_, value)| matches!(value, Value::Text(_)));
            found.extend(texts.map(|(name, _)| (table.clone(), name.clone())));
        }
        books.ledger.close().await;
        found
    })
}

/// A server takes no such text.
#[test]
fn text_that_is_no_utf_8_is_named_by_table_and_column_and_the_rest_is_verified() {
    if !ledgers::is_embedded() {
        return;
    }
    let shop = shop_of_two_days();
    shop.drop(&["not usage\n".to_owned()]);
    shop.place.night("2024-12-10T00:00:00Z");
    let clean = verified(&shop.place);
    assert_eq!(clean.differences, Vec::<String>::new());
    let columns = text_columns(&shop.place);
    assert!(columns.len() > 60, "{columns:?}");
    for (table, column) in columns {
        let copy = shop.place.copy();
        let sql =
            format!("UPDATE {table} SET {column} = CAST(X'FFFE' AS TEXT) WHERE seal = (SELECT MIN(seal) FROM {table})");
        ledgers::execute(copy.path(), &sql);
        let found = verified(&copy);
        let named = |sentence: &String| {
            sentence.contains(&format!("ledger row {table} (")) && sentence.contains(&format!("{column} is no UTF-8"))
        };
        assert!(
            found.differences.iter().any(named),
            "{table}.{column}: {:?}",
            found.differences
        );
        assert_eq!(found.ledger_rows, clean.ledger_rows, "{table}.{column}");
    }
}
