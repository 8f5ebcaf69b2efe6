//! The program against the naive model, over many small worlds.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestCaseError};
use tallybook::catalog::account::add::{Wanted, add};
use tallybook::catalog::rate_card::import::import;
use tallybook::context::Books;
use tallybook::inspect::verify::verify;
use tallybook::nightly::{Night, nightly};
use tallybook::pipeline::ingest::ingest;
use tallybook::pipeline::ingest::input::Input;
use tallybook::pipeline::meter::recount::recount;
use tallybook::pipeline::meter::{meter, meter_in_parts};
use tallybook::storage::ledger::Lease;
use tallybook::values::calendar::Cycle;

use crate::naive::calendar;
use crate::naive::card::{FOLDER, NAME};
use crate::naive::identity::Status;
use crate::naive::{COLUMNS, Totals, expect};
use crate::world::{Place, run};
use crate::worlds::{Drawn, TERMS_FROM, calm_world, calm_worlds, disputed_world};

/// Each case writes and syncs real files; a night run tries more with `PROPTEST_CASES`.
const CASES: u32 = 24;

pub fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(CASES);
    ProptestConfig {
        cases,
        max_shrink_iters: 300,
        // Seeds of failures stay, and are tried first from then on.
        failure_persistence: Some(Box::new(FileFailurePersistence::SourceParallel("seeds"))),
        ..ProptestConfig::default()
    }
}

/// Whether the program meters once at the end, or after every batch.
#[derive(Clone, Copy, PartialEq)]
enum Metering {
    Once,
    AfterEachBatch,
    /// All at the end, but no two batches by one transaction.
    InParts,
}

/// The whole way for a world: accounts, batches, one night at its clock.
async fn play(place: &Place, drawn: &Drawn, metering: Metering) -> Night {
    let books = place.books(drawn.world.clock).await;
    add_accounts(&books, &drawn.world.accounts).await;
    for (number, text) in drawn.ndjson.iter().enumerate() {
        let path = place.file(&format!("{number}.ndjson"), text);
        ingest(&books, &Input::named(&path, None).unwrap(), "default")
            .await
            .unwrap();
        if metering == Metering::AfterEachBatch {
            let lease = Lease::take(&books.ledger, "test").await.unwrap();
            meter(&books, &lease).await.unwrap();
            lease.release().await.unwrap();
        }
    }
    if metering == Metering::InParts {
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        meter_in_parts(&books, &lease, 1).await.unwrap();
        lease.release().await.unwrap();
    }
    let night = nightly(&books).await.unwrap();
    assert_eq!(
        recount(&books, &HashSet::new()).await.unwrap().differences,
        Vec::<String>::new()
    );
    assert_eq!(verify(&books).await.unwrap().differences, Vec::<String>::new());
    books.ledger.close().await;
    night
}

/// Imports the cards and adds accounts with their terms.
pub async fn add_accounts(books: &Books, accounts: &BTreeMap<u64, calendar::Terms>) {
    import(books, std::slice::from_ref(&books.settings.rate_cards), None)
        .await
        .unwrap();
    for (&uin, terms) in accounts {
        let wanted = Wanted {
            uin,
            card: Some(NAME.to_owned()),
            zone: Some(terms.zone),
            cycle: Some(match terms.cycle {
                calendar::Cycle::Daily => Cycle::Daily,
                calendar::Cycle::Monthly(anchor) => Cycle::Monthly {
                    anchor_day: u8::try_from(anchor).unwrap(),
                },
            }),
            discount_percent: Some(rust_decimal::Decimal::new(i64::try_from(terms.discount).unwrap(), 2)),
            from: Some(TERMS_FROM.parse().unwrap()),
            ..Wanted::default()
        };
        add(books, wanted).await.unwrap();
    }
}

fn place() -> Place {
    Place::with_cards(FOLDER.as_ref(), NAME)
}

fn exported_rows(place: &Place) -> Vec<Vec<String>> {
    rows_of(place, &COLUMNS)
}

/// The exported rows, as far as a model predicts them, sorted by account, period and line.
pub fn rows_of(place: &Place, columns: &[&str]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (_, text) in place.exported("statement_lines.csv") {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let places: Vec<usize> = columns
            .iter()
            .map(|name| header.iter().position(|h| h == *name).unwrap())
            .collect();
        rows.extend(reader.records().map(|row| {
            let row = row.unwrap();
            places.iter().map(|&at| row[at].to_owned()).collect()
        }));
    }
    let at = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let (uin, period_start, line_no) = (at("uin"), at("period_start"), at("line_no"));
    rows.sort_by_key(|row| {
        (
            row[uin].parse::<u64>().unwrap(),
            row[period_start].clone(),
            row[line_no].parse::<u32>().unwrap(),
        )
    });
    rows
}

fn expected_rows(drawn: &Drawn) -> Vec<Vec<String>> {
    expect(&drawn.world).rows().map(|row| row.cells().to_vec()).collect()
}

fn check_totals(night: &Night, drawn: &Drawn) -> Result<(), TestCaseError> {
    check_totals_of(night, &expect(&drawn.world).totals)
}

/// The control totals of a night are those of a model.
pub fn check_totals_of(night: &Night, expected: &Totals) -> Result<(), TestCaseError> {
    for (name, total) in &night.control.all.statuses {
        let status = match *name {
            "duplicate" => Status::Duplicate,
            "conflict" => Status::Conflict,
            "void" => Status::Void,
            "voided" => Status::Voided,
            "failed" => Status::Failed,
            "unmetered" => Status::Unmetered,
            "metered" => Status::Metered,
            _ => continue,
        };
        let expected = expected.get(&status).copied().unwrap_or_default();
        let found = (
            i128::from(total.records),
            i128::from(total.raw_ms),
            i128::from(total.raw_count),
        );
        let wanted = (
            i128::from(expected.records),
            i128::try_from(expected.raw_ms).unwrap(),
            i128::try_from(expected.raw_count).unwrap(),
        );
        prop_assert_eq!(found, wanted, "{}", name);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_line_is_what_the_naive_model_says(drawn in calm_world()) {
        let place = place();
        let night = run(play(&place, &drawn, Metering::Once));
        prop_assert_eq!(exported_rows(&place), expected_rows(&drawn));
        check_totals(&night, &drawn)?;
    }

    #[test]
    fn any_order_split_and_repetition_gives_the_same_bytes((one, other) in calm_worlds()) {
        let (first, second) = (place(), place());
        run(play(&first, &one, Metering::Once));
        run(play(&second, &other, Metering::AfterEachBatch));
        for name in ["statement_lines.csv", "statements.csv", "manifest.json"] {
            prop_assert_eq!(first.exported(name), second.exported(name));
        }
    }

    #[test]
    fn conflicts_and_voids_are_counted_and_never_billed_twice(drawn in disputed_world()) {
        for metering in [Metering::Once, Metering::AfterEachBatch, Metering::InParts] {
            let place = place();
            let night = run(play(&place, &drawn, metering));
            check_totals(&night, &drawn)?;
            prop_assert_eq!(exported_rows(&place), expected_rows(&drawn));
        }
    }
}
