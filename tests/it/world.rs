//! Books in a folder of their own, and the few steps that every test takes with them.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use tallybook::catalog::account::add::{Wanted, add};
use tallybook::catalog::rate_card::import::import;
use tallybook::context::{Books, Settings};
use tallybook::nightly::{Night, nightly};
use tallybook::pipeline::ingest::input::Input;
use tallybook::pipeline::ingest::{Ingested, ingest};
use tallybook::support::clock::Clock;
use tallybook::support::error::Error;
use tallybook::values::calendar::Cycle;

/// A folder with books in it.
pub struct Place {
    dir: tempfile::TempDir,
    settings: Settings,
}

/// An instant, RFC 3339.
pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Runs a future where blocking work is allowed, as in the program.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The cards that come with the program.
pub fn real_cards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rate-cards")
}

impl Place {
    /// Books under the real cards.
    pub fn new() -> Self {
        Self::with_cards(&real_cards(), "mps-cn")
    }

    pub fn with_cards(rate_cards: &Path, default_card: &str) -> Self {
        let settings = Settings {
            rate_cards: rate_cards.to_owned(),
            default_card: default_card.to_owned(),
            drop_rest_s: 0,
            ..Settings::default()
        };
        Self {
            dir: tempfile::tempdir().unwrap(),
            settings,
        }
    }

    pub fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// The same books in a folder of their own.
    pub fn copy(&self) -> Self {
        let copy = Self {
            dir: tempfile::tempdir().unwrap(),
            settings: self.settings.clone(),
        };
        copy_folder(&self.data(), &copy.data());
        crate::ledgers::copy(self.path(), copy.path());
        copy
    }

    /// The folder that holds the books.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the books are.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("books")
    }

    /// Opens the books at a time.
    pub async fn books(&self, now: DateTime<Utc>) -> Books {
        let ledger = crate::ledgers::url(self.path());
        Books::open(&self.data(), ledger.as_deref(), Clock::at(now), self.settings.clone())
            .await
            .unwrap()
    }

    /// Writes an input file beside the books.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Puts a file into the drop folder.
    pub fn drop(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let folder = self.data().join("drop");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), bytes).unwrap();
    }

    /// Ingests one file.
    pub fn ingest(&self, now: &str, path: &Path) -> Result<Ingested, Error> {
        run(async {
            let books = self.books(at(now)).await;
            let ingested = ingest(&books, &Input::named(path, None)?, "default").await;
            books.ledger.close().await;
            ingested
        })
    }

    /// Runs a night.
    pub fn night(&self, now: &str) -> Night {
        self.try_night(now).unwrap()
    }

    /// Runs a night that may fail.
    pub fn try_night(&self, now: &str) -> Result<Night, Error> {
        run(async {
            let books = self.books(at(now)).await;
            let night = nightly(&books).await;
            books.ledger.close().await;
            night
        })
    }

    /// Adds an account by hand.
    pub fn add_account(&self, now: &str, uin: u64, card: &str, cycle: Cycle, from: &str) {
        run(async {
            let books = self.books(at(now)).await;
            import(&books, std::slice::from_ref(&books.settings.rate_cards), None)
                .await
                .unwrap();
            let wanted = Wanted {
                uin,
                card: Some(card.to_owned()),
                cycle: Some(cycle),
                from: Some(from.parse().unwrap()),
                ..Wanted::default()
            };
            add(&books, wanted).await.unwrap();
            books.ledger.close().await;
        });
    }

    /// Every exported file of a name, by folder: (path below exports/, text).
    pub fn exported(&self, name: &str) -> Vec<(String, String)> {
        let root = self.data().join("exports");
        let mut found = Vec::new();
        for period in folders(&root) {
            for export in folders(&period) {
                let path = export.join(name);
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().display().to_string(), text));
            }
        }
        found
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders
}

/// A usage line of one transcoded minute in HD, unless told otherwise.
pub fn line(id: &str, uin: u64, finished_at: &str, duration_ms: u64) -> String {
    format!(
        "{{\"id\":\"{id}\",\"uin\":\"{uin}\",\"appid\":1,\"task_type\":\"Transcode\",\"parameters\":{{\"type\":\"Standard\",\
         \"codec\":\"H264\",\"width\":1280,\"height\":720}},\"duration_ms\":{duration_ms},\"finished_at\":\"{finished_at}\"}}\n"
    )
}
