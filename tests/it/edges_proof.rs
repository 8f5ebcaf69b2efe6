//! What a night sees of files that are gone, and what `verify` says of rows that are no text.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use tallybook::inspect::explain::{Behind, explain_within};
use tallybook::inspect::verify::{Verified, verify, verify_scope};
use tallybook::nightly::Night;
use tallybook::pipeline::meter::recount::{Limits, Recount, Scope, recount_since, recount_within};
use tallybook::pipeline::retention::day_digest::{Parameters, proofs_in_parts, proofs_of};
use tallybook::storage::ledger::{Value, query};
use tallybook::storage::raw::segment::SegmentKind;
use tallybook::storage::raw::store::segments_of_day;
use tallybook::support::error::Error;

use crate::exactly_once::shop::{Shop, records, usage, void};
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
        .filter(|told| told.contains("incomplete on disk"))
        .collect()
}

#[test]
fn a9_a_raw_day_that_is_gone_from_disk_is_told_by_the_next_night() {
    let shop = shop_of_two_days();
    let put_back = move_away(&shop, "raw/day=2024-11-15");
    let night = shop.place.night(NEXT_NIGHT);
    assert_eq!(u8::from(night.exit_code()), 3);
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
    assert_eq!((u8::from(night.exit_code()), told(&night).len()), (0, 0));
}

#[test]
fn a_raw_file_that_was_cut_is_told_by_the_next_night_with_both_lengths() {
    let shop = shop_of_two_days();
    let path = first_file(&shop.place.data().join("raw/day=2024-11-16"));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..100]).unwrap();
    let night = shop.place.night(NEXT_NIGHT);
    assert_eq!(u8::from(night.exit_code()), 3);
    let lengths = format!("has 100 bytes instead of {}", whole.len());
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

/// Tables without seals. Another test names what is wrong in `usage_daily`.
const UNSEALED: [&str; 5] = ["tally", "counter", "intake", "lease", "usage_daily"];

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
            sentence.contains(&format!("ledger row {table} (")) && sentence.contains(&format!("{column} is not UTF-8"))
        };
        assert!(
            found.differences.iter().any(named),
            "{table}.{column}: {:?}",
            found.differences
        );
        assert_eq!(found.ledger_rows, clean.ledger_rows, "{table}.{column}");
    }
}

/// Books of two accounts and many days, with what is not simply accepted.
fn shop_of_many_days() -> Shop {
    let shop = Shop::new("CNY", PRICE);
    let mut lines = Vec::new();
    for day in 1..=30 {
        for (uin, hour) in [(7, "10"), (8, "23"), (9, "00")] {
            let time = format!("2024-11-{day:02}T{hour}:30:00+08:00");
            lines.push(usage(&format!("{uin}-{day}"), uin, "A", &time, 60_000 + day));
        }
    }
    lines.push(usage("7-1", 7, "A", "2024-11-01T10:30:00+08:00", 60_001));
    lines.push(usage("7-2", 7, "A", "2024-11-02T10:30:00+08:00", 61_000));
    lines.push(void("v", "8-3"));
    lines.push(usage("u", 9, "unknown", "2024-11-05T10:30:00+08:00", 60_000));
    let (first, second) = lines.split_at(40);
    shop.drop(first);
    shop.place.night(NIGHT);
    shop.drop(second);
    shop.place.night("2024-12-10T00:00:00Z");
    shop
}

fn recounted(place: &Place, limits: Option<Limits>, since: Option<NaiveDate>) -> Recount {
    run(async {
        let books = place.books(at("2024-12-11T00:00:00Z")).await;
        let damaged = HashSet::new();
        let scope = Scope {
            damaged: &damaged,
            since,
        };
        let mut recounted = match limits {
            Some(limits) => recount_within(&books, scope, limits).await.unwrap(),
            None => recount_since(&books, scope).await.unwrap(),
        };
        books.ledger.close().await;
        recounted.differences.sort();
        recounted
    })
}

#[test]
fn a_recount_gives_the_same_however_little_it_may_hold() {
    let shop = shop_of_many_days();
    let whole = recounted(&shop.place, None, None);
    assert_eq!((whole.rows, whole.differences.len()), (94, 0));
    assert!(whole.compared > 90, "{}", whole.compared);
    // Three rows of raw that the ledger does not name any more: their usage has no raw.
    let less = shop.place.copy();
    let gone = "DELETE FROM segment WHERE day IN ('2024-11-10', '2024-11-20')";
    ledgers::execute(less.path(), gone);
    let differs = recounted(&less, None, None);
    assert_eq!(differs.differences.len(), 6, "{:?}", differs.differences);
    for (rows, sums) in [(1, 1 << 20), (1, 5), (7, 8), (1 << 20, 40)] {
        let limits = Some(Limits { rows, sums });
        for (place, expected) in [(&shop.place, &whole), (&less, &differs)] {
            let found = recounted(place, limits, None);
            assert_eq!(
                (found.rows, found.compared, &found.differences),
                (expected.rows, expected.compared, &expected.differences),
                "{limits:?}"
            );
        }
    }
}

#[test]
fn a_recount_since_a_day_finds_what_differs_from_it_on_and_reads_no_more() {
    let shop = shop_of_many_days();
    ledgers::execute(
        shop.place.path(),
        "DELETE FROM segment WHERE day IN ('2024-11-10', '2024-11-20')",
    );
    let since = |day: &str| recounted(&shop.place, None, Some(day.parse().unwrap()));
    let (early, late) = (since("2024-11-12"), since("2024-11-22"));
    assert_eq!(
        (early.differences.len(), late.differences.len()),
        (3, 0),
        "{early:?} {late:?}"
    );
    assert!(
        late.rows < early.rows && early.rows < 60,
        "{} {}",
        late.rows,
        early.rows
    );
}

fn verified_since(place: &Place, since: Option<&str>) -> Verified {
    run(async {
        let books = place.books(at("2024-12-11T00:00:00Z")).await;
        let since = since.map(|day| day.parse().unwrap());
        let verified = verify_scope(&books, tallybook::inspect::verify::Scope { since })
            .await
            .unwrap();
        books.ledger.close().await;
        verified
    })
}

#[test]
fn verify_since_a_day_finds_damage_from_it_on_and_says_what_it_leaves_out() {
    let shop = shop_of_many_days();
    let full = verified_since(&shop.place, None);
    assert_eq!(
        (full.difference_count, full.left_out.len()),
        (0, 0),
        "{:?}",
        full.differences
    );
    let late = verified_since(&shop.place, Some("2024-11-20"));
    assert_eq!(late.difference_count, 0, "{:?}", late.differences);
    assert_eq!(
        (late.ledger_rows, late.files, late.statements),
        (full.ledger_rows, full.files, full.statements)
    );
    assert!(
        late.raw_rows < full.raw_rows / 2,
        "{} of {}",
        late.raw_rows,
        full.raw_rows
    );
    assert!(
        late.left_out.iter().any(|told| told.contains("before 2024-11-20")),
        "{:?}",
        late.left_out
    );
    for (day, is_found) in [("2024-11-10", false), ("2024-11-25", true)] {
        let path = first_file(&shop.place.data().join(format!("raw/day={day}")));
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        std::fs::write(&path, flipped).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_named = |found: Verified| {
            found
                .differences
                .iter()
                .any(|told| told.contains(day) && told.contains(&name))
        };
        assert_eq!(
            is_named(verified_since(&shop.place, Some("2024-11-20"))),
            is_found,
            "{day}"
        );
        assert!(is_named(verified_since(&shop.place, None)), "{day}");
        std::fs::remove_file(&path).unwrap();
        assert!(
            is_named(verified_since(&shop.place, Some("2024-11-20"))),
            "{day}: a file that is gone is told of any day"
        );
        std::fs::write(&path, whole).unwrap();
    }
}

fn explained(place: &Place, limits: tallybook::inspect::explain::Limits) -> Result<Behind, Error> {
    run(async {
        let books = place.books(at("2024-12-11T00:00:00Z")).await;
        let explained = explain_within(&books, "7-20241101-20241201", Some(1), limits).await;
        books.ledger.close().await;
        Ok(explained?.lines.swap_remove(0).behind.unwrap())
    })
}

#[test]
fn a_line_of_much_raw_is_explained_by_its_first_records_and_it_is_said_what_was_not_checked() {
    let shop = shop_of_many_days();
    let of = |told, rows| explained(&shop.place, tallybook::inspect::explain::Limits { told, rows });
    let all = of(3, i64::MAX).unwrap();
    assert_eq!((all.records, all.told.len(), all.not_checked.len()), (30, 3, 0));
    let ids = |behind: &Behind| -> Vec<String> { behind.told.iter().map(|told| told.id.clone()).collect() };
    assert_eq!(ids(&all), ["7-1", "7-2", "7-3"]);
    let few = of(3, 10).unwrap();
    assert_eq!((few.records, ids(&few)), (3, ids(&all)));
    assert!(
        few.not_checked[0].contains("30 records") && few.not_checked[1].contains("digests"),
        "{:?}",
        few.not_checked
    );
    // As many as there are: all were counted, of the days that the usage names.
    let many = of(100, 10).unwrap();
    assert_eq!((many.records, many.raw_units, many.told.len()), (30, all.raw_units, 30));
    assert!(
        many.not_checked[0].contains("days without usage"),
        "{:?}",
        many.not_checked
    );
    assert_eq!(of(0, 10).unwrap().told.len(), 0);
    // A record that the ledger does not name any more is missed as soon as all are looked for.
    ledgers::execute(shop.place.path(), "DELETE FROM segment WHERE day = '2024-11-20'");
    assert_eq!(of(3, 10).unwrap().records, 3);
    for (told, rows) in [(100, 10), (3, i64::MAX)] {
        let error = of(told, rows).unwrap_err().to_string();
        assert!(
            error.contains("is based on 30 records") && error.contains("raw data has 29"),
            "{error}"
        );
    }
}

#[test]
fn a_day_is_proved_the_same_in_parts_of_its_accounts() {
    let shop = shop_of_many_days();
    run(async {
        let books = shop.place.books(at("2024-12-11T00:00:00Z")).await;
        for day in ["2024-11-01", "2024-11-05", "2024-11-09"] {
            let segments = segments_of_day(&books.ledger, SegmentKind::Usage, day.parse().unwrap())
                .await
                .unwrap();
            let whole = proofs_of(&books.data, &segments, Parameters::Coarse).unwrap();
            assert!(whole.len() >= 3, "{day}: {whole:?}");
            assert_eq!(
                proofs_in_parts(&books.data, &segments, Parameters::Coarse, 1).unwrap(),
                whole,
                "{day}"
            );
        }
        books.ledger.close().await;
    });
}

/// The longest record there can be, in milliseconds.
const LONGEST_MS: u64 = 1 << 53;

/// Seven of them are nearly as much as a file may have.
const IN_A_FILE: u64 = 7;

#[test]
fn a_file_that_brings_all_durations_to_more_than_totals_hold_is_refused_by_name_and_the_night_goes_on() {
    let shop = Shop::new("CNY", PRICE);
    for file in 0..76 {
        let line = |number| {
            let id = format!("{file}-{number}");
            usage(&id, 7 + file, "A", "2024-11-15T10:00:00+08:00", LONGEST_MS)
        };
        let lines: String = (0..IN_A_FILE).map(line).collect();
        shop.place.drop(&format!("f{file:02}.ndjson"), lines);
    }
    let night = shop.place.night(NIGHT);
    let fitting = (1_u64 << 62) / (IN_A_FILE * LONGEST_MS);
    let names: Vec<&String> = night.dropped.refused.iter().map(|refused| &refused.name).collect();
    assert_eq!((fitting, names.len()), (73, 3), "{names:?}");
    assert!(names[0].ends_with("f73.ndjson"), "{names:?}");
    let why = &night.dropped.refused[0].why;
    assert!(
        why.contains("with those of all batches") && why.contains("2^62"),
        "{why}"
    );
    assert_eq!((u8::from(night.exit_code()), records(&night, "metered")), (3, 73 * 7));
    // Much of it is there; what is not much may come.
    shop.drop(&[usage("small", 7, "A", "2024-11-16T10:00:00+08:00", 60_000)]);
    assert_eq!(records(&shop.place.night(NEXT_NIGHT), "metered"), 73 * 7 + 1);
    let found = verified(&shop.place);
    assert_eq!(found.differences, Vec::<String>::new());
}

#[test]
fn totals_of_all_batches_that_do_not_fit_name_the_batch_that_brings_them_there() {
    let shop = shop_of_two_days();
    let much = format!(
        "UPDATE control_total SET raw_ms = {} WHERE status IN ('received', 'metered')",
        i64::MAX
    );
    ledgers::execute(shop.place.path(), &much);
    shop.place
        .drop("second.ndjson", usage("c", 7, "A", "2024-11-17T10:00:00+08:00", 60_000));
    let error = shop.place.try_night(NEXT_NIGHT).unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("batch 2 (") && error.contains("second.ndjson") && error.contains("9223372036854835807"),
        "{error}"
    );
    let found = verified(&shop.place);
    let is_named = |told: &String| told.contains("batch 2 (") && told.contains("second.ndjson");
    assert!(found.differences.iter().any(is_named), "{:?}", found.differences);
    assert!(
        found.raw_rows == 3 && found.usage_sums > 0,
        "the rest is verified: {found:?}"
    );
}
