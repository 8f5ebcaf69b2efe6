//! The calendar of retention: what is held, class by class, what goes next, what is held longer and why, and what was deleted.

mod store;

use std::collections::HashMap;

use chrono::{Days, Months, NaiveDate};

use crate::catalog::account::end::store::{Ended, ended_accounts};
use crate::catalog::source::ended::EndedAccounts;
use crate::catalog::source::events::Owner;
use crate::catalog::source::store::{disabled, versions_of_all};
use crate::context::Books;
use crate::context::keeping::Class;
use crate::pipeline::ingest::drop_folder::moved_folders;
use crate::pipeline::retention::deletion::Deleted;
use crate::pipeline::retention::policy::{Exceeded, exceeded, length};
use crate::pipeline::retention::queue_data::day_of;
use crate::support::error::{AtPath as _, Result};

/// What is kept for how long.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Calendar {
    /// The UTC day of the clock by which things are deleted.
    pub today: NaiveDate,
    pub classes: Vec<Held>,
    /// Newest first.
    pub deletions: Vec<Proved>,
}

/// What is held of a class.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Held {
    pub class: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// Such as `6 months`.
    pub kept: String,
    pub policy: String,
    pub setting: &'static str,
    /// Records, payloads, lines or files.
    pub rows: i64,
    /// The oldest UTC day or month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<String>,
    /// The first UTC day on which a night deletes something, if nothing holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_deletion: Option<NaiveDate>,
    pub longer: Vec<Longer>,
    /// Records, payloads, lines or files deleted so far.
    pub deleted: i64,
}

/// What is held for longer than its clock says, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Longer {
    pub what: String,
    pub why: String,
}

/// A deletion, with what proves what was there.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Proved {
    #[serde(flatten)]
    pub deleted: Deleted,
    /// Of a day of raw records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// What stands for a day of raw records: a digest for each account.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Proof {
    pub records: i64,
    /// An integer of any size.
    pub duration_ms: String,
    pub accounts: i64,
}

/// The rows of a class and its oldest.
#[derive(Clone, Debug, Default)]
struct Found {
    rows: i64,
    oldest: Option<String>,
    next: Option<NaiveDate>,
    longer: Vec<Longer>,
}

/// What is kept, by the clock of deletions. At most `deletions` of them are told, the newest.
pub async fn calendar(books: &Books, deletions: usize) -> Result<Calendar> {
    let today = books.clock.irreversible().date_naive();
    let reasons = exceeded(&books.ledger).await?;
    let mut classes = Vec::new();
    for class in Class::ALL {
        let mut found = found(books, class).await?;
        found.next = found.next.map(|next| next.max(today));
        found.longer.extend(by_reason(books, class, &reasons));
        classes.push(Held {
            class: class.text(),
            what: what(class),
            kept: length_text(class, class.kept(&books.settings)),
            policy: length_text(class, class.allowed(&books.settings.policy)),
            setting: class.setting(),
            rows: found.rows,
            oldest: found.oldest,
            next_deletion: found.next,
            longer: found.longer,
            deleted: store::deleted_rows(&books.ledger, class).await?,
        });
    }
    let mut told = store::deletions(&books.ledger).await?;
    told.truncate(deletions);
    Ok(Calendar {
        today,
        classes,
        deletions: told,
    })
}

fn what(class: Class) -> &'static str {
    match class {
        Class::Raw => "raw records and conflicts",
        Class::Log => "service-log fields",
        Class::Queue => "events, session IDs and contexts",
        Class::Configuration => "definitions and templates of sources",
        Class::Originals => "input files that were read",
        Class::Quarantine => "bytes of refused lines",
        Class::Usage => "usage for dashboards",
        Class::Statements => "lines of statements",
    }
}

fn length_text(class: Class, count: Option<u32>) -> String {
    match count {
        None => "for ever".to_owned(),
        count => length(class, count),
    }
}

async fn found(books: &Books, class: Class) -> Result<Found> {
    let settings = &books.settings;
    let ledger = &books.ledger;
    Ok(match class {
        Class::Raw => {
            let mut found = of_days(store::of_segments(ledger, &["usage"]).await?, settings.keep_raw_months);
            found.longer = store::held_days(ledger).await?;
            found
        }
        Class::Log => {
            let days = store::of_segments(ledger, &["log", "payload"]).await?;
            of_days(days, settings.keep_log_months)
        }
        Class::Queue => queue_data(books).await?,
        Class::Configuration => configuration(books).await?,
        Class::Originals => originals(books)?,
        Class::Quarantine => {
            let (rows, oldest) = store::quarantined_bytes(ledger).await?;
            of_days((rows, oldest), settings.keep_quarantine_months)
        }
        Class::Usage => of_months(store::usage_months(ledger).await?, settings.keep_usage_months),
        Class::Statements => of_months(store::statement_months(ledger).await?, settings.keep_statement_months),
    })
}

/// What goes some months after its UTC day.
fn of_days((rows, oldest): (i64, Option<NaiveDate>), months: u32) -> Found {
    Found {
        rows,
        oldest: oldest.map(|day| day.to_string()),
        next: oldest.and_then(|day| day.checked_add_months(Months::new(months))),
        longer: Vec::new(),
    }
}

/// What goes by whole months, when these are so many months back.
fn of_months((rows, oldest): (i64, Option<String>), months: Option<u32>) -> Found {
    let first = oldest
        .as_ref()
        .and_then(|month| format!("{month}-01").parse::<NaiveDate>().ok());
    let next = first.zip(months).and_then(|(first, months)| {
        let after = first.checked_add_months(Months::new(months))?;
        after.checked_add_months(Months::new(1))
    });
    Found {
        rows,
        oldest,
        next,
        longer: Vec::new(),
    }
}

/// Payloads go with their raw records, or some days after their source.
async fn queue_data(books: &Books) -> Result<Found> {
    let (rows, oldest) = store::of_segments(&books.ledger, &["payload", "bare_payload"]).await?;
    let mut found = of_days((rows, oldest), books.settings.keep_raw_months);
    let today = books.clock.irreversible().date_naive();
    if let (Some(day), Some(next)) = (oldest, found.next)
        && next < today
    {
        let why = format!("as long as the raw records of {day}");
        found.longer.push(Longer {
            what: format!("events of {day}"),
            why,
        });
    }
    if rows > 0 {
        for (source, since) in disabled(&books.ledger).await? {
            let keep = Days::new(u64::from(books.settings.keep_queue_days));
            let until = day_of(&source, &since)?.checked_add_days(keep);
            // What has gone holds no date: the source's payloads are deleted on that day.
            let until = until.filter(|until| today < *until);
            found.next = found.next.min(until).or(found.next).or(until);
        }
    }
    Ok(found)
}

/// Definitions go some days after their account ended; the oldest is of no account in particular.
async fn configuration(books: &Books) -> Result<Found> {
    let (rows, oldest) = store::source_versions(&books.ledger).await?;
    let mut found = Found {
        rows,
        oldest,
        ..Found::default()
    };
    let keep = Days::new(u64::from(books.settings.keep_configuration_days) + 1);
    let ended = ended_accounts(&books.ledger).await?;
    let over = EndedAccounts::of(books).await?;
    for (source, versions) in versions_of_all(&books.ledger).await? {
        let owners = versions.iter().map(|version| &version.definition.source.owner);
        let last_ends = owners.filter_map(|owner| last_end(owner, &ended));
        let until = last_ends.filter_map(|day| day.checked_add_days(keep)).min();
        found.next = found.next.min(until).or(found.next).or(until);
        let newest = versions.last().map(|version| &version.definition.source.owner);
        let left = newest
            .filter(|owner| over.all_of(owner).is_none())
            .map(|owner| over.among(owner));
        found.longer.extend(left.into_iter().flatten().map(|(uin, day)| Longer {
            what: format!("definition of source {source}"),
            why: format!("it names account {uin}, which ended on {day}, beside others; remove the account from it"),
        }));
    }
    Ok(found)
}

/// When the last of the accounts ended that a definition names; none while one of them has not.
fn last_end(owner: &Owner, ended: &HashMap<u64, Ended>) -> Option<NaiveDate> {
    let accounts = owner.accounts().into_iter();
    let days: Option<Vec<NaiveDate>> = accounts.map(|uin| ended.get(&uin).map(|end| end.day)).collect();
    days?.into_iter().max()
}

fn originals(books: &Books) -> Result<Found> {
    let mut files = 0;
    let mut oldest: Option<NaiveDate> = None;
    for folder in moved_folders(books).into_iter().filter(|folder| folder.is_dir()) {
        for entry in std::fs::read_dir(&folder).at(&folder)? {
            let path = entry.at(&folder)?.path();
            let received = std::fs::metadata(&path)
                .and_then(|metadata| metadata.modified())
                .at(&path)?;
            let day = chrono::DateTime::<chrono::Utc>::from(received).date_naive();
            files += 1;
            oldest = oldest.min(Some(day)).or(Some(day));
        }
    }
    // A file goes in the night after its instant.
    Ok(of_days((files, oldest), books.settings.keep_original_months))
}

/// The newest reason for a class that is kept longer than the policy allows.
fn by_reason(books: &Books, class: Class, reasons: &[Exceeded]) -> Option<Longer> {
    if !class.exceeds(&books.settings) {
        return None;
    }
    let reason = reasons.iter().rev().find(|reason| reason.class == class);
    let why = reason.map_or_else(
        || "nobody gave a reason: nights are refused".to_owned(),
        |it| format!("{} ({}, {}, audit entry {})", it.reason, it.who, it.at, it.audit_entry),
    );
    Some(Longer {
        what: format!("{} longer than the policy", what(class)),
        why,
    })
}
