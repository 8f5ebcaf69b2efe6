//! A queue that is pulled by the real program, which dies at every point that it passes: within fetch, commit and acknowledgement, and
//! between them. The same pull again makes the books of an undisturbed one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use super::pulled::{NOW, SOURCE, exports, exports_of_a_file, records};
use crate::crashes::copy;
use crate::crashes::points::passes;
use crate::crashes::process::{program, run as run_program, stop_at};
use crate::world::{Place, real_cards};

/// Messages of a micro-batch, as the definition of a [`Feed`] has to say.
pub const BATCH: usize = 20;

/// Three micro-batches: each point of a batch is passed first, again, and last.
const RECORDS: usize = 3 * BATCH;

/// What every pull of a queue passes; a kind of queue has points of its own beside them.
const POINTS: [&str; 11] = [
    "source_lease.before_commit",
    "source_lease.after_commit",
    "fetched part",
    "intake.before_commit",
    "intake.after_commit",
    "ingest.before_commit",
    "ingest.after_commit",
    "committed part",
    "acknowledged part",
    "pull.before_commit",
    "pull.after_commit",
];

/// Pulls after a death, at most, until the queue is empty.
const PULLS_MAX: u32 = 20;

/// A queue of the test's own.
pub trait Feed {
    /// The definition of the source, in TOML without its name. Its micro-batches have [`BATCH`] messages.
    fn definition(&self) -> String;

    /// Puts messages into the queue.
    fn send(&self, records: &[String]);

    /// How many messages the queue still has, once nobody reads it. What a dead client took is delivered again from now on.
    fn left(&self) -> usize;
}

/// A feed, and a folder in which nothing was pulled yet.
pub struct Ground<F> {
    feed: F,
    dir: tempfile::TempDir,
}

impl<F: Feed> Ground<F> {
    pub fn lay(feed: F) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = format!("[source.{SOURCE}]\n{}\n", feed.definition());
        std::fs::write(dir.path().join("tallybook.toml"), settings).unwrap();
        lay_cards(dir.path());
        let ended = run_program(&mut command(dir.path(), &["source", "import"]));
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        std::fs::remove_file(dir.path().join("cards")).unwrap();
        Self { feed, dir }
    }

    pub fn feed(&self) -> &F {
        &self.feed
    }

    /// A copy of it, with messages in the queue.
    pub fn place(&self, records: &[String]) -> Place {
        let place = Place::new();
        copy(self.dir.path(), place.path());
        lay_cards(place.path());
        self.feed.send(records);
        place
    }

    /// How often a pull passes each point that nobody disturbs.
    fn undisturbed(&self, records: &[String], expected: &str) -> BTreeMap<String, u32> {
        let place = self.place(records);
        let log = place.path().join("points");
        let ended = run_program(pulling(&place).env("TALLYBOOK_FAULT_LOG", &log));
        assert_eq!((ended.code, self.feed.left()), (Some(0), 0), "{}", ended.said);
        assert!(exports(&place) == expected, "other exports than those of a file");
        let mut points = BTreeMap::new();
        for point in std::fs::read_to_string(log).unwrap().lines() {
            *points.entry(point.to_owned()).or_default() += 1;
        }
        points
    }

    /// Dies at a point, pulls again, and says what is not as it should be.
    fn die(&self, point: &str, records: &[String], expected: &str) -> Result<(), String> {
        let place = self.place(records);
        match stop_at(&mut pulling(&place), point) {
            Ok(stopped) => stopped.kill(),
            Err(ended) => return Err(format!("never came there: {ended:?}")),
        }
        self.pull_all(&place)?;
        if exports(&place) == expected {
            return Ok(());
        }
        Err("other exports than those of a file".to_owned())
    }

    /// Pulls until the queue is empty.
    pub fn pull_all(&self, place: &Place) -> Result<(), String> {
        let mut left = self.feed.left();
        for _ in 0..PULLS_MAX {
            let ended = run_program(&mut pulling(place));
            if ended.code != Some(0) {
                return Err(format!("pulled again: {ended:?}"));
            }
            left = self.feed.left();
            if left == 0 {
                return Ok(());
            }
        }
        Err(format!("{left} messages are left after {PULLS_MAX} pulls"))
    }
}

fn lay_cards(path: &Path) {
    std::os::unix::fs::symlink(real_cards(), path.join("cards")).unwrap();
}

/// The program in a folder, under the real cards.
fn command(path: &Path, args: &[&str]) -> Command {
    let mut command = program(path, NOW, args);
    command.env("TALLYBOOK_DEFAULT_CARD", "mps-cn");
    command
}

/// A pull of the source.
pub fn pulling(place: &Place) -> Command {
    command(place.path(), &["pull", SOURCE])
}

/// Kills the program at each point of a pull and pulls again. `own` are points that this kind of queue
/// passes. Two queues are killed side by side.
pub fn survives_a_kill_at_each_point<F: Feed + Send>(own: &[&str], make: impl Fn() -> F) {
    let records = records(RECORDS);
    let expected = exports_of_a_file(&records);
    let grounds = [Ground::lay(make()), Ground::lay(make())];
    let passed = grounds[0].undisturbed(&records, &expected);
    for point in POINTS.iter().chain(own) {
        assert!(passed.contains_key(*point), "{point} was not passed: {passed:?}");
    }
    let mut cases = Vec::new();
    for (point, &times) in &passed {
        cases.extend(passes(times).into_iter().map(|pass| format!("{point}#{pass}")));
    }
    let deaths = cases.len();
    let (cases, failed) = (Mutex::new(cases), Mutex::new(Vec::new()));
    let work = |ground: Ground<F>| {
        loop {
            let Some(case) = cases.lock().unwrap().pop() else {
                return;
            };
            if let Err(why) = ground.die(&case, &records, &expected) {
                failed.lock().unwrap().push(format!("killed at {case}: {why}"));
                // What is left of it would be taken for the next one's.
                return;
            }
        }
    };
    let work = &work;
    std::thread::scope(|scope| {
        for ground in grounds {
            scope.spawn(move || work(ground));
        }
    });
    println!("{deaths} deaths at {} points: {passed:?}", passed.len());
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
