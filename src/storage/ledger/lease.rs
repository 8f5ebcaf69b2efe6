//! Leases: one writer at a time for metering, closing, exporting and expiry, which is the lease on the books, and one puller at a time
//! for each source, and one that backs up into a bucket.
//!
//! All times are the database's own. A holder that has not been heard of for [`LEASE_LIMIT_S`] is taken for dead; the
//! next one gets a higher token, and every transaction of a guarded stage checks the token it was given.

use tokio::task::JoinHandle;

use super::engine::is_lost;
use super::{Ledger, Tx, Value, insert_row, query};
use crate::support::error::{Error, Result};

/// A holder is dead when its heart has not beaten for so long: many times the beat below.
pub const LEASE_LIMIT_S: i64 = 60;

/// How often a holder says that it lives.
const HEARTBEAT_S: u64 = 10;

/// The name of the lease on the books.
const BOOKS: &str = "books";

/// The name of the lease on backups in a bucket. No source has it: theirs begin with a word of their own.
const BACKUP: &str = "backup";

/// The right to write the books, or to pull a source, held until released.
#[derive(Debug)]
pub struct Lease {
    pub(super) ledger: Ledger,
    name: String,
    pub(super) token: i64,
    heart: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease on the books, or says who holds it.
    pub async fn take(ledger: &Ledger, command: &str) -> Result<Self> {
        Self::take_named(ledger, BOOKS, command).await
    }

    /// Takes the lease on a source, or says who holds it.
    pub async fn take_source(ledger: &Ledger, source: &str, command: &str) -> Result<Self> {
        let name = format!("source {source}");
        Self::take_made(ledger, &name, command, "source_lease").await
    }

    /// Takes the lease on the backups of these books in a bucket, or says who holds it.
    pub async fn take_backup(ledger: &Ledger, command: &str) -> Result<Self> {
        Self::take_made(ledger, BACKUP, command, "backup_lease").await
    }

    /// Takes a lease that nobody may have taken before.
    async fn take_made(ledger: &Ledger, name: &str, command: &str, step: &str) -> Result<Self> {
        let mut tx = ledger.begin().await?;
        let known = query("SELECT name FROM lease WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut tx)
            .await?;
        if known.is_none() {
            let row: [Value; 6] = [name.into(), "".into(), 0.into(), "".into(), 0.into(), 0.into()];
            insert_row(&mut tx, "lease (name, owner, process, place, token, heartbeat_at)", row).await?;
        }
        ledger.commit(tx, step).await?;
        Self::take_named(ledger, name, command).await
    }

    async fn take_named(ledger: &Ledger, name: &str, command: &str) -> Result<Self> {
        let (here, process) = (Where::here(), std::process::id());
        let owner = format!("{command} (process {process} on {})", here.host);
        let now = ledger.engine().now_seconds();
        let mut tx = ledger.begin().await?;
        let row = query(format!(
            "SELECT owner, process, place, token, {now} - heartbeat_at FROM lease WHERE name = ?"
        ))
        .bind(name)
        .fetch_one(&mut tx)
        .await?;
        let (holder, its_process, its_place): (String, i64, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (token, age_s): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
        if !holder.is_empty() && age_s < LEASE_LIMIT_S && !here.knows_it_is_dead(its_process, &its_place) {
            return Err(Error::LeaseHeld {
                owner: holder,
                age_s,
                limit_s: LEASE_LIMIT_S,
            });
        }
        let token = token + 1;
        query(format!(
            "UPDATE lease SET owner = ?, process = ?, place = ?, token = ?, heartbeat_at = {now} WHERE name = ?"
        ))
        .bind(owner)
        .bind(i64::from(process))
        .bind(here.place)
        .bind(token)
        .bind(name)
        .execute(&mut tx)
        .await?;
        ledger.commit(tx, "lease").await?;
        let heart = tokio::spawn(beat(ledger.clone(), name.to_owned(), token));
        Ok(Self {
            ledger: ledger.clone(),
            name: name.to_owned(),
            token,
            heart,
        })
    }

    /// Fails the transaction when somebody else has the lease by now. Nobody can take it before the transaction ends.
    pub async fn check(&self, tx: &mut Tx) -> Result<()> {
        let row = query("SELECT owner, token FROM lease WHERE name = ?")
            .bind(self.name.as_str())
            .fetch_one(&mut *tx)
            .await?;
        let (owner, token): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        if token == self.token {
            return Ok(());
        }
        let other = if owner.is_empty() { "another run" } else { &owner };
        Err(Error::Overtaken(format!(
            "this run had no heartbeat for more than {LEASE_LIMIT_S} s and was considered dead; {other} took over. Uncommitted \
             work was discarded: run the same command again, it does only what is missing"
        )))
    }

    /// Gives the lease back. When the server does not answer, once more: it can be given back twice. A server that was waited for in
    /// vain is not asked at all, and the lease ends by itself.
    pub async fn release(self) -> Result<()> {
        self.heart.abort();
        if self.ledger.is_given_up() {
            return Ok(());
        }
        match self.give_back().await {
            Err(Error::Ledger(error) | Error::Uncertain { source: error, .. }) if is_lost(&error) => {
                self.give_back().await
            }
            answered => answered,
        }
    }

    async fn give_back(&self) -> Result<()> {
        let mut tx = self.ledger.begin().await?;
        query("UPDATE lease SET owner = '' WHERE name = ? AND token = ?")
            .bind(self.name.as_str())
            .bind(self.token)
            .execute(&mut tx)
            .await?;
        self.ledger.commit(tx, "release").await
    }
}

/// Whether the run that was given this token has the lease and lives, as far as that can be known from here.
pub(super) async fn is_held(ledger: &Ledger, token: i64) -> Result<bool> {
    let now = ledger.engine().now_seconds();
    let row = query(format!(
        "SELECT process, place, {now} - heartbeat_at FROM lease WHERE name = 'books' AND token = ? AND owner <> ''"
    ))
    .bind(token)
    .fetch_optional(ledger)
    .await?;
    let Some(row) = row else { return Ok(false) };
    let (process, place, age_s): (i64, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(age_s < LEASE_LIMIT_S && !Where::here().knows_it_is_dead(process, &place))
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

/// Where a process runs.
struct Where {
    /// The machine's name, for people.
    host: String,
    /// The running system and its set of process numbers; empty where that is not known. Containers of one machine, and
    /// machines of one name, have different ones.
    place: String,
}

impl Where {
    fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).ok();
        let processes = std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string());
        let place = read("/proc/sys/kernel/random/boot_id").zip(processes.ok());
        Self {
            host: read("/proc/sys/kernel/hostname").unwrap_or_else(|| "this machine".to_owned()),
            place: place
                .map(|(boot, processes)| format!("{boot} {processes}"))
                .unwrap_or_default(),
        }
    }

    /// A killed process that ran in this place needs no waiting for.
    fn knows_it_is_dead(&self, process: i64, place: &str) -> bool {
        !self.place.is_empty() && self.place == place && !std::path::Path::new(&format!("/proc/{process}")).exists()
    }
}

async fn beat(ledger: Ledger, name: String, token: i64) {
    let now = ledger.engine().now_seconds();
    let mut interval = tokio::time::interval(std::time::Duration::from_secs(HEARTBEAT_S));
    loop {
        interval.tick().await;
        let beat = query(format!(
            "UPDATE lease SET heartbeat_at = {now} WHERE name = ? AND token = ?"
        ))
        .bind(name.as_str())
        .bind(token)
        .execute_alone(&ledger)
        .await;
        if let Err(error) = beat {
            tracing::warn!(%error, "the lease could not be renewed; the next transaction checks it");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::ledger::lease::Where;

    #[test]
    fn only_a_process_of_the_same_place_is_known_to_be_dead() {
        let here = Where::here();
        let (me, nobody) = (i64::from(std::process::id()), i64::from(u32::MAX));
        assert!(!here.knows_it_is_dead(me, &here.place));
        assert!(here.knows_it_is_dead(nobody, &here.place));
        assert!(!here.knows_it_is_dead(nobody, "another boot pid:[1]"));
        let unknown = Where {
            host: String::new(),
            place: String::new(),
        };
        assert!(!unknown.knows_it_is_dead(nobody, ""));
    }
}
