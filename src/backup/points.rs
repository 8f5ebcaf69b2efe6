//! Points in time: earlier backups that can be restored beside the newest one, and why others can no more.
//!
//! The files of an earlier backup stay as long as it can be restored, but for those that hold what has expired since: a restore leaves that
//! out. The dump of its ledger is one file of all tables. As long as raw records are kept, it has nothing of them but where they lie; so
//! that a day of them expires ends no point. What the ledger itself loses ends those whose dumps have it.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::manifest::{EarlierBackup, Manifest, Object, SavedFile};
use super::repository::{Repository, Saved};
use crate::context::keeping::Class;
use crate::pipeline::retention::deletion::bared_subject;
use crate::support::error::{Error, Result};

/// So many earlier backups can be restored at most: a year of nights.
pub const POINTS_MAX: u32 = 366;

/// An earlier backup that can be restored no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    pub number: u64,
    pub why: WhyEnded,
}

impl Ended {
    fn of(named: &EarlierBackup, why: WhyEnded) -> Self {
        Self {
            number: named.number,
            why,
        }
    }
}

/// Why an earlier backup can be restored no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyEnded {
    /// There are as many newer ones as the settings keep.
    Older,
    /// An account was erased since.
    Erased,
    /// Its ledger has usage for dashboards that has expired since.
    Usage,
    /// Its ledger has lines of statements that have expired since.
    Statements,
    /// Its ledger has definitions of sources that were deleted after the end of their account.
    Configuration,
    /// Its ledger has records without a meter of a day that has expired since.
    Unmetered,
    /// It has records that were to be measured, of a day that has expired since.
    Unmeasured,
    /// Its manifest has changed.
    Damaged,
}

impl WhyEnded {
    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Older => "older than `backup_points` newer ones",
            Self::Erased => "an account was erased since",
            Self::Usage => "its ledger has usage for dashboards that has expired since",
            Self::Statements => "its ledger has lines of statements that have expired since",
            Self::Configuration => "its ledger has definitions of sources that were deleted since",
            Self::Unmetered => "its ledger has records without a meter of a day that has expired since",
            Self::Unmeasured => "it has records that were not measured yet, of a day that has expired since",
            Self::Damaged => "its manifest has changed",
        }
    }

    /// Whether the books have given up what its dump has.
    pub fn is_given_up(self) -> bool {
        !matches!(self, Self::Older | Self::Damaged)
    }
}

/// A backup that could be restored before another one was made: with its manifest, but where that has changed.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub named: EarlierBackup,
    pub manifest: Option<Manifest>,
}

impl Candidate {
    fn of(saved: Saved) -> Self {
        Self {
            named: EarlierBackup {
                number: saved.manifest.number,
                digest: saved.digest,
            },
            manifest: Some(saved.manifest),
        }
    }
}

/// The earlier backups that can be restored as long as the newest is this one, the oldest first. One whose manifest was pruned is none.
///
/// # Errors
/// Those of reading; a manifest that has changed is none.
pub fn candidates(repository: &Repository, newest: &Saved) -> Result<Vec<Candidate>> {
    let mut found = earlier(repository, &newest.manifest)?;
    found.push(Candidate::of(newest.clone()));
    Ok(found)
}

/// The earlier backups that a manifest says can be restored.
pub fn earlier(repository: &Repository, newest: &Manifest) -> Result<Vec<Candidate>> {
    let mut found = Vec::new();
    for named in &newest.points {
        match repository.manifest_of(named) {
            Ok(saved) => found.extend(saved.map(Candidate::of)),
            Err(Error::Damaged { .. }) => found.push(Candidate {
                named: named.clone(),
                manifest: None,
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The manifests of the earlier backups that can be restored.
pub fn manifests_of_points(repository: &Repository, newest: &Manifest) -> Result<Vec<Manifest>> {
    let found = earlier(repository, newest)?.into_iter();
    Ok(found.filter_map(|candidate| candidate.manifest).collect())
}

/// Which backups can still be restored, and which end with the newest. `keep`: how many can be restored beside it.
pub fn decide(candidates: &[Candidate], newest: &Manifest, keep: usize) -> (Vec<EarlierBackup>, Vec<Ended>) {
    let (mut points, mut ended) = (Vec::new(), Vec::new());
    for Candidate { named, manifest } in candidates {
        let why = match manifest {
            Some(point) => why_ended(point, newest),
            None => Some(WhyEnded::Damaged),
        };
        match why {
            Some(why) => ended.push(Ended::of(named, why)),
            None => points.push(named.clone()),
        }
    }
    let too_many = points.len().saturating_sub(keep);
    let older = points.drain(..too_many);
    ended.extend(older.map(|named| Ended::of(&named, WhyEnded::Older)));
    ended.sort_unstable_by_key(|one| one.number);
    (points, ended)
}

/// Why an earlier backup ends with the newest one; none where it does not.
fn why_ended(point: &Manifest, newest: &Manifest) -> Option<WhyEnded> {
    if erased_since(point, newest) {
        return Some(WhyEnded::Erased);
    }
    let given_up = GivenUp::since(point, newest);
    let is_lost = |day: &NaiveDate| given_up.has_no_raw(*day) && !newest.unmetered_days.contains(day);
    if given_up.has(Class::Usage) {
        Some(WhyEnded::Usage)
    } else if given_up.has(Class::Statements) {
        Some(WhyEnded::Statements)
    } else if given_up.has(Class::Configuration) {
        Some(WhyEnded::Configuration)
    } else if point.unmetered_days.iter().any(is_lost) {
        Some(WhyEnded::Unmetered)
    } else if point.unmeasured_days.iter().any(|day| given_up.has_no_raw(*day)) {
        Some(WhyEnded::Unmeasured)
    } else {
        None
    }
}

/// Whether an account was erased between two backups: what the earlier one has of it must not be there any more.
pub fn erased_since(point: &Manifest, newest: &Manifest) -> bool {
    newest.erasures > point.erasures
}

/// The files of an earlier backup that are needed to restore it, beside those of the newest.
pub fn objects_of_point(point: &Manifest, newest: &Manifest) -> Vec<Object> {
    let given_up = GivenUp::since(point, newest);
    let is_needed = |path: &str| !given_up.is_named(path) && !given_up.has_file(path);
    let kept = point.files.iter().filter(|file| is_needed(&file.path));
    std::iter::once(point.ledger.object.clone())
        .chain(kept.map(SavedFile::object))
        .collect()
}

/// What the books gave up between an earlier backup and the newest.
pub struct GivenUp<'m> {
    deletions: BTreeSet<(&'m str, &'m str)>,
    /// Files of the newest backup.
    files: BTreeSet<&'m str>,
    /// Days of raw records that the newest books have.
    raw_days: BTreeSet<&'m str>,
}

impl<'m> GivenUp<'m> {
    pub fn since(point: &Manifest, newest: &'m Manifest) -> Self {
        let since = newest.deletions.since.iter();
        let deletions = since.filter(|deletion| deletion.number > point.deletions.last);
        Self {
            deletions: deletions.map(|one| (&*one.class, &*one.subject)).collect(),
            files: newest.files.iter().map(|file| &*file.path).collect(),
            raw_days: raw_days(newest),
        }
    }

    /// Whether the newest backup has a file, too.
    fn is_named(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    /// Whether something of a class was deleted.
    fn has(&self, class: Class) -> bool {
        self.deletions.iter().any(|(of, _)| *of == class.text())
    }

    fn has_deletion(&self, class: Class, subject: &str) -> bool {
        self.deletions.contains(&(class.text(), subject))
    }

    /// Whether the newest books have no raw records of a UTC day: they expired, if they ever were there.
    fn has_no_raw(&self, day: NaiveDate) -> bool {
        !self.raw_days.contains(&*format!("raw/day={day}"))
    }

    /// Whether a file of the earlier backup has something of what the books gave up. What was only merged since stays.
    pub fn has_file(&self, path: &str) -> bool {
        if self.is_named(path) {
            return false;
        }
        let Some((kind, day)) = kind_and_day(path) else {
            return false;
        };
        match kind {
            "raw" => self.has_no_raw(day),
            "log" => self.has_deletion(Class::Log, &day.to_string()),
            "payload" => {
                self.has_deletion(Class::Queue, &day.to_string()) || self.has_deletion(Class::Log, &bared_subject(day))
            }
            _ => false,
        }
    }
}

/// The folder and the day of a path such as `raw/day=2026-10-01/i00000012-003.parquet`.
fn kind_and_day(path: &str) -> Option<(&str, NaiveDate)> {
    let (kind, rest) = path.split_once("/day=")?;
    let (day, _) = rest.split_once('/')?;
    Some((kind, day.parse().ok()?))
}

/// Days of raw records that the books have, whether their files are there or not: `raw/day=2026-10-01`.
pub fn raw_days(manifest: &Manifest) -> BTreeSet<&str> {
    let files = manifest.files.iter().map(|file| file.path.as_str());
    let missing = manifest.missing.iter().map(|missing| missing.path.as_str());
    files.chain(missing).filter_map(raw_day).collect()
}

/// The folder of a raw file.
pub fn raw_day(path: &str) -> Option<&str> {
    let (day, _) = path.rsplit_once('/')?;
    day.starts_with("raw/").then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::manifest::samples::manifest;
    use crate::pipeline::retention::deletion::NumberedDeletion;

    fn deleted(class: Class, subject: &str) -> Vec<NumberedDeletion> {
        vec![NumberedDeletion {
            number: 8,
            class: class.text().to_owned(),
            subject: subject.to_owned(),
        }]
    }

    fn saved(manifest: Manifest) -> Candidate {
        Candidate::of(Saved {
            digest: manifest.digest(),
            manifest,
        })
    }

    #[test]
    fn an_earlier_backup_keeps_what_was_merged_and_loses_what_expired() {
        let raw = ["raw/day=2026-01-01/i1.parquet", "raw/day=2026-01-02/i1.parquet"];
        let rest = [
            "log/day=2026-06-01/i1.parquet",
            "payload/day=2026-06-01/i1.parquet",
            "usage/i1.parquet",
        ];
        let mut point = manifest(1, &[&raw[..], &rest[..]].concat());
        point.deletions.last = 7;
        let mut newest = manifest(2, &["raw/day=2026-01-02/i9.parquet"]);
        let has = |newest: &Manifest, path: &str| {
            let objects = objects_of_point(&point, newest);
            objects.iter().any(|object| object.key == format!("files/{path}"))
        };
        assert!(!has(&newest, raw[0]) && has(&newest, raw[1]));
        assert!(rest.iter().all(|path| has(&newest, path)));
        newest.deletions.since = deleted(Class::Log, "2026-06-01");
        assert!(!has(&newest, rest[0]) && has(&newest, rest[1]));
        for since in [
            deleted(Class::Queue, "2026-06-01"),
            deleted(Class::Log, "2026-06-01 in queue data"),
        ] {
            newest.deletions.since = since;
            assert!(has(&newest, rest[0]) && !has(&newest, rest[1]));
        }
        // What was deleted before it was made is not in it.
        newest.deletions.since[0].number = 7;
        assert!(has(&newest, rest[1]));
    }

    #[test]
    fn a_point_ends_when_the_books_give_up_what_its_dump_has() {
        let day: NaiveDate = "2026-01-01".parse().unwrap();
        let raw = ["raw/day=2026-01-01/i1.parquet"];
        let ended = |change: &dyn Fn(&mut Manifest, &mut Manifest)| {
            let (mut point, mut newest) = (manifest(1, &raw), manifest(2, &[]));
            change(&mut point, &mut newest);
            let (points, ended) = decide(&[saved(point)], &newest, 9);
            assert_eq!(points.len() + ended.len(), 1);
            ended.first().map(|one| one.why)
        };
        // A day of raw records alone ends nothing.
        assert_eq!(ended(&|_, _| ()), None);
        assert_eq!(ended(&|_, newest| newest.erasures = 1), Some(WhyEnded::Erased));
        for (class, why) in [
            (Class::Usage, WhyEnded::Usage),
            (Class::Statements, WhyEnded::Statements),
            (Class::Configuration, WhyEnded::Configuration),
        ] {
            let found = ended(&|_, newest| newest.deletions.since = deleted(class, "2026-01"));
            assert_eq!(found, Some(why));
        }
        assert_eq!(
            ended(&|point, _| point.unmetered_days = vec![day]),
            Some(WhyEnded::Unmetered)
        );
        assert_eq!(
            ended(&|point, _| point.unmeasured_days = vec![day]),
            Some(WhyEnded::Unmeasured)
        );
        // The books have them still.
        assert_eq!(
            ended(&|point, newest| {
                point.unmetered_days = vec![day];
                newest.unmetered_days = vec![day];
            }),
            None
        );
    }

    #[test]
    fn so_many_points_stay_as_the_settings_say_and_a_changed_manifest_is_none() {
        let newest = manifest(9, &[]);
        let mut all: Vec<Candidate> = (4..9).map(|number| saved(manifest(number, &[]))).collect();
        all[2].manifest = None;
        let (points, ended) = decide(&all, &newest, 2);
        assert_eq!(points.iter().map(|point| point.number).collect::<Vec<_>>(), [7, 8]);
        let ended: Vec<(u64, WhyEnded)> = ended.into_iter().map(|one| (one.number, one.why)).collect();
        assert_eq!(
            ended,
            [(4, WhyEnded::Older), (5, WhyEnded::Older), (6, WhyEnded::Damaged)]
        );
        assert!(decide(&all, &newest, 0).0.is_empty());
    }
}
