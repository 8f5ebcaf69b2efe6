//! Books with something in every chart.

use std::path::Path;

use tallybook::catalog::account::end::terminate::terminate;
use tallybook::catalog::account::profile::Said;
use tallybook::catalog::account::profile::set::set;
use tallybook::storage::ledger::Lease;
use tallybook::values::calendar::Cycle;

use crate::source_rows;
use crate::world::{Place, at, run};

/// The last night: raw of November is half a year old and due to expire.
pub const NOW: &str = "2025-05-20T00:00:00Z";

/// No column of integers holds it.
pub const LARGEST: u64 = u64::MAX;

/// Two cards of the same SKUs. `A` and `a` differ in case alone; `Free` has no price; the unit prices leave a rest below a coin.
fn write_cards(folder: &Path) {
    for (name, currency) in [("yuan", "CNY"), ("dollar", "USD")] {
        let card = format!(
            r#"card = "{name}"
from = 2024-01-01
currency = "{currency}"
zone = "Asia/Shanghai"
default_region = "here"
[regions]
all = ["*"]
[[meter]]
name = "work"
task_type = "Work"
sku = "{{type}}"
quantity = "duration"
unit = "minute"
round_up_to = "60s"
not_sold = ["Free"]
[meter.dimensions]
type = ["A", "a", "Free"]
[[meter]]
name = "shots"
task_type = "Shot"
sku = "Shot"
quantity = "images"
unit = "image"
[prices]
"A" = {{ unit_price = "1.203", origin = "illustrative" }}
"a" = {{ unit_price = "2.01", origin = "illustrative" }}
"Shot" = {{ unit_price = "0.0007", origin = "illustrative" }}
"#
        );
        std::fs::create_dir_all(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("2024-01-01.toml"), card).unwrap();
    }
}

/// A usage line: what was done (`Work` of a type in seconds, or `Shot` of so many images), in which app and region.
fn used(id: &str, uin: u64, what: &str, amount: u64, app_region: (u64, &str), day: &str) -> String {
    let (appid, region) = app_region;
    let (task, parameters, duration_ms) = match what {
        "Shot" => ("Shot", format!("\"images\":{amount}"), 0),
        kind => ("Work", format!("\"type\":\"{kind}\""), amount * 1000),
    };
    format!(
        "{{\"id\":\"{id}\",\"uin\":\"{uin}\",\"appid\":\"{appid}\",\"task_type\":\"{task}\",\
         \"parameters\":{{{parameters},\"region\":\"{region}\"}},\"duration_ms\":{duration_ms},\
         \"finished_at\":\"{day}T10:00:00+08:00\"}}\n"
    )
}

/// Half a year: closed and draft periods, an account whose period is blocked, usage that came late, a void, an open conflict, lines in
/// quarantine, an input that needs a person, held days.
pub fn rich_books() -> Place {
    let mut place = Place::with_cards(Path::new("cards"), "yuan");
    let cards = place.path().join("cards");
    write_cards(&cards);
    place.settings().rate_cards = cards;
    source_rows::define(&mut place);
    let monthly = Cycle::Monthly { anchor_day: 1 };
    place.add_account("2024-11-01T00:00:00Z", LARGEST, "dollar", monthly, "2024-11-01");
    let (east, west, here) = ((1, "east"), (LARGEST, "west"), (1, "here"));
    let november = [
        used("a1", 7, "A", 61, east, "2024-11-15"),
        used("a2", 7, "a", 600, west, "2024-11-15"),
        used("a3", 7, "Shot", 333, here, "2024-11-16"),
        used("a4", 7, "A", 3600, here, "2024-11-30"),
        used("b1", LARGEST, "A", 600, east, "2024-11-15"),
        used("b2", LARGEST, "Shot", 1_000_001, west, "2024-11-20"),
        used("c1", 9, "A", 60, east, "2024-11-15"),
        used("c2", 9, "Free", 60, east, "2024-11-15"),
        used("d1", 10, "a", 120, here, "2024-11-17"),
        // Again, and with other content; then what cannot be read, and what no meter takes.
        used("a1", 7, "A", 61, east, "2024-11-15"),
        used("a2", 7, "a", 601, west, "2024-11-15"),
        "not usage\n".to_owned(),
        "neither\n".to_owned(),
        used("", 7, "A", 60, east, "2024-11-15"),
        used("u1", 10, "unknown", 60, east, "2024-11-17"),
    ];
    place.drop("november.ndjson", november.concat());
    place.drop("nothing.ndjson", "nothing of this\n");
    place.drop("nor-this.ndjson", "nor of this\n");
    place.night("2024-12-10T00:00:00Z");
    // One of the two inputs without a record was looked at.
    run(async {
        let books = place.books(at("2024-12-10T01:00:00Z")).await;
        tallybook::pipeline::ingest::quarantine::alarm::dismiss(&books, 1, "seen")
            .await
            .unwrap();
        books.ledger.close().await;
    });
    source_rows::fill(&place, "2024-12-10T02:00:00Z");
    let late = [
        used("a5", 7, "A", 120, east, "2024-11-15"),
        used("a6", 7, "A", 60, east, "2024-12-02"),
        used("b3", LARGEST, "a", 60, east, "2024-12-03"),
        "{\"id\":\"v1\",\"kind\":\"void\",\"voids\":\"a4\"}\n".to_owned(),
    ];
    place.drop("late.ndjson", late.concat());
    place.night("2024-12-20T00:00:00Z");
    place.night("2025-01-10T00:00:00Z");
    let may = [
        used("a7", 7, "Shot", 10_000, east, "2025-05-02"),
        used("b4", LARGEST, "A", 6000, west, "2025-05-03"),
        // For the next statement.
        used("a8", 7, "a", 60, west, "2024-12-31"),
    ];
    place.drop("may.ndjson", may.concat());
    place.night(NOW);
    run(async {
        let books = place.books(at(NOW)).await;
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        let end_day = "2025-06-01".parse().unwrap();
        let said = Said {
            name: Some("Acme".to_owned()),
            contact: Some("bills@acme.test".to_owned()),
            contract: Some("C-17".to_owned()),
            labels: [("tier".to_owned(), "gold".to_owned())].into(),
            ..Said::default()
        };
        set(&books, 7, &said).await.unwrap();
        terminate(&books, &lease, 10, end_day, "it moves").await.unwrap();
        lease.release().await.unwrap();
        books.ledger.close().await;
    });
    place
}
