//! An earlier backup is restored without what the books gave up since: the newest backup says what that is, and the restored ledger is
//! marked so.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use chrono::NaiveDate;

use super::manifest::{Manifest, SavedFile};
use super::points::GivenUp;
use super::repository::Saved;
use crate::catalog::account::store::parse_uin;
use crate::pipeline::retention::day_digest::Proof;
use crate::pipeline::retention::mark_again::{ExpiredMark, Marks, NotedDeletion, mark_again};
use crate::pipeline::retention::record_digest::ProvedDay;
use crate::pipeline::retention::store::marked_days;
use crate::storage::ledger::dump::{Dump, DumpRow};
use crate::storage::ledger::fact::{RESTORED, fact, set_fact};
use crate::storage::ledger::{Decision, Ledger, add_audit};
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::{forget_segments, parse_day};
use crate::support::clock::Clock;
use crate::support::error::{Error, Result};

/// An earlier backup that is restored.
#[derive(Clone, Debug)]
pub struct Earlier {
    pub saved: Saved,
    pub newest: Saved,
    /// Who restores it.
    pub who: String,
    pub clock: Clock,
}

impl Earlier {
    /// What of it is restored, and the paths of its files that are not. What the newest backup has too is taken from there.
    pub fn without_what_was_given_up(&self) -> (Manifest, Vec<String>) {
        let mut kept = self.saved.manifest.clone();
        let newest = &self.newest.manifest;
        let given_up = GivenUp::since(&kept, newest);
        let (gone, mut files): (Vec<SavedFile>, Vec<SavedFile>) =
            kept.files.into_iter().partition(|file| given_up.has_file(&file.path));
        let named: HashMap<&str, &SavedFile> = newest.files.iter().map(|file| (&*file.path, file)).collect();
        for file in &mut files {
            if let Some(same) = named.get(&*file.path) {
                file.clone_from(same);
            }
        }
        kept.files = files;
        // An input file that the newest backup has not has expired; one that it has otherwise has changed since.
        let had: HashSet<(&str, &str)> = kept
            .originals
            .iter()
            .map(|file| (&*file.place, &*file.sha256))
            .collect();
        let originals = newest.originals.iter();
        let originals = originals.filter(|file| had.contains(&(&*file.place, &*file.sha256)));
        kept.originals = originals.cloned().collect();
        kept.quarantine.clone_from(&newest.quarantine);
        (kept, gone.into_iter().map(|file| file.path).collect())
    }

    /// The beginning of what the restored books know of their restore.
    fn name(&self) -> String {
        format!(
            "backup {} ({}), by backup {} ({})",
            self.saved.manifest.number, self.saved.digest, self.newest.manifest.number, self.newest.digest
        )
    }

    /// Marks a ledger that has the rows of the earlier backup. Done once, it does nothing. `newest_dump`: that of the newest backup.
    ///
    /// # Errors
    /// Those of the ledger and of the dump.
    pub async fn mark(&self, ledger: &Ledger, newest_dump: &Path, gone: &[String]) -> Result<()> {
        let name = self.name();
        let mut tx = ledger.begin().await?;
        if fact(&mut tx, RESTORED)
            .await?
            .is_some_and(|known| known.starts_with(&name))
        {
            return Ok(());
        }
        let known = marked_days(&mut tx).await?;
        let is_new = |day: NaiveDate, kind: &str| !known.contains(&(day, kind.to_owned()));
        let since = self.saved.manifest.deletions.last;
        let marks = tokio::task::block_in_place(|| marks(newest_dump, is_new, since))?;
        mark_again(&mut tx, &marks).await?;
        forget_segments(&mut tx, gone).await?;
        let decision = Decision {
            who: &self.who,
            action: "restore",
            subject: format!("backup {}", self.saved.manifest.number),
            detail: serde_json::json!({
                "taken_at": self.saved.manifest.taken_at,
                "newest": self.newest.manifest.number,
                "expired_days": marks.days.len(),
                "left_out_files": gone.len(),
            }),
            reason: "restored to an earlier point in time",
            at: self.clock.text(),
        };
        add_audit(&mut tx, &decision).await?;
        set_fact(&mut tx, RESTORED, &format!("{name}, at {}", self.clock.text())).await?;
        ledger.commit(tx, "leave_out").await
    }
}

/// Marks that the newest dump has: of days that are new, and deletions after a number. Days stand before their proofs in it.
fn marks(dump: &Path, is_new: impl Fn(NaiveDate, &str) -> bool, since: i64) -> Result<Marks> {
    let mut marks = Marks::default();
    let tables = ["expired_day", "proved_day", "proved_account", "deletion"];
    Dump::open(dump)?.each_row(&tables, |row| {
        match row.table() {
            "expired_day" => marks.days.extend(expired_mark(&row, &is_new)?),
            "deletion" => marks.deletions.extend(deletion(&row, since)?),
            table => {
                let day = parse_day(row.text("day")?)?;
                let is_of_usage = |mark: &ExpiredMark| (mark.day, mark.kind) == (day, SegmentKind::Usage);
                if !marks.days.iter().any(is_of_usage) {
                    return Ok(());
                }
                if table == "proved_day" {
                    marks.proofs.insert(day, (proved_day(&row)?, Vec::new()));
                } else if let Some((_, accounts)) = marks.proofs.get_mut(&day) {
                    accounts.push(proof(&row)?);
                }
            }
        }
        Ok(())
    })?;
    Ok(marks)
}

fn expired_mark(row: &DumpRow<'_>, is_new: impl Fn(NaiveDate, &str) -> bool) -> Result<Option<ExpiredMark>> {
    let (day, kind) = (parse_day(row.text("day")?)?, row.text("kind")?);
    if !is_new(day, kind) {
        return Ok(None);
    }
    Ok(Some(ExpiredMark {
        day,
        kind: if kind == SegmentKind::Log.text() {
            SegmentKind::Log
        } else {
            SegmentKind::Usage
        },
        expired_at: row.text("expired_at")?.to_owned(),
        rows: row.integer("row_count")?,
        duration_ms: row.text("duration_ms")?.to_owned(),
    }))
}

fn proved_day(row: &DumpRow<'_>) -> Result<ProvedDay> {
    Ok(ProvedDay {
        rows: row.integer("row_count")?,
        duration_ms: row.text("duration_ms")?.to_owned(),
        accounts: row.integer("accounts")?,
    })
}

fn proof(row: &DumpRow<'_>) -> Result<Proof> {
    let duration_ms = row.text("duration_ms")?;
    Ok(Proof {
        uin: parse_uin(row.text("uin")?)?,
        rows: row.integer("row_count")?,
        duration_ms: duration_ms.parse().map_err(|_| {
            Error::Unbalanced(format!(
                "the newest backup has {duration_ms} where a sum of durations belongs"
            ))
        })?,
        digest: row.text("digest")?.to_owned(),
    })
}

fn deletion(row: &DumpRow<'_>, since: i64) -> Result<Option<NotedDeletion>> {
    let number = row.integer("deletion")?;
    let text = |column: &str| row.text(column).map(str::to_owned);
    if number <= since {
        return Ok(None);
    }
    Ok(Some(NotedDeletion {
        number,
        class: text("class")?,
        subject: text("subject")?,
        rows: row.integer("row_count")?,
        deleted_at: text("deleted_at")?,
        who: text("who")?,
        why: text("why")?,
    }))
}
