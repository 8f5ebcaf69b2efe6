//! Books under a card of two SKUs that a test writes itself.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tallybook::catalog::account::add::{Wanted, add};
use tallybook::catalog::account::terms::Terms;
use tallybook::catalog::rate_card::import::{Correction, import};
use tallybook::nightly::Night;
use tallybook::support::error::Error;

use crate::world::{Place, at, run};

/// One card, `c`, in force from 2024-01-01: minutes of `Work`, SKU by its type, `A` or `B`.
pub struct Shop {
    cards: tempfile::TempDir,
    currency: String,
    zone: String,
    files: AtomicU32,
    pub place: Place,
}

/// A line that takes a record back.
pub fn void(id: &str, target: &str) -> String {
    format!("{{\"id\":\"{id}\",\"kind\":\"void\",\"voids\":\"{target}\"}}\n")
}

impl Shop {
    pub fn new(currency: &str, prices: &str) -> Self {
        Self::in_zone(currency, "Asia/Shanghai", prices)
    }

    pub fn in_zone(currency: &str, zone: &str, prices: &str) -> Self {
        let cards = tempfile::tempdir().unwrap();
        std::fs::create_dir(cards.path().join("c")).unwrap();
        let shop = Self {
            place: Place::with_cards(cards.path(), "c"),
            cards,
            currency: currency.to_owned(),
            zone: zone.to_owned(),
            files: AtomicU32::new(0),
        };
        shop.write_card(prices);
        shop
    }

    /// The folder of the cards.
    pub fn cards(&self) -> &std::path::Path {
        self.cards.path()
    }

    fn card_path(&self) -> PathBuf {
        self.cards.path().join("c/2024-01-01.toml")
    }

    /// Writes the card anew; SKUs without a price are not made.
    pub fn write_card(&self, prices: &str) {
        let types = if prices.contains("\"B\"") {
            "\"A\", \"B\""
        } else {
            "\"A\""
        };
        self.write(prices, types, "");
    }

    /// The same with a SKU that is measured and has no price.
    pub fn write_card_not_sold(&self, prices: &str, sku: &str) {
        self.write(prices, "\"A\", \"B\"", &format!("not_sold = [\"{sku}\"]\n"));
    }

    fn write(&self, prices: &str, types: &str, not_sold: &str) {
        let text = format!(
            "card = \"c\"\nfrom = 2024-01-01\ncurrency = \"{}\"\nzone = \"{}\"\ndefault_region = \"r\"\n[regions]\nall = [\"*\"]\n\
             [[meter]]\nname = \"work\"\ntask_type = \"Work\"\nsku = \"{{type}}\"\nquantity = \"duration\"\nunit = \"minute\"\n\
             {not_sold}[meter.dimensions]\ntype = [{types}]\n[prices]\n{prices}\n",
            self.currency, self.zone
        );
        std::fs::write(self.card_path(), text).unwrap();
    }

    /// Imports the card as it is.
    pub fn import(&self, now: &str) {
        run(async {
            let books = self.place.books(at(now)).await;
            import(&books, &[self.card_path()], None).await.unwrap();
            books.ledger.close().await;
        });
    }

    /// Gives an account another card from a day on: `usd`, where `A` costs 7 USD.
    pub fn change_card(&self, now: &str, uin: u64, from: &str) -> Result<Terms, Error> {
        let text = std::fs::read_to_string(self.card_path()).unwrap();
        let text = text
            .replace("card = \"c\"", "card = \"usd\"")
            .replace("\"CNY\"", "\"USD\"");
        let folder = self.cards.path().join("usd");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("2024-01-01.toml"), text.replace("\"1\"", "\"7\"")).unwrap();
        run(async {
            let books = self.place.books(at(now)).await;
            import(&books, &[folder], None).await.unwrap();
            let wanted = Wanted {
                uin,
                card: Some("usd".to_owned()),
                from: Some(from.parse().unwrap()),
                ..Wanted::default()
            };
            let added = add(&books, wanted).await;
            books.ledger.close().await;
            added
        })
    }

    /// Imports the card as a correction; how many closed periods are rated again.
    pub fn correct(&self, now: &str) -> u64 {
        self.try_correct(now).unwrap()
    }

    pub fn try_correct(&self, now: &str) -> Result<u64, Error> {
        run(async {
            let books = self.place.books(at(now)).await;
            let correction = Correction {
                from: "2024-01-01".parse().unwrap(),
                reason: "the price list was misread",
            };
            let imported = import(&books, &[self.card_path()], Some(correction)).await;
            books.ledger.close().await;
            imported.map(|imported| imported[0].rated_again)
        })
    }

    /// Drops the lines as one file; no two files have the same bytes.
    pub fn drop(&self, lines: &[String]) {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let blank = "\n".repeat(usize::try_from(number).unwrap());
        self.place
            .drop(&format!("{number:03}.ndjson"), format!("{}{blank}", lines.concat()));
    }
}

/// A usage line.
pub fn usage(id: &str, uin: u64, sku: &str, finished_at: &str, duration_ms: u64) -> String {
    format!(
        "{{\"id\":\"{id}\",\"uin\":\"{uin}\",\"appid\":1,\"task_type\":\"Work\",\"parameters\":{{\"type\":\"{sku}\"}},\
         \"duration_ms\":{duration_ms},\"finished_at\":\"{finished_at}\"}}\n"
    )
}

/// Records of a status, of all batches.
pub fn records(night: &Night, status: &str) -> i64 {
    let statuses = &night.control.all.statuses;
    statuses.iter().find(|(name, _)| *name == status).unwrap().1.records
}
