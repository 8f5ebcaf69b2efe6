//! Commands that write: they are admitted by the machine's clock first.

use anyhow::Result;

use super::account_end::TerminateArgs;
use super::account_profile::{ImportArgs, SetArgs};
use super::args::{AccountCommand, AdjustmentCommand, Args, Command, ConflictCommand, RateCardCommand, VoidCommand};
use super::print;
use super::quarantine::args::QuarantineCommand;
use super::run::run_with_books;
use super::source::args::{PayloadsCommand, SourceCommand, TemplateCommand};
use crate::context::Books;
use crate::context::admission::admit;
use crate::context::first_day;
use crate::support::error::Error;
use crate::support::error::exit_code::ExitCode;

/// Whether a command changes nothing: no clock keeps it from going on.
fn only_reads(command: &Command) -> bool {
    match command {
        Command::Usage { .. }
        | Command::Statement { .. }
        | Command::Explain { .. }
        | Command::Audit
        | Command::Verify { .. }
        | Command::Status { .. }
        | Command::Migrate
        | Command::Backup(_)
        | Command::Meter { rebuild: true }
        | Command::Terminate(TerminateArgs { dry_run: true, .. })
        | Command::Reinstate { dry_run: true, .. }
        | Command::FirstDay { day: None, .. } => true,
        Command::RateCard { command } => matches!(
            command,
            RateCardCommand::Check { .. }
                | RateCardCommand::List
                | RateCardCommand::Show { .. }
                | RateCardCommand::Diff(_)
                | RateCardCommand::Schema
                | RateCardCommand::Import { dry_run: true, .. }
        ),
        Command::Account { command } => matches!(
            command,
            AccountCommand::List
                | AccountCommand::Show { .. }
                | AccountCommand::Certificate { .. }
                | AccountCommand::Add { dry_run: true, .. }
                | AccountCommand::Set(SetArgs { dry_run: true, .. })
                | AccountCommand::Import(ImportArgs { dry_run: true, .. })
        ),
        Command::Adjustment { command } => matches!(command, AdjustmentCommand::List { .. }),
        Command::Void { command } => matches!(command, VoidCommand::List { .. }),
        Command::Erase(erase) => !erase.writes(),
        Command::Retention(retention) => !retention.writes(),
        Command::Source { command } => !matches!(
            command,
            SourceCommand::Redrive { dry_run: false, .. }
                | SourceCommand::Payloads {
                    command: PayloadsCommand::Delete { .. },
                }
                | SourceCommand::Import
                | SourceCommand::Disable { .. }
                | SourceCommand::Enable { .. }
                | SourceCommand::Template {
                    command: TemplateCommand::Add { .. },
                }
        ),
        Command::Quarantine { command } => {
            use QuarantineCommand::{Alarms, List, Show};
            matches!(command, List { .. } | Show { .. } | Alarms { .. })
        }
        Command::Conflict { command } => {
            matches!(command, ConflictCommand::List { .. } | ConflictCommand::Show { .. })
        }
        _ => false,
    }
}

/// Whether a command goes on while the machine's clock is in doubt: what it does can be undone, or done again.
fn goes_on_in_doubt(command: &Command) -> bool {
    use QuarantineCommand::{Correct, Edit, Retry};
    let retries = |command: &QuarantineCommand| matches!(command, Retry { .. } | Edit { .. } | Correct { .. });
    match command {
        Command::Ingest { .. }
        | Command::ReadAlone(_)
        | Command::Pull { .. }
        | Command::Nightly
        | Command::Meter { .. } => true,
        Command::Quarantine { command } => retries(command),
        _ => false,
    }
}

/// Runs a command, one that writes as far as the machine's clock lets it.
pub(super) async fn run_admitted(args: &Args, books: &mut Books) -> Result<ExitCode> {
    if only_reads(&args.command) {
        return match args.accept_clock {
            Some(_) => Err(Error::Usage(
                "--accept-clock can only be used with a command that writes, such as nightly".to_owned(),
            )
            .into()),
            None => run_with_books(args, books).await,
        };
    }
    let admitted = admit(books, args.accept_clock).await?;
    first_day::check_setting(books).await?;
    let objection = books.clock.objection();
    if let Some(objection) = &objection
        && !goes_on_in_doubt(&args.command)
    {
        return Err(Error::NeedsPerson(objection.clone()).into());
    }
    for told in admitted.before_last.iter().chain(&objection) {
        tell(args, told);
    }
    let code = run_with_books(args, books).await?;
    let waits = objection.is_some() && code == ExitCode::Done;
    Ok(if waits { ExitCode::NeedsPerson } else { code })
}

/// In the first lines of what is printed; beside a machine-readable report, on standard error.
fn tell(args: &Args, sentence: &str) {
    if args.json {
        eprintln!("tallybook: {sentence}");
    } else {
        print::out(&format!("{sentence}\n"));
    }
}
