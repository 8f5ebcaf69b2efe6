//! The command line: reads settings, runs one command, prints its report, returns its exit code.

mod account;
mod account_end;
mod account_profile;
mod adjustment;
mod args;
mod backup;
mod conflict;
mod environment;
mod erase;
mod explain;
mod first_day;
mod ingest;
mod manual;
mod parse;
mod price_change;
mod print;
mod pull;
mod quarantine;
mod rate_card;
mod rate_card_diff;
mod retention;
mod run;
mod settings;
mod source;
mod source_settings;
mod usage;
mod void;
mod writes;

use std::io::IsTerminal as _;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use args::{Args, Command, LogFormat};

use crate::support::error::exit_code::ExitCode;
use crate::support::threads::give_way;

/// Whether threads that compute have others to give way to: those of this program that write to the ledger.
fn is_long_at_the_ledger(command: &Command) -> bool {
    matches!(command, Command::Nightly | Command::Meter { .. } | Command::Close)
}

/// What is told to who types the name alone. Nothing was done, so the exit code is that of wrong usage.
const FIRST_STEPS: &str = "\
tallybook: usage records in, exact statements out

Try it; it needs no service and no file, and takes less than a minute:
    tallybook demo

With a usage file of your own (NDJSON, CSV or Parquet) and rate cards:
    tallybook ingest usage.csv
    tallybook nightly
    tallybook statement --all

A first day, step by step: docs/start.md. All commands: `tallybook help`.
";

/// Runs the program.
pub fn main() -> std::process::ExitCode {
    if std::env::args_os().len() < 2 {
        eprint!("{FIRST_STEPS}");
        return ExitCode::Usage.into();
    }
    let args = Args::parse();
    start_log(&args);
    if is_long_at_the_ledger(&args.command) {
        let computing = rayon::ThreadPoolBuilder::new().start_handler(|_| give_way());
        if let Err(error) = computing.build_global() {
            return failed(&args, &format!("starting threads: {error}"), ExitCode::Failed);
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&args, &format!("starting threads: {error}"), ExitCode::Failed),
    };
    match runtime.block_on(run::run(&args)) {
        Ok(ExitCode::Done) if print::is_output_lost() => ExitCode::Failed.into(),
        Ok(code) => code.into(),
        Err(error) => {
            let code = error
                .downcast_ref::<crate::support::error::Error>()
                .map_or(ExitCode::Failed, crate::support::error::Error::exit_code);
            failed(&args, &whole_text(&error), code)
        }
    }
}

/// An error with its causes, each said once.
fn whole_text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn failed(args: &Args, what: &str, code: ExitCode) -> std::process::ExitCode {
    if args.json {
        print::out(&format!(
            "{}\n",
            serde_json::json!({ "error": what, "exit_code": code })
        ));
    }
    eprintln!("tallybook: {what}");
    code.into()
}

/// What is logged when `RUST_LOG` does not say it. A server that is slow to connect is nothing to tell a person who asks for a
/// statement; one that does not answer is an error. Clients of brokers log each error that they also return: the report of the pull has it.
const LOGGED: &str = "warn,sqlx=error,lapin=off,async_nats=off,librdkafka=off";

/// Logs go to standard error; `RUST_LOG` says how much.
fn start_log(args: &Args) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Plain => log.with_target(false).init(),
        LogFormat::Json => log.json().init(),
    }
}
