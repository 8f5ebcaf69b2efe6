//! `backup` and `restore`: what can be typed, what is called, what is printed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use chrono::{DateTime, NaiveDate, Utc};
use clap::Subcommand;
use serde::Serialize;

use super::args::Args;
use super::print;
use super::run::report;
use super::settings::{Named, open_books, settings_of};
use crate::backup::check::{Checked, check_with};
use crate::backup::create::{BackedUp, back_up};
use crate::backup::location::Location;
use crate::backup::manifest::Manifest;
use crate::backup::points::Ended;
use crate::backup::prune::{Pruned, prune, prune_bucket};
use crate::backup::repository::Repository;
use crate::backup::restore::{Point, Restored, restore_point};
use crate::context::{Books, Settings};
use crate::inspect::verify::{Verified, verify};
use crate::nightly::needs_person::of_backup;
use crate::nightly::report::{backed_up, grouped_size};
use crate::pipeline::ingest::trial::ScratchFolder;
use crate::support::clock::Clock;
use crate::support::error::Error;
use crate::support::error::exit_code::ExitCode;
use crate::support::progress::Progress;
use crate::support::table::{Table, counted};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BackupArgs {
    /// Folder of backups, created if it does not exist, or bucket (`s3://BUCKET/PREFIX`, `cos://BUCKET/PREFIX`) [default: setting `backup`]
    #[arg(value_name = "TO")]
    to: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<BackupCommand>,
}

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// List the backups of a folder or bucket, which of them can be restored, and why others cannot
    List {
        /// Folder or bucket of backups (`s3://BUCKET/PREFIX`, `cos://BUCKET/PREFIX`) [default: setting `backup`]
        #[arg(value_name = "FROM")]
        from: Option<PathBuf>,
    },
    /// Read every file of the backups that can be restored and compare it with its digest
    Verify {
        /// Folder or bucket of backups (`s3://BUCKET/PREFIX`, `cos://BUCKET/PREFIX`) [default: setting `backup`]
        #[arg(value_name = "FROM")]
        from: Option<PathBuf>,
        /// File of the secret key of age that opens encrypted backups [default: setting `backup_age_identity_file`]
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
    },
    /// Delete what is needed to restore no backup, and manifests of older backups; every backup also does this
    Prune {
        /// Folder or bucket of backups (`s3://BUCKET/PREFIX`, `cos://BUCKET/PREFIX`) [default: setting `backup`]
        #[arg(value_name = "FROM")]
        from: Option<PathBuf>,
        /// How many of the newest manifests stay; earlier backups cannot be restored any more [default: 60, and those that can be restored]
        #[arg(long, value_name = "N", value_parser = at_least_one)]
        keep: Option<usize>,
    },
    /// Restore the newest backup into a folder of its own with an embedded ledger, verify the books, and delete them again
    Drill {
        /// Folder or bucket of backups (`s3://BUCKET/PREFIX`, `cos://BUCKET/PREFIX`) [default: setting `backup`]
        #[arg(value_name = "FROM")]
        from: Option<PathBuf>,
        /// Folder for the restored books, which must not exist yet [default: one among the system's temporary files]
        #[arg(long, value_name = "DIR")]
        work: Option<PathBuf>,
        /// File of the secret key of age that opens encrypted backups [default: setting `backup_age_identity_file`]
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
    },
}

/// A number of manifests: the newest says what can be restored, and stays.
fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number, at least 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

impl BackupArgs {
    /// What needs no books: commands about a folder of backups.
    pub fn without_books(&self) -> Option<&BackupCommand> {
        self.command.as_ref()
    }
}

pub async fn create(args: &Args, books: &Books, backup: &BackupArgs) -> Result<ExitCode> {
    let to = named(backup.to.as_ref(), &books.settings)?;
    let backed_up = back_up(books, to).await?;
    report(args, &backed_up, || backed_up_text(&backed_up));
    let is_done = backed_up.is_whole() && backed_up.unsettled.is_empty();
    Ok(ExitCode::unless(is_done, ExitCode::NeedsPerson))
}

fn backed_up_text(done: &BackedUp) -> String {
    let mut text = backed_up(done);
    for what in of_backup(done) {
        text.push_str(&format!("ACTION REQUIRED: {what}\n"));
    }
    if !done.is_whole() {
        text.push_str("The backup has all the rest. What the last whole backup has of it stays in the folder\n");
    }
    text
}

/// An argument names the identity in the place of the settings.
fn open_with(settings: &mut Settings, identity: Option<&PathBuf>) {
    if let Some(identity) = identity {
        settings.backup_age_identity_file = Some(identity.clone());
    }
}

/// The folder or bucket of backups that an argument or the settings name.
fn named<'a>(argument: Option<&'a PathBuf>, settings: &'a Settings) -> Result<&'a Path> {
    let folder = argument.or(settings.backup.as_ref());
    let unnamed =
        || Error::Usage("name the folder or bucket of backups, here or as `backup` in the settings".to_owned());
    Ok(folder.ok_or_else(unnamed)?)
}

pub async fn about(args: &Args, command: &BackupCommand, clock: Clock) -> Result<ExitCode> {
    let mut settings = settings_of(args)?.settings;
    match command {
        BackupCommand::List { from } => list(args, Location::of(named(from.as_ref(), &settings)?, &settings)?),
        BackupCommand::Verify { from, identity } => {
            open_with(&mut settings, identity.as_ref());
            let from = Location::of(named(from.as_ref(), &settings)?, &settings)?;
            let checked = check_with(from.clone(), &settings)?;
            report(args, &checked, || checked_text(&from, &checked));
            Ok(ExitCode::unless(checked.differences.is_empty(), ExitCode::Unbalanced))
        }
        BackupCommand::Prune { from, keep } => {
            let from = Location::of(named(from.as_ref(), &settings)?, &settings)?;
            let pruned = match &from {
                Location::Folder(folder) => prune(folder, *keep)?,
                Location::Bucket(_) => Box::pin(prune_with_books(args, &from, *keep, clock)).await?,
            };
            report(args, &pruned, || pruned_text(&from, pruned));
            Ok(ExitCode::Done)
        }
        BackupCommand::Drill { from, work, identity } => {
            open_with(&mut settings, identity.as_ref());
            let from = named(from.as_ref(), &settings)?.to_owned();
            Box::pin(drill(args, &from, work.as_deref(), clock, settings)).await
        }
    }
}

/// The ledger of the books says that nobody backs them up meanwhile.
async fn prune_with_books(args: &Args, from: &Location, keep: Option<usize>, clock: Clock) -> Result<Pruned> {
    let books = open_books(args, clock).await?;
    let pruned = prune_bucket(&books, from.clone(), keep).await;
    books.ledger.close().await;
    Ok(pruned?)
}

fn pruned_text(from: &Location, pruned: Pruned) -> String {
    format!(
        "{from}: removed {} and {}\n",
        counted(pruned.removed_files, "file"),
        counted(pruned.removed_manifests, "manifest")
    )
}

/// A backup in a list.
#[derive(Serialize)]
struct Listed {
    number: u64,
    /// None where its manifest was removed, because it may have said whose account was erased since.
    #[serde(flatten)]
    what: Option<ListedManifest>,
    is_newest: bool,
    can_be_restored: bool,
    /// Of one that cannot.
    why_not: Option<&'static str>,
}

/// What the manifest of a backup says.
#[derive(Serialize)]
struct ListedManifest {
    taken_at: String,
    files: usize,
    bytes: u64,
    ledger_rows: u64,
    is_whole: bool,
}

impl Listed {
    /// Of one whose manifest was removed.
    fn gone(ended: &Ended) -> Self {
        Self {
            number: ended.number,
            what: None,
            is_newest: false,
            can_be_restored: false,
            why_not: Some(ended.why.sentence()),
        }
    }

    fn of(manifest: &Manifest, newest: &Manifest) -> Self {
        let objects = manifest.objects();
        let is_newest = manifest.number == newest.number;
        let can_be_restored = is_newest || newest.points.iter().any(|point| point.number == manifest.number);
        let ended = newest.ended.iter().find(|ended| ended.number == manifest.number);
        let why_not = ended.map_or("replaced", |ended| ended.why.sentence());
        Self {
            number: manifest.number,
            what: Some(ListedManifest {
                taken_at: manifest.taken_at.clone(),
                files: objects.len(),
                bytes: objects.iter().map(|object| object.bytes).sum(),
                ledger_rows: manifest.ledger.rows,
                is_whole: manifest.is_whole(),
            }),
            is_newest,
            can_be_restored,
            why_not: (!can_be_restored).then_some(why_not),
        }
    }

    fn state(&self) -> String {
        let state = match self.why_not {
            Some(why_not) => return format!("cannot be restored: {why_not}"),
            None if self.is_newest => "newest",
            None => "can be restored",
        };
        let lacks = match &self.what {
            Some(what) if !what.is_whole => ", something is missing or damaged",
            _ => "",
        };
        format!("{state}{lacks}")
    }
}

fn list(args: &Args, from: Location) -> Result<ExitCode> {
    let read = Repository::open_to_list(from)?.manifests()?.into_iter();
    let manifests = read.collect::<crate::support::error::Result<Vec<_>>>()?;
    let newest = manifests.last();
    let listed = manifests.iter().zip(newest.into_iter().cycle());
    let mut all: Vec<Listed> = listed
        .map(|(saved, newest)| Listed::of(&saved.manifest, &newest.manifest))
        .collect();
    let ended = newest.iter().flat_map(|newest| &newest.manifest.ended);
    let is_gone = |one: &&Ended| manifests.iter().all(|saved| saved.manifest.number != one.number);
    all.extend(ended.filter(is_gone).map(Listed::gone));
    all.sort_unstable_by_key(|one| one.number);
    report(args, &all, || {
        let mut table = Table::new(&["backup", "taken at", "files", "bytes", "ledger rows", "state"]);
        for one in &all {
            let what = one.what.as_ref();
            let cell = |text: fn(&ListedManifest) -> String| what.map_or_else(String::new, text);
            table.row([
                one.number.to_string(),
                cell(|what| what.taken_at.clone()),
                cell(|what| what.files.to_string()),
                cell(|what| grouped_size(what.bytes)),
                cell(|what| grouped_size(what.ledger_rows)),
                one.state(),
            ]);
        }
        table.text()
    });
    Ok(ExitCode::Done)
}

fn checked_text(from: &Location, checked: &Checked) -> String {
    let mut text = format!(
        "backup {} of {} in {from}, {}: {}, {} bytes, {}, {}: ",
        checked.number,
        checked.taken_at,
        match checked.points {
            0 => "no earlier one".to_owned(),
            points => counted(points, "earlier one"),
        },
        counted(checked.files, "file"),
        grouped_size(checked.bytes),
        counted(checked.ledger_rows, "ledger row"),
        counted(checked.manifests, "manifest"),
    );
    text.push_str(match (checked.differences.is_empty(), checked.is_decrypted) {
        (true, true) => "all agree\n",
        (true, false) => "all agree with what was stored; encrypted, and not opened without an identity\n",
        (false, _) => "DIFFERENCES:\n",
    });
    text.extend(checked.differences.iter().map(|difference| format!("  {difference}\n")));
    text
}

/// What was restored, and whether it proves itself.
#[derive(Serialize)]
struct RestoredAndVerified<'a> {
    #[serde(flatten)]
    restored: &'a Restored,
    verified: &'a Verified,
}

/// The time by which a backup was made: an instant, or a day (UTC) to its end.
pub fn time_of_backup(text: &str) -> std::result::Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let day: Option<NaiveDate> = text.parse().ok();
    let end = day.and_then(|day| day.and_hms_opt(23, 59, 59));
    end.map(|end| end.and_utc())
        .ok_or_else(|| "must be a day or an instant, such as 2026-11-30 or 2026-11-30T06:00:00Z".to_owned())
}

/// Restores, and verifies what is there then.
pub async fn run_restore(
    args: &Args,
    from: &Path,
    identity: Option<&PathBuf>,
    wanted: (Point, Clock),
) -> Result<ExitCode> {
    let Named {
        data_dir,
        ledger,
        mut settings,
    } = settings_of(args)?;
    open_with(&mut settings, identity);
    restore_and_verify(args, from, wanted, (&data_dir, ledger.as_deref()), settings).await
}

/// Whether a backup can be restored, tried out. What was restored is deleted, also when it does not agree.
async fn drill(args: &Args, from: &Path, work: Option<&Path>, clock: Clock, settings: Settings) -> Result<ExitCode> {
    // Nobody else may read it, and it goes with this value.
    let scratch;
    let folder = if let Some(work) = work {
        work.to_owned()
    } else {
        scratch = ScratchFolder::make()?;
        scratch.path().join("books")
    };
    if folder.exists() {
        return Err(Error::Usage(format!("{} exists: name a new folder", folder.display())).into());
    }
    let settings = Settings { drop: None, ..settings };
    let outcome = restore_and_verify(args, from, (Point::Newest, clock), (&folder, None), settings).await;
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("deleting {}", folder.display()))?;
    }
    outcome
}

async fn restore_and_verify(
    args: &Args,
    from: &Path,
    wanted: (Point, Clock),
    (data_dir, ledger): (&Path, Option<&str>),
    settings: Settings,
) -> Result<ExitCode> {
    let restored = Box::pin(restore_point(from, wanted, data_dir, ledger, &settings)).await?;
    let clock = wanted.1;
    let mut books = Books::open_there(data_dir, ledger, clock, settings).await?;
    if !args.json {
        books.progress = Progress::on_terminal();
    }
    let verified = verify(&books).await;
    books.ledger.close().await;
    let verified = verified?;
    let told = RestoredAndVerified {
        restored: &restored,
        verified: &verified,
    };
    report(args, &told, || restored_text(&restored) + &print::verified(&verified));
    Ok(ExitCode::unless(verified.differences.is_empty(), ExitCode::Unbalanced))
}

fn restored_text(restored: &Restored) -> String {
    let mut text = format!(
        "restored backup {} of {} into {}: {}, {} bytes, {} into {}\n",
        restored.number,
        restored.taken_at,
        restored.folder,
        counted(restored.files, "file"),
        grouped_size(restored.bytes),
        counted(restored.ledger_rows, "ledger row"),
        restored.engine,
    );
    if let Some(left_out) = &restored.left_out {
        text.push_str(&format!(
            "left out what had expired by backup {} of {}: {}\n",
            left_out.newest,
            left_out.newest_taken_at,
            counted(left_out.files, "file")
        ));
    }
    for sentence in restored.missing.iter().chain(&restored.damaged) {
        text.push_str(&format!("when it was backed up: {sentence}\n"));
    }
    text
}
