//! Configuration of an account: definitions and templates of its sources, which go after its end.

use tallybook::catalog::account::end::reinstate::reinstate;
use tallybook::catalog::account::end::terminate::terminate;
use tallybook::context::keeping::Class;
use tallybook::inspect::retention::{Held, calendar};
use tallybook::inspect::verify::verify;
use tallybook::storage::ledger::{Lease, query};

use crate::queue_data::{drop_event, edit, place as place_with_sources};
use crate::world::{Place, at, run};

/// The account of the sources `mps` and `other`.
const UIN: u64 = 100_000_000_000;

/// Books in which the account has used something, and ended on 2026-01-07.
fn ended() -> Place {
    let place = place_with_sources();
    drop_event(&place, "mps", "one.ndjson", &edit("task-1", "session-a"));
    place.night("2026-01-05T02:00:00Z");
    decide(&place, async |books, lease| {
        terminate(books, lease, UIN, "2026-01-07".parse().unwrap(), "it moves")
            .await
            .unwrap();
    });
    place
}

fn decide(place: &Place, decision: impl AsyncFnOnce(&tallybook::context::Books, &Lease)) {
    run(async {
        let books = place.books(at("2026-01-06T02:00:00Z")).await;
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        decision(&books, &lease).await;
        lease.release().await.unwrap();
        books.ledger.close().await;
    });
}

/// Versions that the ledger has, as `source version`.
fn versions(place: &Place, now: &str) -> Vec<String> {
    run(async {
        let books = place.books(at(now)).await;
        let rows = query("SELECT source, version FROM source_version ORDER BY source, version")
            .fetch_all(&books.ledger)
            .await
            .unwrap();
        assert_eq!(verify(&books).await.unwrap().differences, Vec::<String>::new());
        books.ledger.close().await;
        let texts = rows.iter().map(|row| {
            let (source, version): (String, i64) = (row.try_get(0).unwrap(), row.try_get(1).unwrap());
            format!("{source} {version}")
        });
        texts.collect()
    })
}

fn held(place: &Place, now: &str) -> Held {
    run(async {
        let books = place.books(at(now)).await;
        let calendar = calendar(&books, 0).await.unwrap();
        books.ledger.close().await;
        let mut classes = calendar.classes.into_iter();
        classes.find(|held| held.class == Class::Configuration.text()).unwrap()
    })
}

#[test]
fn sources_of_an_account_go_in_the_first_night_in_which_its_end_cannot_be_taken_back() {
    let mut place = ended();
    assert_eq!(held(&place, "2026-01-06T12:00:00Z").rows, 2);
    let next = held(&place, "2026-01-06T12:00:00Z").next_deletion;
    assert_eq!(next, Some("2026-02-07".parse().unwrap()));
    let night = place.night("2026-02-06T02:00:00Z");
    assert_eq!(night.needs_person, Vec::<String>::new());
    assert_eq!(versions(&place, "2026-02-06T03:00:00Z"), ["mps 1", "other 1"]);
    place.settings().sources.clear();
    let night = place.night("2026-02-07T02:00:00Z");
    assert_eq!(night.expired.configuration.sources, 2);
    assert_eq!(night.needs_person, Vec::<String>::new());
    assert_eq!(versions(&place, "2026-02-07T03:00:00Z"), Vec::<String>::new());
    let after = held(&place, "2026-02-07T03:00:00Z");
    assert_eq!((after.rows, after.deleted, after.next_deletion), (0, 2, None));
}

#[test]
fn a_definition_of_an_account_that_ended_is_not_taken_again_and_a_person_is_told_to_remove_it() {
    let place = ended();
    for day in ["2026-02-07", "2026-02-08"] {
        let night = place.night(&format!("{day}T02:00:00Z"));
        let told = night.needs_person.join("\n");
        assert!(
            told.contains("configuration of account 100000000000, which ended on 2026-01-07")
                && told.contains("remove the definition"),
            "{told}"
        );
        assert_eq!(versions(&place, &format!("{day}T03:00:00Z")), Vec::<String>::new());
    }
}

#[test]
fn a_source_of_other_accounts_too_loses_the_versions_that_name_the_account_once_it_names_it_no_more() {
    let mut place = ended();
    let define = |place: &mut Place, accounts: &str| {
        let text = format!("format = \"mps-events\"\n[accounts]\n{accounts}");
        place.settings().sources.clear();
        let table = toml::from_str(&text).unwrap();
        place.settings().sources.insert("shared".to_owned(), table);
    };
    define(&mut place, "1250000001 = 100000000000\n1250000002 = 7\n");
    place.night("2026-01-08T02:00:00Z");
    let night = place.night("2026-02-07T02:00:00Z");
    assert_eq!(versions(&place, "2026-02-07T03:00:00Z"), ["shared 1"]);
    let told = night.needs_person.join("\n");
    assert!(
        told.contains("source shared: its definition names account 100000000000")
            && told.contains("remove the account"),
        "{told}"
    );
    let longer = held(&place, "2026-02-07T03:00:00Z").longer;
    assert!(
        longer[0]
            .why
            .contains("account 100000000000, which ended on 2026-01-07"),
        "{longer:?}"
    );
    define(&mut place, "1250000002 = 7\n");
    let night = place.night("2026-02-08T02:00:00Z");
    assert_eq!(night.needs_person, Vec::<String>::new());
    assert_eq!(night.expired.configuration.versions, 1);
    assert_eq!(versions(&place, "2026-02-08T03:00:00Z"), ["shared 2"]);
}

#[test]
fn sources_of_an_account_whose_end_was_taken_back_stay() {
    let place = ended();
    decide(&place, async |books, lease| {
        reinstate(books, lease, UIN, "it stays").await.unwrap();
    });
    let night = place.night("2026-03-07T02:00:00Z");
    assert!(night.expired.configuration.is_empty());
    assert_eq!(versions(&place, "2026-03-07T03:00:00Z"), ["mps 1", "other 1"]);
}
