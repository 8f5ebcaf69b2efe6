//! Named points at which a test stops the process, and kills it there or lets it go on. Only debug builds have them: a
//! release build has neither the names nor the look at the environment.
//!
//! - `TALLYBOOK_FAULT_LOG=FILE` writes the name of every point that is passed, one per line.
//! - `TALLYBOOK_STOP_AT=NAME` or `NAME#3` says `stopped at ...` on standard error at the first (third) pass and waits for a
//!   line on standard input: time enough to kill the process for real, or to let another one overtake it.
//! - `TALLYBOOK_LOSE_ANSWER_AT=STEP` lets a commit happen and reports that the ledger died before it answered.
//! - `TALLYBOOK_ABORT_READING=NAME` ends the process when it reads an input whose name ends so, as a decoder does that asks for more
//!   memory than there is.
//! - `TALLYBOOK_MACHINE_CLOCK=RFC3339` is what the system clock says. Then `TALLYBOOK_SERVER_CLOCK=RFC3339` is what the ledger
//!   server's says; without it, no server is asked.

use std::path::Path;

use chrono::{DateTime, Utc};

/// The variables that tests set.
#[cfg(debug_assertions)]
pub const VARIABLES: &[&str] = &[
    "TALLYBOOK_FAULT_LOG",
    "TALLYBOOK_STOP_AT",
    "TALLYBOOK_ABORT_READING",
    "TALLYBOOK_LOSE_ANSWER_AT",
    "TALLYBOOK_MACHINE_CLOCK",
    "TALLYBOOK_SERVER_CLOCK",
];

/// The variables that tests set: none in a release build.
#[cfg(not(debug_assertions))]
pub const VARIABLES: &[&str] = &[];

/// A point between two things that must not be torn apart.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    injected::point(name);
}

/// A point between two things that must not be torn apart; nothing in a release build.
#[cfg(not(debug_assertions))]
pub fn point(_name: &str) {}

/// A point after something was done to a file, named by what and by the folder, such as `synced raw`.
#[cfg(debug_assertions)]
pub fn file(done: &str, path: &Path) {
    injected::point(&format!("{done} {}", injected::folder_of(path)));
}

/// A point after something was done to a file; nothing in a release build.
#[cfg(not(debug_assertions))]
pub fn file(_done: &str, _path: &Path) {}

/// Whether the answer of this commit is to be lost.
#[cfg(debug_assertions)]
pub fn loses_answer(step: &str) -> bool {
    std::env::var("TALLYBOOK_LOSE_ANSWER_AT").is_ok_and(|at| at == step)
}

/// Whether the answer of this commit is to be lost; never in a release build.
#[cfg(not(debug_assertions))]
pub fn loses_answer(_step: &str) -> bool {
    false
}

/// An input is being read.
#[cfg(debug_assertions)]
pub fn reading(name: &str) {
    if std::env::var("TALLYBOOK_ABORT_READING").is_ok_and(|ending| name.ends_with(&ending)) {
        std::process::abort();
    }
}

/// An input is being read; nothing in a release build.
#[cfg(not(debug_assertions))]
pub fn reading(_name: &str) {}

/// What the machine's clock is to say.
#[cfg(debug_assertions)]
pub fn machine_clock() -> Option<DateTime<Utc>> {
    injected::clock("TALLYBOOK_MACHINE_CLOCK")
}

/// What the machine's clock is to say: what it says, in a release build.
#[cfg(not(debug_assertions))]
pub fn machine_clock() -> Option<DateTime<Utc>> {
    None
}

/// What the ledger server's clock is to say.
#[cfg(debug_assertions)]
pub fn server_clock() -> Option<DateTime<Utc>> {
    injected::clock("TALLYBOOK_SERVER_CLOCK")
}

/// What the ledger server's clock is to say: what it says, in a release build.
#[cfg(not(debug_assertions))]
pub fn server_clock() -> Option<DateTime<Utc>> {
    None
}

#[cfg(debug_assertions)]
mod injected {
    use std::collections::HashMap;
    use std::io::Write as _;
    use std::path::Path;
    use std::sync::{Mutex, PoisonError};

    use chrono::{DateTime, Utc};

    /// What a clock is to say.
    pub fn clock(variable: &str) -> Option<DateTime<Utc>> {
        let text = std::env::var(variable).ok()?;
        Some(text.parse().expect("the test's clock is an instant"))
    }

    static PASSED: Mutex<Option<HashMap<String, u32>>> = Mutex::new(None);

    /// Of the books, and of a folder of backups.
    const FOLDERS: [&str; 15] = [
        "ledger",
        "quarantine",
        "originals",
        "manifests",
        "raw",
        "log",
        "payload",
        "keys",
        "usage",
        "unmetered",
        "spool",
        "exports",
        "done",
        "refused",
        "drop",
    ];

    /// The folder that a path lies in.
    pub fn folder_of(path: &Path) -> &'static str {
        let mut parts = path.iter().rev().filter_map(|part| part.to_str());
        parts
            .find_map(|part| FOLDERS.into_iter().find(|folder| *folder == part))
            .unwrap_or("books")
    }

    pub fn point(name: &str) {
        let log = std::env::var_os("TALLYBOOK_FAULT_LOG");
        let stop = std::env::var("TALLYBOOK_STOP_AT").ok();
        if log.is_none() && stop.is_none() {
            return;
        }
        // Held while the process waits: no other thread passes a point meanwhile.
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        let times = passed.get_or_insert_default().entry(name.to_owned()).or_default();
        *times += 1;
        if let Some(log) = log {
            let mut log = std::fs::File::options()
                .create(true)
                .append(true)
                .open(log)
                .expect("the test's log can be opened");
            writeln!(log, "{name}").expect("the test's log takes a line");
        }
        if let Some(stop) = stop
            && (stop == *name && *times == 1 || stop == format!("{name}#{times}"))
        {
            eprintln!("stopped at {name}#{times}");
            let _any_line = std::io::stdin().read_line(&mut String::new());
        }
    }
}
