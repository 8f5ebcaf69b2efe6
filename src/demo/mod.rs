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

use crate::catalog::account::add::{Wanted as Terms, add};
use crate::catalog::rate_card::import::import;
use crate::context::{Books, Settings};
use crate::nightly::{Night, nightly};
use crate::pipeline::close::Closed;
use crate::pipeline::close::statement::statement_id;
use crate::pipeline::meter::balance::Control;
use crate::storage::durable_files::create_dir_durably;
use crate::storage::ledger::{Ledger, without_password};
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

/// The file of an export that has the lines.
const LINES_FILE: &str = "statement_lines.csv";

/// Says that a folder was made by the demo, which therefore may make it anew.
const MARK: &str = "made-by-tallybook-demo";

/// What to make, and where.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Emptied if an earlier demo made it.
    pub folder: PathBuf,
    /// A database without tables of ours; none: the embedded ledger in the folder.
    pub ledger: Option<String>,
    /// Same seed, same month.
    pub seed: u64,
    /// Distinct usage records.
    pub records: usize,
}

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
    /// The closed statement with most records.
    pub largest: Option<Largest>,
    #[serde(skip)]
    has_server: bool,
}

/// A statement to look at.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Largest {
    pub statement: String,
    pub uin: String,
    /// Its first day, and the day after its last.
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub records: i64,
}

/// Makes the month and runs its nights; `say` gets a line per step, before or after it as it takes long or not.
pub async fn run(wanted: &Wanted, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let folder = &wanted.folder;
    let last_night = calendar::as_of(calendar::LAST_NIGHT);
    if Clock::system().machine() < last_night {
        return Err(Error::Usage(format!(
            "the demo ends at {}, and the system clock is earlier than that: correct the clock",
            instant_text(last_night)
        )));
    }
    if let Some(url) = &wanted.ledger {
        refuse_used_ledger(url).await?;
    }
    make_folder(folder)?;
    say(&format!(
        "making a month of usage in {}: seed {}",
        folder.display(),
        wanted.seed
    ));
    let month = tokio::task::block_in_place(|| month(wanted.seed, wanted.records));
    say(&format!("made {}", made_text(&month.made)));
    let mut outcome = Outcome {
        folder: folder.clone(),
        nights: month.nights.len(),
        records_made: month.made.received(),
        control: Control::default(),
        statements: 0,
        lines: 0,
        totals: Vec::new(),
        exports: Vec::new(),
        needs_person: Vec::new(),
        largest: None,
        has_server: wanted.ledger.is_some(),
    };
    for (number, night) in month.nights.iter().enumerate() {
        let books = open(wanted, Clock::as_of(night.as_of)?).await?;
        if number == 0 {
            prepare(&books, &month.accounts).await?;
            say(&format!(
                "imported its rate cards and added {} accounts; now {} nights, each with the files that came by then:",
                month.accounts.len(),
                month.nights.len()
            ));
        }
        drop_files(&books, &night.files)?;
        let ran = nightly(&books).await?;
        say(&night_text(&ran));
        outcome.add(ran);
        books.ledger.close().await;
    }
    Ok(outcome)
}

/// Refuses a database in which there are books: the demo makes its own, and undoes nobody's.
async fn refuse_used_ledger(url: &str) -> Result<()> {
    let Some(ledger) = Ledger::open_there(url, Settings::default().ledger_wait_s).await? else {
        return Ok(());
    };
    ledger.close().await;
    Err(Error::Usage(format!(
        "the database {} already has tallybook tables: use an empty one, or recreate it (DROP DATABASE, CREATE DATABASE) if its \
         data is not needed. Nothing was changed",
        without_password(url)
    )))
}

async fn open(wanted: &Wanted, clock: Clock) -> Result<Books> {
    let settings = Settings {
        rate_cards: wanted.folder.join("rate-cards"),
        // Its files are whole when they are dropped.
        drop_rest_s: 0,
        ..Settings::default()
    };
    Books::open(&wanted.folder, wanted.ledger.as_deref(), clock, settings).await
}

/// Makes the folder, or makes the demo's own folder anew; any other folder with something in it is refused.
fn make_folder(folder: &Path) -> Result<()> {
    if folder.join(MARK).exists() {
        std::fs::remove_dir_all(folder).at(folder)?;
    } else if folder.exists() && std::fs::read_dir(folder).at(folder)?.next().is_some() {
        return Err(Error::Usage(format!(
            "{} contains files that the demo did not create; use another --data-dir",
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
        let terms = Terms {
            uin: account.uin,
            card: Some(account.card.to_owned()),
            cycle: Some(account.cycle),
            discount_percent: Some(account.discount_percent),
            from: Some(account.from as NaiveDate),
            ..Terms::default()
        };
        add(books, terms).await?;
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
        self.look_at(&night.closed);
        self.totals.extend(night.closed.totals);
        self.exports.extend(night.exported.into_iter().map(|e| e.folder));
        self.needs_person.extend(night.needs_person);
        self.control = night.control;
    }

    /// Keeps the statement with most records.
    fn look_at(&mut self, closed: &Closed) {
        let so_far = self.largest.as_ref().map_or(0, |largest| largest.records);
        let Some(most) = closed.stated.iter().max_by_key(|stated| stated.records) else {
            return;
        };
        let period = closed
            .closed_periods
            .iter()
            .find(|(uin, period)| (*uin, period.start) == (most.uin, most.start));
        if let Some((uin, period)) = period
            && most.records > so_far
        {
            self.largest = Some(Largest {
                statement: statement_id(*uin, period),
                uin: uin.to_string(),
                from: period.start,
                to: period.end,
                records: most.records,
            });
        }
    }

    /// The end of the demo's story, and what to look at.
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
        text + &self.things_to_look_at()
    }

    /// A statement, how a line of it came about, and what finance gets.
    fn things_to_look_at(&self) -> String {
        let program = std::env::args().next().unwrap_or_else(|| "tallybook".to_owned());
        let command = format!("{program} --data-dir {}", self.folder.display());
        let server = if self.has_server {
            " (with the same --ledger)"
        } else {
            ""
        };
        let mut text = format!("\nthree things to look at{server}:\n");
        if let Some(Largest {
            statement,
            uin,
            from,
            to,
            ..
        }) = &self.largest
        {
            text.push_str(&format!(
                "1. a customer's statement:\n     {command} statement {uin} --from {from} --to {to}\n"
            ));
            text.push_str(&format!(
                "2. how a line of it came about:\n     {command} explain {statement} --line 1\n"
            ));
        }
        let size = |folder: &PathBuf| std::fs::metadata(folder.join(LINES_FILE)).map_or(0, |file| file.len());
        if let Some(largest) = self.exports.iter().max_by_key(|folder| size(folder)) {
            text.push_str(&format!(
                "3. what finance gets:\n     {}\n",
                largest.join(LINES_FILE).display()
            ));
        }
        text
    }
}
