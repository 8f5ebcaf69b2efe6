//! One command: what it calls, what it prints, its exit code.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;
use chrono::NaiveDate;
use serde::Serialize;

use super::args::{Args, Command, RateCardCommand};
use super::ingest;
use super::ingest::Sender;
use super::settings::open_books;
use super::source::args::SourceCommand;
use super::usage::{show_statements, show_usage};
use super::writes::run_admitted;
use super::{
    account, account_end, adjustment, backup, conflict, environment, erase, explain, first_day, manual, print, pull,
    quarantine, rate_card, rate_card_diff, retention, source, void,
};
use crate::backup::restore::Point;
use crate::catalog::account::Accounts;
use crate::catalog::account::store::load_accounts;
use crate::context::Books;
use crate::context::find_books::DEMO_DATA_DIR;
use crate::decisions::conflict::at_close::{ClosedOver, closed_over};
use crate::demo;
use crate::inspect;
use crate::nightly;
use crate::nightly::report as night_report;
use crate::pipeline::close::close;
use crate::pipeline::close::draft::draft_open_periods;
use crate::pipeline::export::{export_again, export_new};
use crate::pipeline::meter::{meter, recount};
use crate::pipeline::retention::{Expired, expire, policy};
use crate::sources::expire::expire_configuration;
use crate::storage::ledger::{Lease, Schema, audit_trail};
use crate::support::clock::Clock;
use crate::support::error::exit_code::ExitCode;
use crate::support::table::counted;

/// Runs the command and returns its exit code.
pub async fn run(args: &Args) -> Result<ExitCode> {
    environment::refuse_unknown()?;
    let clock = args.as_of.map_or_else(|| Ok(Clock::system()), Clock::as_of)?;
    if let Command::RateCard { command } = &args.command {
        match command {
            RateCardCommand::Check { files } => return rate_card::check(args, files),
            RateCardCommand::Schema => return Ok(rate_card::print_schema()),
            RateCardCommand::Diff(diff) if diff.names_files_alone() => return rate_card_diff::of_files(args, diff),
            _ => {}
        }
    }
    if let Command::Source {
        command: SourceCommand::Check { files },
    } = &args.command
    {
        return source::check(args, files);
    }
    if let Command::Backup(backup) = &args.command
        && let Some(command) = backup.without_books()
    {
        return backup::about(args, command, clock).await;
    }
    match &args.command {
        Command::Demo { records, seed } => return Box::pin(run_demo(args, *seed, *records)).await,
        Command::Completions { shell } => return Ok(manual::print_completions(*shell)),
        Command::Man { dir } => return manual::write_pages(dir.as_deref()),
        Command::Restore {
            from,
            to_time,
            to,
            identity,
        } => {
            let point = match (to_time, to) {
                (Some(time), _) => Point::At(*time),
                (None, Some(number)) => Point::Number(*number),
                (None, None) => Point::Newest,
            };
            return Box::pin(backup::run_restore(args, from, identity.as_ref(), (point, clock))).await;
        }
        _ => {}
    }
    let mut books = open_books(args, clock).await?;
    let code = run_admitted(args, &mut books).await;
    books.ledger.close().await;
    code
}

pub(super) async fn run_with_books(args: &Args, books: &Books) -> Result<ExitCode> {
    match &args.command {
        Command::Ingest {
            files,
            source,
            again_as,
            format,
        } => {
            let sender = Sender {
                source: source.as_deref(),
                again_as: again_as.as_deref(),
            };
            return ingest::run(args, books, files, sender, *format).await;
        }
        Command::Pull { sources, follow: true } => return Box::pin(pull::follow(args, books, sources)).await,
        Command::Pull { sources, follow: false } => return Box::pin(pull::once(args, books, sources)).await,
        Command::Source { command } => return Box::pin(source::run(args, books, command)).await,
        Command::ReadAlone(alone) => ingest::read_alone(books, alone).await?,
        Command::Nightly => {
            let night = nightly::nightly(books).await?;
            report(args, &night, || night_report::night(&night));
            return Ok(night.exit_code());
        }
        Command::Meter { rebuild: true } => return recount(args, books).await,
        Command::Meter { rebuild: false } => {
            let lease = Lease::take(&books.ledger, "meter").await?;
            let metered = meter(books, &lease).await;
            lease.release().await?;
            let (metered, _) = metered?;
            report(args, &metered, || night_report::metered(&metered));
        }
        Command::Close => return run_close(args, books).await,
        Command::Export {
            again: Some(number),
            to,
        } => {
            let lease = Lease::take(&books.ledger, "export").await?;
            let exported = export_again(books, *number, to.as_deref()).await;
            lease.release().await?;
            let exported = [exported?];
            report(args, &exported, || night_report::exported(&exported));
        }
        Command::Export { again: None, .. } => {
            let lease = Lease::take(&books.ledger, "export").await?;
            let exported = export_new(books, &lease).await;
            lease.release().await?;
            let exported = exported?;
            report(args, &exported, || night_report::exported(&exported));
        }
        Command::Expire { waive, reason } => return run_expire(args, books, *waive, reason.as_deref()).await,
        Command::Usage { accounts, span } => show_usage(args, books, accounts, *span).await?,
        Command::Statement { accounts, span } => show_statements(args, books, accounts, *span).await?,
        Command::Explain {
            statement,
            line,
            records,
            full,
        } => {
            let limits = explain::limits(*records, line.is_some() && !full);
            explain::run(args, books, statement, *line, limits).await?;
        }
        Command::RateCard { command } => rate_card::run(args, books, command).await?,
        Command::Account { command } => account::run(args, books, command).await?,
        Command::Terminate(end) => account_end::run_terminate(args, books, end).await?,
        Command::Reinstate { uin, reason, dry_run } => {
            account_end::run_reinstate(args, books, *uin, reason, *dry_run).await?;
        }
        Command::Erase(erase) => return Box::pin(erase::run(args, books, erase)).await,
        Command::Quarantine { command } => return quarantine::run(args, books, command).await,
        Command::Conflict { command } => conflict::run(args, books, command).await?,
        Command::FirstDay { day, reason } => first_day::run(args, books, *day, reason.as_deref()).await?,
        Command::Adjustment { command } => adjustment::run(args, books, command).await?,
        Command::Void { command } => void::run(args, books, command).await?,
        Command::Audit => {
            let trail = audit_trail(&books.ledger).await?;
            report(args, &trail, || print::audit(&trail));
        }
        Command::Verify { since } => return verify(args, books, *since).await,
        Command::Status { short: true, max_age } => {
            let health = inspect::health::health(books, *max_age).await?;
            report(args, &health, || health.line());
            return Ok(health.exit_code());
        }
        Command::Status { short: false, .. } => {
            let status = inspect::status::status(books).await?;
            report(args, &status, || print::status(&status));
        }
        Command::Retention(retention) => retention::run(args, books, retention).await?,
        Command::Backup(backup) => return Box::pin(backup::create(args, books, backup)).await,
        Command::RewriteFiles => return rewrite_files(args, books).await,
        Command::Migrate => {
            let migrated = Migrated::of(books);
            report(args, &migrated, || migrated.text());
        }
        Command::Demo { .. } | Command::Restore { .. } | Command::Completions { .. } | Command::Man { .. } => {
            unreachable!("run before the books are opened")
        }
    }
    Ok(ExitCode::Done)
}

/// What a close did, and the open conflicts of the periods that it closed.
#[derive(Serialize)]
struct ClosedAndOver<'a> {
    #[serde(flatten)]
    closed: &'a crate::pipeline::close::Closed,
    #[serde(rename = "closed_over")]
    over: &'a ClosedOver,
}

/// What opening the ledger did to its tables.
#[derive(Serialize)]
struct Migrated {
    engine: &'static str,
    #[serde(flatten)]
    schema: Schema,
}

impl Migrated {
    fn of(books: &Books) -> Self {
        Self {
            engine: books.ledger.engine().name(),
            schema: books.ledger.schema(),
        }
    }

    fn text(&self) -> String {
        let (engine, Schema { before, version }) = (self.engine, self.schema);
        match before {
            0 => format!("created the tables of the {engine} ledger: version {version}\n"),
            _ if before < version => {
                format!("upgraded the tables of the {engine} ledger from version {before} to {version}\n")
            }
            _ => format!("the tables of the {engine} ledger are up to date: version {version}\n"),
        }
    }
}

/// Prints one JSON document, or text.
pub(super) fn report<T: Serialize + ?Sized>(args: &Args, value: &T, text: impl FnOnce() -> String) {
    if args.json {
        print::out(&format!(
            "{}\n",
            serde_json::to_string(value).expect("reports are plain data")
        ));
    } else {
        print::out(&text());
    }
}

/// Closes what is due, and names the open conflicts of the periods that it closed.
async fn run_close(args: &Args, books: &Books) -> Result<ExitCode> {
    let lease = Lease::take(&books.ledger, "close").await?;
    let closed = meter_and_close(books, &lease).await;
    lease.release().await?;
    let closed = closed?;
    let over = closed_over(books, &closed).await?;
    let told = ClosedAndOver {
        closed: &closed,
        over: &over,
    };
    report(args, &told, || {
        night_report::closed(&closed) + &night_report::closed_over(&over)
    });
    Ok(ExitCode::unless(closed.blocked.is_empty(), ExitCode::NeedsPerson))
}

/// What is committed when a close starts belongs into it.
async fn meter_and_close(
    books: &Books,
    lease: &Lease,
) -> crate::support::error::Result<crate::pipeline::close::Closed> {
    let (_, mut accounts) = meter(books, lease).await?;
    let closed = close(books, lease, &mut accounts, &BTreeSet::new()).await?;
    draft_open_periods(books, lease, &accounts, &closed).await?;
    Ok(closed)
}

async fn run_demo(args: &Args, seed: u64, records: usize) -> Result<ExitCode> {
    let folder = args.data_dir.clone().unwrap_or_else(|| PathBuf::from(DEMO_DATA_DIR));
    let mut told = |line: &str| {
        if !args.json {
            print::out(&format!("{line}\n"));
        }
    };
    let wanted = demo::Wanted {
        folder,
        ledger: args.ledger.clone(),
        seed,
        records,
    };
    // Its nights are a large future.
    let outcome = Box::pin(demo::run(&wanted, &mut told)).await?;
    report(args, &outcome, || outcome.text());
    Ok(ExitCode::Done)
}

async fn recount(args: &Args, books: &Books) -> Result<ExitCode> {
    let recount = recount::recount(books, &std::collections::HashSet::new()).await?;
    report(args, &recount, || {
        let same = if recount.differences.is_empty() {
            "usage is the same"
        } else {
            "usage DIFFERS:"
        };
        format!(
            "recomputed from {}: {same} ({} compared)\n{}",
            counted(recount.rows, "raw record"),
            counted(recount.compared, "sum"),
            recount
                .differences
                .iter()
                .map(|d| format!("  {d}\n"))
                .collect::<String>()
        )
    });
    Ok(ExitCode::unless(recount.differences.is_empty(), ExitCode::Unbalanced))
}

async fn verify(args: &Args, books: &Books, since: Option<NaiveDate>) -> Result<ExitCode> {
    let scope = crate::inspect::verify::Scope { since };
    let verified = crate::inspect::verify::verify_scope(books, scope).await?;
    report(args, &verified, || print::verified(&verified));
    Ok(ExitCode::unless(verified.differences.is_empty(), ExitCode::Unbalanced))
}

async fn rewrite_files(args: &Args, books: &Books) -> Result<ExitCode> {
    let lease = Lease::take(&books.ledger, "rewrite").await?;
    let rewritten = crate::pipeline::maintenance::rewrite_all(books, &lease).await;
    lease.release().await?;
    let rewritten = rewritten?;
    report(args, &rewritten, || {
        let mut text = night_report::rewritten(&rewritten);
        text.extend(
            rewritten
                .damaged
                .iter()
                .map(|damaged| format!("ACTION REQUIRED: not rewritten: {damaged}\n")),
        );
        text
    });
    Ok(ExitCode::unless(rewritten.damaged.is_empty(), ExitCode::NeedsPerson))
}

async fn expire_all(books: &Books, lease: &Lease, accounts: &Accounts) -> crate::support::error::Result<Expired> {
    let mut expired = expire(books, lease, accounts).await?;
    expired.configuration = expire_configuration(books, lease).await?;
    Ok(expired)
}

async fn run_expire(args: &Args, books: &Books, waive: Option<NaiveDate>, reason: Option<&str>) -> Result<ExitCode> {
    if let Some(day) = waive {
        crate::pipeline::retention::store::waive(books, day, reason.expect("clap asks for a reason with --waive"))
            .await?;
        report(args, &serde_json::json!({ "waived": day.to_string() }), || {
            format!("{day} is waived\n")
        });
        return Ok(ExitCode::Done);
    }
    policy::check(books).await?;
    let lease = Lease::take(&books.ledger, "expire").await?;
    let expired = match load_accounts(&books.ledger).await {
        Ok(accounts) => expire_all(books, &lease, &accounts).await,
        Err(error) => Err(error),
    };
    let swept = crate::pipeline::maintenance::remove_orphans::sweep(books).await;
    lease.release().await?;
    let expired = expired?;
    swept?;
    report(args, &expired, || night_report::expired(&expired));
    Ok(ExitCode::unless(!expired.needs_person(), ExitCode::NeedsPerson))
}
