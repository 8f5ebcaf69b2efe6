//! The real program as a process: run to its end, or stopped at a point and then killed or let go on.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

/// `SIGKILL`, the same number on every Unix.
const KILLED: i32 = 9;

/// How a process ended, and what it said on standard error.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub said: String,
}

/// What the system clock says: later than every night of these tests, which are replays.
pub const MACHINE_CLOCK: &str = "2026-12-01T00:00:00Z";

/// The program in a folder: books in `books`, rate cards in `cards`, and nothing taken from this process's environment.
pub fn program(path: &Path, as_of: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command.current_dir(path).env_clear();
    command.args([
        "--data-dir",
        "books",
        "--rate-cards",
        "cards",
        "--who",
        "test",
        "--as-of",
        as_of,
    ]);
    command.args(args).stdout(Stdio::null());
    command.env("TALLYBOOK_DEFAULT_CARD", "c");
    command.env("TALLYBOOK_MACHINE_CLOCK", MACHINE_CLOCK);
    command.env("TALLYBOOK_DROP_REST_S", "0");
    if let Some(ledger) = crate::ledgers::url(path) {
        command.env("TALLYBOOK_LEDGER", ledger);
    }
    command
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ended {
    let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    Ended {
        code: output.status.code(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A process that stands still at a point, waiting for a line on its standard input.
pub struct Stopped {
    child: Child,
    said: BufReader<ChildStderr>,
}

/// Starts a command and waits until it stands at the point, such as `ingest.before_commit` or `written raw#2`. When it ends
/// before it comes there, that is the error.
pub fn stop_at(command: &mut Command, point: &str) -> Result<Stopped, Ended> {
    command.env("TALLYBOOK_STOP_AT", point);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut stopped = Stopped::start(command);
    let mut before = String::new();
    loop {
        let mut line = String::new();
        if stopped.said.read_line(&mut line).unwrap() == 0 {
            let code = stopped.child.wait().unwrap().code();
            return Err(Ended { code, said: before });
        }
        if line.starts_with("stopped at ") {
            return Ok(stopped);
        }
        before.push_str(&line);
    }
}

impl Stopped {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
        Self { child, said }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process where it stands. It gets no chance to do anything more.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(KILLED));
    }

    /// Lets the process go on, and waits for its end.
    pub fn go_on(self) -> Ended {
        self.go_on_until(None, || ())
    }

    /// Lets the process go on, does something when it has said these words, and waits for its end.
    pub fn go_on_until(mut self, words: Option<&str>, act: impl FnOnce()) -> Ended {
        let mut input = self.child.stdin.take().expect("standard input is a pipe");
        input.write_all(b"go on\n").unwrap();
        drop(input);
        let mut said = String::new();
        if let Some(words) = words {
            while !said.contains(words) && self.said.read_line(&mut said).unwrap() > 0 {}
            act();
        }
        self.said.read_to_string(&mut said).unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, said }
    }

    /// Freezes the whole process, its heartbeat too, or thaws it.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let id = self.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Stopped {
    /// A test that fails leaves no process behind.
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
