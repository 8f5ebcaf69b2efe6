//! The demo: a made month of usage goes the whole way, night by night, in a folder of its own.

/// Lines that no door takes.
mod bad_line;

/// The days and nights of the month.
mod calendar;

/// Who the customers are.
mod customer;

/// What came in which night, in which file.
mod delivery;

/// What goes wrong in real life.
mod dirt;

/// The month.
pub mod month;

/// A made file as Parquet.
mod parquet;

/// Chance that repeats.
mod random;

/// One made record.
pub mod record;

/// What the service did in the month.
mod work;

use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use crate::catalog::account::add::{Wanted, add};
use crate::catalog::rate_card::import::import;
use crate::context::{Books, Settings};
use crate::nightly::{Night, nightly};
use crate::pipeline::meter::balance::Control;
use crate::storage::durable_files::create_dir_durably;
use crate::support::clock::{Clock, instant_text};
use crate::support::error::{AtPath as _, Error, Result};
use month::{Content, DemoAccount, DemoFile, Made, month};

/// The cards that the program carries, so that the demo needs no file.
const CARDS: [(&str, &str); 3] = [
    ("README.md", include_str!("../../rate-cards/README.md")),
    (
        "mps-cn/2024-01-01.toml",
        include_str!("../../rate-cards/mps-cn/2024-01-01.toml"),
    ),
    (
        "mps-intl/2024-01-01.toml",
        include_str!("../../rate-cards/mps-intl/2024-01-01.toml"),
    ),
];

/// Says that a folder was made by the demo, which therefore may make it anew.
const MARK: &str = "made-by-tallybook-demo";

/// What came of the demo.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Outcome {
    pub folder: PathBuf,
    pub nights: usize,
    pub records_made: usize,
    pub control: Control,
    pub statements: usize,
    pub lines: u64,
    pub totals: Vec<(String, String)>,
    pub exports: Vec<PathBuf>,
    pub needs_person: Vec<String>,
}

/// Makes the month and runs its nights; `say` gets a line per night.
pub async fn run(folder: &Path, seed: u64, records: usize, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let last_night = calendar::as_of(calendar::LAST_NIGHT);
    if Clock::system().machine() < last_night {
        return Err(Error::Usage(format!(
            "the demo's nights end at {}, and this machine's clock lies before that: set it right",
            instant_text(last_night)
        )));
    }
    make_folder(folder)?;
    let month = tokio::task::block_in_place(|| month(seed, records));
    say(&format!(
        "made {} for the nights of a month, in {}",
        made_text(&month.made),
        folder.display()
    ));
    let mut outcome = Outcome {
        folder: folder.to_owned(),
        nights: month.nights.len(),
        records_made: month.made.received(),
        control: Control::default(),
        statements: 0,
        lines: 0,
        totals: Vec::new(),
        exports: Vec::new(),
        needs_person: Vec::new(),
    };
    for (number, night) in month.nights.iter().enumerate() {
        let books = open(folder, Clock::as_of(night.as_of)?).await?;
        if number == 0 {
            prepare(&books, &month.accounts).await?;
        }
        drop_files(&books, &night.files)?;
        let ran = nightly(&books).await?;
        say(&night_text(&ran));
        outcome.add(ran);
        books.ledger.close().await;
    }
    Ok(outcome)
}

async fn open(folder: &Path, clock: Clock) -> Result<Books> {
    let settings = Settings {
        rate_cards: folder.join("rate-cards"),
        // Its files are whole when they are dropped.
        drop_rest_s: 0,
        ..Settings::default()
    };
    Books::open(folder, None, clock, settings).await
}

/// Makes the folder, or makes the demo's own folder anew; any other folder with something in it is refused.
fn make_folder(folder: &Path) -> Result<()> {
    if folder.join(MARK).exists() {
        std::fs::remove_dir_all(folder).at(folder)?;
    } else if folder.exists() && std::fs::read_dir(folder).at(folder)?.next().is_some() {
        return Err(Error::Usage(format!(
            "{} has something in it that is not the demo's; name another --data-dir",
            folder.display()
        )));
    }
    create_dir_durably(folder)?;
    std::fs::write(folder.join(MARK), "").at(folder)?;
    for (name, text) in CARDS {
        let path = folder.join("rate-cards").join(name);
        create_dir_durably(path.parent().unwrap_or(folder))?;
        std::fs::write(&path, text).at(&path)?;
    }
    Ok(())
}

async fn prepare(books: &Books, accounts: &[DemoAccount]) -> Result<()> {
    import(books, std::slice::from_ref(&books.settings.rate_cards), None).await?;
    for account in accounts {
        let wanted = Wanted {
            uin: account.uin,
            card: Some(account.card.to_owned()),
            cycle: Some(account.cycle),
            discount_percent: Some(account.discount_percent),
            from: Some(account.from as NaiveDate),
            ..Wanted::default()
        };
        add(books, wanted).await?;
    }
    Ok(())
}

fn drop_files(books: &Books, files: &[DemoFile]) -> Result<()> {
    let folder = books.settings.drop_folder(&books.data);
    create_dir_durably(&folder)?;
    for file in files {
        let path = folder.join(&file.name);
        match &file.content {
            Content::Bytes(bytes) => std::fs::write(&path, bytes).at(&path)?,
            Content::Parquet(records) => parquet::write(&path, records)?,
        }
    }
    Ok(())
}

fn made_text(made: &Made) -> String {
    format!(
        "{} lines ({} records, {} repeats, {} bad lines, {} failed, {} late, {} voids, {} conflicts)",
        made.received(),
        made.records,
        made.repeats,
        made.bad_lines,
        made.failed,
        made.late,
        made.voids,
        made.conflicts
    )
}

fn night_text(night: &Night) -> String {
    let received: i64 = night.control.run.received.records;
    let mut text = format!(
        "{}  {:>2} files  {:>6} lines  metered up to batch {:>3}",
        &night.as_of[..16],
        night.dropped.ingested.len(),
        received,
        night.control.batch_hi
    );
    if night.closed.statements > 0 {
        text.push_str(&format!("  closed {} statements", night.closed.statements));
        for (currency, total) in &night.closed.totals {
            text.push_str(&format!(", {currency} {total}"));
        }
    }
    for file in &night.dropped.refused {
        text.push_str(&format!("\n  refused {}", file.why));
    }
    text
}

impl Outcome {
    fn add(&mut self, night: Night) {
        self.statements += night.closed.statements;
        self.lines += night.closed.lines;
        self.totals.extend(night.closed.totals);
        self.exports.extend(night.exported.into_iter().map(|e| e.folder));
        self.needs_person.extend(night.needs_person);
        self.control = night.control;
    }

    /// The end of the demo's story.
    pub fn text(&self) -> String {
        let mut text = String::from("\ncontrol totals of all batches\n");
        for (status, total) in &self.control.all.statuses {
            text.push_str(&format!("  {status:<12} {:>8}\n", total.records));
        }
        text.push_str(&format!(
            "  {:<12} {:>8}  they balance\n",
            "= received", self.control.all.received.records
        ));
        text.push_str(&format!("\n{} statements with {} lines\n", self.statements, self.lines));
        if let Some(largest) = self
            .exports
            .iter()
            .max_by_key(|folder| std::fs::metadata(folder.join("statement_lines.csv")).map_or(0, |file| file.len()))
        {
            text.push_str(&format!(
                "finance's CSV: {}\n",
                largest.join("statement_lines.csv").display()
            ));
        }
        let program = std::env::args().next().unwrap_or_else(|| "tallybook".to_owned());
        let folder = self.folder.display();
        text.push_str("\nlook around:\n");
        for command in ["status", "quarantine list", "verify"] {
            text.push_str(&format!("  {program} --data-dir {folder} {command}\n"));
        }
        text
    }
}
