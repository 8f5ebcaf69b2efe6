//! Rows of sources for books that are to have some in every table.

use tallybook::catalog::source::events::Template;
use tallybook::catalog::source::import::import_configured;
use tallybook::catalog::source::state;
use tallybook::catalog::source::template;
use tallybook::sources::objects::{self, SeenObject};
use tallybook::sources::store::{NewPosition, advance, note_pull};

use crate::world::{Place, at, run};

const SAMPLES: &str = include_str!("../data/events/samples.ndjson");

/// Defines the source `mps`, of events.
pub fn define(place: &mut Place) {
    let definition = "format = \"mps-events\"\nuin = 7\nappid = 1\n";
    let table = toml::from_str(definition).unwrap();
    place.settings().sources.insert("mps".to_owned(), table);
}

/// Lays into its folder an event of work that failed on 1 July 2025, and one of a live stream.
pub fn drop_events(place: &Place) {
    let folder = place.data().join("drop/mps");
    std::fs::create_dir_all(&folder).unwrap();
    let failed = SAMPLES.lines().nth(4).unwrap().replace("1791332529", "1751364600");
    let live = "{\"NotificationType\":\"ProcessEof\"}";
    std::fs::write(folder.join("events.ndjson"), format!("{failed}\n{live}\n")).unwrap();
}

/// A template that was added, a disabled source, an object that was read; a source that was read to its end, and one that was away.
pub fn fill(place: &Place, now: &str) {
    run(async {
        let books = place.books(at(now)).await;
        import_configured(&books).await.unwrap();
        let standard = Template {
            transcode_type: "Standard".to_owned(),
            streams: Vec::new(),
        };
        template::add(&books, "mps", 7, &standard, "seen").await.unwrap();
        state::set(&books, "mps", false, "seen").await.unwrap();
        let text = books.clock.text();
        let mut tx = books.ledger.begin().await.unwrap();
        let new = NewPosition {
            source: "mps",
            kind: "mysql",
            place: "here",
            position: Some("{\"cursor\":\"7\"}"),
            newest: Some(at(now)),
            batch: Some(1),
            received: 4,
            at: &text,
        };
        advance(&mut tx, &new).await.unwrap();
        let object = SeenObject {
            key: "usage/a.csv".to_owned(),
            bytes: 4,
            etag: "0f".to_owned(),
            modified: at(now),
        };
        objects::store::add(&mut tx, "mps", 1, &[object]).await.unwrap();
        books.ledger.commit(tx, "position").await.unwrap();
        let away = Some("no answer");
        note_pull(&books.ledger, "mps", "done", None, &text).await.unwrap();
        note_pull(&books.ledger, "mps", "unavailable", away, &text)
            .await
            .unwrap();
        books.ledger.close().await;
    });
}
