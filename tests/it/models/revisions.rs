//! Two versions of a card that share a counter in November, and what may become of the second.

use std::path::{Path, PathBuf};

use tallybook::catalog::rate_card::import::{Correction, Imported, import};
use tallybook::support::error::Error;

use crate::exactly_once::shop::usage;
use crate::laws::rows_of;
use crate::nights::verified;
use crate::world::{Place, at, run};

const CLOSED: &str = "2024-12-10T00:00:00Z";
const LATER: &str = "2025-01-10T00:00:00Z";

const SHARED: &str =
    "counter = \"all\", tiers = [{ from = 0, to = 10, unit_price = \"3\" }, { from = 10, unit_price = \"1\" }]";

/// Books with a folder of cards.
struct Versions {
    cards: tempfile::TempDir,
    place: Place,
}

impl Versions {
    fn new() -> Self {
        let cards = tempfile::tempdir().unwrap();
        std::fs::create_dir(cards.path().join("c")).unwrap();
        Self {
            place: Place::with_cards(cards.path(), "c"),
            cards,
        }
    }

    /// Writes the version of a day: `A` and `B`, each with its keys or not sold.
    fn write(&self, from: &str, unit: &str, keys: [Option<&str>; 2]) -> PathBuf {
        let (mut not_sold, mut prices) = (String::new(), String::new());
        for (sku, keys) in ["A", "B"].into_iter().zip(keys) {
            match keys {
                Some(keys) => prices += &format!("{sku} = {{ {keys}, origin = \"inferred\" }}\n"),
                None => not_sold = format!("not_sold = [\"{sku}\"]\n"),
            }
        }
        let text = format!(
            "card = \"c\"\nfrom = {from}\ncurrency = \"CNY\"\nzone = \"Asia/Shanghai\"\ndefault_region = \"r\"\n[regions]\nall = \
             [\"*\"]\n[[meter]]\nname = \"work\"\ntask_type = \"Work\"\nsku = \"{{type}}\"\nquantity = \"duration\"\nunit = \"{unit}\"\n\
             {not_sold}[meter.dimensions]\ntype = [\"A\", \"B\"]\n[prices]\n{prices}"
        );
        let path = self.cards.path().join(format!("c/{from}.toml"));
        std::fs::write(&path, text).unwrap();
        path
    }

    fn import(&self, path: &Path, correction: Option<Correction>) -> Result<Vec<Imported>, Error> {
        run(async {
            let books = self.place.books(at("2024-12-11T00:00:00Z")).await;
            let imported = import(&books, &[path.to_owned()], correction).await;
            books.ledger.close().await;
            imported
        })
    }

    /// Kind, SKU, quantity, price and amount of each line.
    fn lines(&self) -> Vec<String> {
        let columns = [
            "uin",
            "period_start",
            "line_no",
            "kind",
            "sku",
            "quantity",
            "unit_price",
            "amount",
        ];
        let rows = rows_of(&self.place, &columns);
        let own = rows.iter().filter(|row| row[3] != "rounding");
        own.map(|row| row[3..].join(" ")).collect()
    }
}

#[test]
fn a_price_that_would_take_closed_usage_of_the_version_before_off_its_counter_needs_a_correction() {
    let versions = Versions::new();
    versions.write("2024-01-01", "minute", [Some(SHARED), Some(SHARED)]);
    versions.write("2024-11-16", "minute", [None, Some(SHARED)]);
    let november = [
        usage("a", 7, "A", "2024-11-10T10:00:00+08:00", 9 * 60_000),
        usage("b", 7, "B", "2024-11-20T10:00:00+08:00", 3 * 60_000),
    ];
    versions.place.drop("november.ndjson", november.concat());
    versions.place.night(CLOSED);
    let billed = [
        "usage A 9.000000 3 27.0000000000",
        "usage B 1.000000 3 3.0000000000",
        "usage B 2.000000 1 2.0000000000",
    ];
    assert_eq!(versions.lines(), billed, "A counts on where it is not sold any more");

    let revised = versions.write("2024-11-16", "minute", [Some("unit_price = \"5\""), Some(SHARED)]);
    let refused = versions.import(&revised, None).unwrap_err().to_string();
    let why = "usage of `A` in a region that no group lists under the version of 2024-01-01 moved counter `all` of this version, and would move no \
               counter; restore the file";
    assert!(refused.contains(why), "{refused}");

    let correction = Correction {
        from: "2024-11-16".parse().unwrap(),
        reason: "A is sold again, at a price of its own",
    };
    assert_eq!(versions.import(&revised, Some(correction)).unwrap()[0].rated_again, 1);
    let december = usage("c", 7, "A", "2024-12-05T10:00:00+08:00", 60_000);
    versions.place.drop("december.ndjson", december);
    versions.place.night(LATER);
    let adjusted = [
        "usage A 1.000000 5 5.0000000000",
        "adjustment B 2.000000 3 6.0000000000",
        "adjustment B -2.000000 1 -2.0000000000",
    ];
    assert_eq!(versions.lines()[billed.len()..], adjusted);
    assert_eq!(verified(&versions.place, LATER).differences, Vec::<String>::new());
}

#[test]
fn a_price_on_the_counter_where_the_usage_counts_already_is_an_addition() {
    let versions = Versions::new();
    let first = versions.write("2024-01-01", "minute", [Some(SHARED), Some(SHARED)]);
    let second = versions.write("2024-11-16", "minute", [None, Some(SHARED)]);
    versions.import(&first, None).unwrap();
    versions.import(&second, None).unwrap();
    let second = versions.write("2024-11-16", "minute", [Some(SHARED), Some(SHARED)]);
    assert_eq!(versions.import(&second, None).unwrap()[0].outcome, "revision that adds");
}

#[test]
fn a_version_that_counts_on_in_another_unit_is_refused_with_both_versions_and_the_cure() {
    let versions = Versions::new();
    let first = versions.write("2024-01-01", "minute", [Some(SHARED), Some(SHARED)]);
    versions.import(&first, None).unwrap();
    let second = versions.write("2025-01-16", "second", [Some(SHARED), Some("unit_price = \"1\"")]);
    let refused = versions.import(&second, None).unwrap_err().to_string();
    let why = "rate card c of 2025-01-16: a counter that runs on from one version to the other counts `A` in units of minute (60000 base units) from \
               2024-01-01 and `A` in units of second (1000 base units) from 2025-01-16; keep the unit, or give the SKU and the counter that \
               it names other names in the later version";
    assert_eq!(refused, why);
    let plain = versions.write(
        "2025-01-16",
        "second",
        [Some("unit_price = \"1\""), Some("unit_price = \"1\"")],
    );
    assert_eq!(versions.import(&plain, None).unwrap()[0].outcome, "new version");
}
