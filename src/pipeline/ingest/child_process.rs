//! A reading in a process of its own, which may end without ending this one.

use std::process::{Command, Output, Stdio};

use super::earlier_read::Earlier;
use super::input::Input;
use super::{Ingested, find_known};
use crate::context::{Books, ChildReader};
use crate::support::error::{AtPath as _, Error, Result};

/// Has an input read and committed by a child. `is_handed_over`: by a source that is pulled.
///
/// # Errors
/// [`Error::SetAside`] when the child dies of it.
pub async fn ingest_in_child(
    books: &Books,
    child: &ChildReader,
    input: &Input,
    source: &str,
    earlier: Option<Earlier>,
    is_handed_over: bool,
) -> Result<Ingested> {
    tracing::warn!(
        input = input.name,
        "it crashed the program twice and is now read in a separate process"
    );
    let mut command = command(child, input, source, earlier);
    if is_handed_over {
        command.arg("--handed-over");
    }
    let output = tokio::task::block_in_place(|| command.output()).at(&child.program)?;
    if let Some(ingested) = find_known(books, input, source).await? {
        return Ok(Ingested {
            already: false,
            known_as: None,
            left_out: input.folder().map_or_else(Vec::new, |folder| folder.left_out.clone()),
            ..ingested
        });
    }
    Err(error_of(input, &output))
}

fn command(child: &ChildReader, input: &Input, source: &str, earlier: Option<Earlier>) -> Command {
    let mut command = Command::new(&child.program);
    command.args(&child.args).arg("read-alone");
    command.args([
        "--named",
        &input.name,
        "--source",
        source,
        "--format",
        input.format.text(),
    ]);
    if let Some(earlier) = earlier.filter(|earlier| earlier.in_place) {
        command.args(["--first-batch", &earlier.batch.to_string()]);
    }
    if input.comes_again() {
        command.arg("--again");
    }
    if input.is_by_line() {
        command.arg("--by-line");
    }
    if let Some(path) = input.path() {
        command.arg(path);
    }
    if let Some(ledger) = &child.ledger {
        command.env("TALLYBOOK_LEDGER", ledger);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn error_of(input: &Input, output: &Output) -> Error {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing");
    let last = last.strip_prefix("tallybook: ").unwrap_or(last).to_owned();
    match output.status.code() {
        Some(5) => Error::Overtaken(last),
        Some(3) => Error::NeedsPerson(last),
        Some(_) => Error::Usage(last),
        None if was_asked_to_end(output) => Error::Overtaken(format!(
            "{}: the process that read it was terminated; nothing was ingested: run the same command again",
            input.name
        )),
        None => Error::SetAside {
            input: input.name.clone(),
            what: format!(
                "reading it crashed the program three times, the last time in a separate process ({last}); nothing was ingested. \
                 The file is damaged, or needs more memory than is available: have it created again"
            ),
        },
    }
}

#[cfg(unix)]
fn was_asked_to_end(output: &Output) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    /// `SIGHUP`, `SIGINT`, `SIGTERM`: the same numbers on every Unix.
    const ASKED: [i32; 3] = [1, 2, 15];
    output.status.signal().is_some_and(|signal| ASKED.contains(&signal))
}

#[cfg(not(unix))]
fn was_asked_to_end(_output: &Output) -> bool {
    false
}
