//! Death at every point between two things that must not be torn apart, then the same command again: the books and the exports
//! are what they would have been, to the byte.

/// A canonical dump of the books.
pub mod books;

/// A world that passes every stage.
pub mod play;

/// Every point at which it dies.
pub mod points;

/// The program as a process.
pub mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use books::{difference, differences, dump};
use play::{STEPS, Step, lay_ground};
use points::{COMMITS, FILES, PARTS, chosen, is_every_point_tried, is_tried, passes};
use process::{run, stop_at};

/// Steps whose transaction says by the intake whether it happened.
const LOOKED_UP: [&str; 7] = ["ingest", "retry", "meter", "merge", "merge_keys", "payloads", "redrive"];

/// The play without a crash: the folder before each step, and what the books were after it.
struct Undisturbed {
    dir: tempfile::TempDir,
    after: Vec<String>,
    /// How often each step passed each point.
    points: Vec<BTreeMap<String, u32>>,
}

/// A death: at a pass of a point of a step.
struct Case {
    step: usize,
    point: String,
}

impl Undisturbed {
    fn play() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("0");
        std::fs::create_dir(&place).unwrap();
        lay_ground(&place);
        let mut undisturbed = Self {
            dir,
            after: Vec::new(),
            points: Vec::new(),
        };
        for (at, step) in STEPS.iter().enumerate() {
            undisturbed.step(at, step);
        }
        undisturbed
    }

    fn step(&mut self, at: usize, step: &Step) {
        let place = self.before(at + 1);
        (step.before)(&self.before(at));
        copy(&self.before(at), &place);
        let log = self.dir.path().join(format!("{at}.points"));
        let ended = run(step.command(&place).env("TALLYBOOK_FAULT_LOG", &log));
        assert_eq!(ended.code, Some(step.code), "{}: {}", step.name, ended.said);
        assert_eq!(differences(&place), Vec::<String>::new(), "{}", step.name);
        self.after.push(dump(&place));
        let mut points = BTreeMap::new();
        for point in std::fs::read_to_string(log).unwrap().lines() {
            *points.entry(point.to_owned()).or_default() += 1;
        }
        self.points.push(points);
    }

    /// The folder as it is before a step, with what came for it.
    fn before(&self, step: usize) -> PathBuf {
        self.dir.path().join(step.to_string())
    }

    /// Every point of the whole play.
    fn passed(&self) -> BTreeSet<String> {
        self.points.iter().flat_map(|points| points.keys().cloned()).collect()
    }

    /// Each point, in the first step that comes there; in each step, where every point is tried.
    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (step, points) in self.points.iter().enumerate() {
            for (point, &times) in points {
                if !is_tried(point) || !self.is_tried_in(step, point) {
                    continue;
                }
                cases.extend(passes(times).into_iter().map(|pass| Case {
                    step,
                    point: format!("{point}#{pass}"),
                }));
            }
        }
        chosen(cases)
    }

    /// The commits of each step whose answer is lost.
    fn commits(&self) -> Vec<(usize, &'static str)> {
        let mut commits = Vec::new();
        for (at, points) in self.points.iter().enumerate() {
            for commit in COMMITS {
                let point = format!("{commit}.after_commit");
                if points.contains_key(&point) && self.is_tried_in(at, &point) {
                    commits.push((at, commit));
                }
            }
        }
        chosen(commits)
    }

    /// Whether a point is tried in a step.
    fn is_tried_in(&self, step: usize, point: &str) -> bool {
        is_every_point_tried() || !self.points[..step].iter().any(|points| points.contains_key(point))
    }

    /// Dies there, runs the same step again and the next ones up to an export, and says what is not as it should be.
    fn die(&self, case: &Case) -> Result<(), String> {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path();
        copy(&self.before(case.step), place);
        let step = &STEPS[case.step];
        match stop_at(&mut step.command(place), &case.point) {
            Ok(stopped) => stopped.kill(),
            Err(ended) => return Err(format!("never came there: {ended:?}")),
        }
        let ended = run(&mut step.command(place));
        if !step.may_end_again(&ended) {
            return Err(format!("run again: {ended:?}"));
        }
        self.compare(case.step, place)?;
        let mut last = case.step;
        for (at, step) in STEPS.iter().enumerate().skip(case.step) {
            if at > case.step {
                (step.before)(place);
                let ended = run(&mut step.command(place));
                if ended.code != Some(step.code) {
                    return Err(format!("later, {}: {ended:?}", step.name));
                }
            }
            last = at;
            if step.exports() {
                break;
            }
        }
        self.compare(last, place)?;
        match differences(place).as_slice() {
            [] => Ok(()),
            differences => Err(format!("verify: {}", differences.join("; "))),
        }
    }

    /// A commit that names its intake is looked up, and the step goes on; after any other the same command runs again.
    fn lose_answer(&self, at: usize, step: &Step, commit: &str) {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path();
        copy(&self.before(at), place);
        let case = format!("{}, no answer to {commit}", step.name);
        let ended = run(step.command(place).env("TALLYBOOK_LOSE_ANSWER_AT", commit));
        if LOOKED_UP.contains(&commit) {
            assert_eq!(ended.code, Some(step.code), "{case}: {}", ended.said);
        } else {
            assert_eq!(ended.code, Some(1), "{case}: {}", ended.said);
            assert!(
                ended.said.contains("run the same command again"),
                "{case}: {}",
                ended.said
            );
            let again = run(&mut step.command(place));
            assert!(step.may_end_again(&again), "{case}: {}", again.said);
        }
        self.compare(at, place).unwrap_or_else(|why| panic!("{case}: {why}"));
    }

    fn compare(&self, at: usize, path: &Path) -> Result<(), String> {
        let found = dump(path);
        let difference = difference(&self.after[at], &found);
        difference.map_or(Ok(()), |what| Err(format!("after {}:\n  {what}", STEPS[at].name)))
    }
}

/// Every point that the play must pass.
fn contract() -> BTreeSet<String> {
    let commits = COMMITS
        .iter()
        .flat_map(|step| [format!("{step}.before_commit"), format!("{step}.after_commit")]);
    commits
        .chain(FILES.map(str::to_owned))
        .chain(PARTS.map(str::to_owned))
        .collect()
}

/// A place with everything in it, and the files' times.
pub fn copy(from: &Path, to: &Path) {
    copy_files(from, to);
    crate::ledgers::copy(from, to);
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_files(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
            let time = entry.metadata().unwrap().modified().unwrap();
            let file = std::fs::File::options().write(true).open(&target).unwrap();
            file.set_modified(time).unwrap();
        }
    }
}

#[test]
fn when_the_ledger_dies_between_a_commit_and_its_answer_the_same_command_gives_the_same_books() {
    let undisturbed = Undisturbed::play();
    for (at, commit) in undisturbed.commits() {
        undisturbed.lose_answer(at, &STEPS[at], commit);
    }
}

#[test]
fn a_command_killed_at_any_point_and_run_again_gives_the_same_books_and_exports() {
    let undisturbed = Undisturbed::play();
    assert_eq!(undisturbed.passed(), contract(), "the points that the play passes");
    let cases = undisturbed.cases();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failed = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(why) = undisturbed.die(case) {
                failed.push(format!("{}, killed at {}: {why}", STEPS[case.step].name, case.point));
            }
        }
        failed
    };
    let failed: Vec<String> = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for (at, (step, points)) in STEPS.iter().zip(&undisturbed.points).enumerate() {
        let deaths = cases.iter().filter(|case| case.step == at).count();
        println!("{}: {deaths} deaths at {} points: {points:?}", step.name, points.len());
    }
    println!("{} deaths", cases.len());
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
}
