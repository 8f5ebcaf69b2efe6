//! Nights that end with a backup.

use tallybook::backup::check::check;
use tallybook::nightly::store::last_runs;
use tallybook::support::error::exit_code::ExitCode;

use super::{backed_up, beside, differences, newest, restored, small_books, usage};
use crate::crashes::play::DAY;
use crate::world::{Place, at, run};

/// The exit codes of the last runs and what they say, newest first.
fn runs(place: &Place) -> Vec<(i64, String)> {
    run(async {
        let books = place.books(at("2024-12-20T00:00:00Z")).await;
        let runs = last_runs(&books.ledger, 9).await.unwrap();
        books.ledger.close().await;
        runs.into_iter().map(|run| (run.exit_code, run.text)).collect()
    })
}

#[test]
fn a_night_ends_with_a_backup_that_has_its_own_report() {
    let mut shop = small_books();
    let folder = beside(&shop.place);
    backed_up(&shop.place, "2024-12-10T00:00:00Z");
    shop.place.settings().backup = Some(folder.clone());
    shop.drop(&[usage("b", 7, "A", DAY, 30_000)]);
    let night = shop.place.night("2024-12-11T00:00:00Z");
    let done = night.backup.as_ref().unwrap();
    assert_eq!((done.number, night.exit_code()), (2, ExitCode::Done));
    assert_eq!(check(&folder).unwrap().differences, Vec::<String>::new());
    let place = restored(&mut shop, &folder);
    assert_eq!(runs(&place), runs(&shop.place));
    assert_eq!(differences(&place, "2024-12-11T00:00:00Z"), Vec::<String>::new());
}

#[test]
fn a_night_whose_backup_fails_is_done_and_needs_a_person() {
    let mut shop = small_books();
    let folder = beside(&shop.place);
    let before = runs(&shop.place).len();
    // Nothing is there: the disk is not mounted.
    shop.place.settings().backup = Some(folder.clone());
    shop.drop(&[usage("b", 7, "A", DAY, 30_000)]);
    let night = shop.place.night("2024-12-11T00:00:00Z");
    assert_eq!(
        (night.dropped.ingested.len(), night.exit_code()),
        (1, ExitCode::NeedsPerson)
    );
    assert!(
        night.needs_person[0].contains("whether its disk is mounted"),
        "{:?}",
        night.needs_person
    );
    assert!(!folder.exists(), "no backup is begun where nobody looks");
    let all = runs(&shop.place);
    assert_eq!(all.len(), before + 2);
    assert!(
        all[0].0 == 3 && all[0].1.contains("ACTION REQUIRED: the backup in"),
        "{all:?}"
    );
    shop.place.settings().backup = None;
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    shop.place.settings().backup = Some(folder.clone());
    // Something is lost: the backup has the rest, and says so.
    let lost = newest(&folder)
        .files
        .into_iter()
        .find(|file| file.path.starts_with("exports/"))
        .unwrap();
    std::fs::remove_file(folder.join("files").join(&lost.path)).unwrap();
    std::fs::remove_file(shop.place.data().join(&lost.path)).unwrap();
    let night = shop.place.night("2024-12-12T00:00:00Z");
    assert!(night.backup.is_some_and(|done| done.missing.len() == 1));
    assert!(
        night.needs_person.iter().any(|what| what.contains(&lost.path)),
        "{:?}",
        night.needs_person
    );
    assert_eq!(runs(&shop.place)[0].0, 3);
}
