//! `pull`: once, or until told to stop.

use anyhow::Result;
use tokio::sync::watch;

use super::args::Args;
use super::print;
use super::run::report;
use crate::context::Books;
use crate::nightly::report as night_report;
use crate::sources::follow;
use crate::sources::pull::{Pulled, State, pull};
use crate::support::error::exit_code::ExitCode;

/// Pulls once. A source that waits for a person, or whose records do, ends it with that code; one that is away at this time with 1.
pub async fn once(args: &Args, books: &Books, names: &[String]) -> Result<ExitCode> {
    let pulled = pull(books, names).await?;
    report(args, &pulled, || text(&pulled));
    Ok(exit_code(&pulled))
}

fn text(pulled: &[Pulled]) -> String {
    if pulled.is_empty() {
        return "no source is pulled: none is defined, or all are disabled or of kind \"files\"\n".to_owned();
    }
    let required = pulled.iter().flat_map(required);
    pulled.iter().map(night_report::pulled).chain(required).collect()
}

/// What a person must do, a line each.
fn required(pulled: &Pulled) -> Vec<String> {
    let told = pulled.alarms.iter().cloned().chain(pulled.needs_person());
    told.map(|what| format!("ACTION REQUIRED: {what}\n")).collect()
}

fn exit_code(pulled: &[Pulled]) -> ExitCode {
    let is = |state: State| pulled.iter().any(|one| one.state == state);
    if is(State::NeedsPerson)
        || pulled
            .iter()
            .any(|one| !one.alarms.is_empty() || !one.refused.is_empty())
    {
        return ExitCode::NeedsPerson;
    }
    if is(State::Failed) || is(State::Unavailable) {
        return ExitCode::Failed;
    }
    if is(State::Busy) {
        ExitCode::Busy
    } else {
        ExitCode::Done
    }
}

/// Pulls until interrupted. A source that cannot be followed before somebody corrects its definition ends it with that code.
pub async fn follow(args: &Args, books: &Books, names: &[String]) -> Result<ExitCode> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        interrupted().await;
        stop.send(true).ok();
    });
    let as_json = args.json;
    let tell = move |pulled: &Pulled| {
        if as_json {
            print::out(&format!(
                "{}\n",
                serde_json::to_string(pulled).expect("reports are plain data")
            ));
        } else {
            print::out(&(night_report::pulled(pulled) + &required(pulled).concat()));
        }
    };
    let all_followed = follow::follow(books, names, stopped, tell).await?;
    Ok(ExitCode::unless(all_followed, ExitCode::NeedsPerson))
}

/// Waits for Ctrl-C or the end that a service manager asks for.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => drop(terminated.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
