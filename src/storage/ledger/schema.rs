//! Which version the ledger's tables have, and how they come to the one that this program knows.

use sqlx::migrate::MigrateError;

use super::engine::{Engine, Pool, is_missing_table};
use crate::support::error::{Error, Result};

/// The version of the tables before and after a ledger was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Schema {
    /// 0: there were none.
    pub before: i64,
    pub version: i64,
}

/// A step that was done: its version, the digest of its SQL, and whether it came to its end.
struct Done {
    version: i64,
    checksum: Vec<u8>,
    ended: bool,
}

/// Makes the tables or brings them up. A user who may only read and write rows can open a ledger that is up already.
pub(super) async fn bring_up(pool: &Pool) -> Result<Schema> {
    let known = pool.engine().migrations();
    let version = known.iter().map(|step| step.version).max().unwrap_or(0);
    let done = done(pool).await?;
    let before = done.iter().filter(|step| step.ended).map(|step| step.version).max();
    let schema = Schema {
        before: before.unwrap_or(0),
        version,
    };
    if let Some(newer) = done.iter().map(|step| step.version).max().filter(|it| *it > version) {
        return Err(too_new(newer, version));
    }
    let is_up = known.iter().all(|step| {
        done.iter()
            .any(|it| it.ended && it.version == step.version && it.checksum == *step.checksum)
    });
    if !is_up {
        // It waits for another run that is at it, and looks again.
        pool.migrate().await.map_err(|error| told(error, version))?;
    }
    Ok(schema)
}

/// The same for tables that are there; none where there are none.
pub(super) async fn bring_up_if_there(pool: &Pool) -> Result<Option<Schema>> {
    if done(pool).await?.is_empty() {
        return Ok(None);
    }
    bring_up(pool).await.map(Some)
}

/// What a restore found in a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Tables as they are made, of the dump's version.
    Empty,
    /// The rows of this backup: an earlier run of the restore put them there.
    Restored,
}

/// The version of this program's tables, whichever engine has them: some steps are one engine's own.
pub fn newest_schema() -> i64 {
    let engines = [Engine::Sqlite, Engine::Postgres, Engine::MySql];
    let steps = engines.iter().flat_map(|engine| engine.migrations().iter());
    steps.map(|step| step.version).max().unwrap_or(0)
}

/// Makes the tables as they were at a version, in a ledger that has none or whose tables nothing was written to. `backup`: the digest by
/// which a restore knows its rows again.
pub(super) async fn make_at(pool: &Pool, version: i64, backup: &str) -> Result<(Schema, Found)> {
    let known = newest_schema();
    if version > known {
        return Err(too_new(version, known));
    }
    let before = done(pool).await?.iter().map(|step| step.version).max();
    let schema = |version| Schema {
        before: before.unwrap_or(0),
        version,
    };
    match before {
        Some(before) if is_restored(pool, backup).await? => return Ok((schema(before), Found::Restored)),
        Some(before) if before > version || !is_unused(pool).await? => {
            return Err(in_use());
        }
        _ => pool.migrate_to(version).await.map_err(|error| told(error, known))?,
    }
    Ok((schema(version), Found::Empty))
}

/// The ledger for a restore is somebody's.
pub(super) fn in_use() -> Error {
    Error::Usage(
        "the ledger has tallybook tables already: restore into a database without any. Nothing was changed there"
            .to_owned(),
    )
}

/// Whether no command gave out a number in these tables. Whether they have rows is looked at again when a restore writes its own.
async fn is_unused(pool: &Pool) -> Result<bool> {
    let used = pool.fetch_all("SELECT name FROM counter WHERE value <> 0", &[]).await?;
    Ok(used.is_empty())
}

/// Whether a restore put the rows of this backup here and came to no end.
async fn is_restored(pool: &Pool, backup: &str) -> Result<bool> {
    let sql = "SELECT name FROM lease WHERE name = ? AND owner = ?";
    match pool
        .fetch_all(sql, &[super::dump::RESTORING.into(), backup.into()])
        .await
    {
        Ok(rows) => Ok(!rows.is_empty()),
        Err(error) if is_missing_table(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn done(pool: &Pool) -> Result<Vec<Done>> {
    let sql =
        "SELECT version, checksum, CASE WHEN success THEN 1 ELSE 0 END AS ended FROM _sqlx_migrations ORDER BY version";
    let rows = match pool.fetch_all(sql, &[]).await {
        Ok(rows) => rows,
        Err(error) if is_missing_table(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    rows.iter()
        .map(|row| {
            Ok(Done {
                version: row.try_get(0)?,
                checksum: row.try_get(1)?,
                ended: row.try_get::<i64>(2)? == 1,
            })
        })
        .collect()
}

fn too_new(newer: i64, version: i64) -> Error {
    Error::NeedsPerson(format!(
        "the ledger's tables have version {newer}, and this program supports versions up to {version}: install the newer program \
         that upgraded them. Nothing was changed"
    ))
}

fn told(error: MigrateError, version: i64) -> Error {
    match error {
        MigrateError::VersionMissing(newer) => too_new(newer, version),
        MigrateError::VersionMismatch(step) => Error::NeedsPerson(format!(
            "the ledger's tables were created by a different build of this program: its migration {step} differs. Use the program \
             that created them, or restore a backup of the ledger made with this one. Nothing was changed"
        )),
        MigrateError::Dirty(step) => Error::NeedsPerson(format!(
            "an earlier run ended while it made the ledger's tables (step {step}), and this server does not undo that. Where the \
             ledger is new, drop its database and make it again (DROP DATABASE, CREATE DATABASE); else restore it from the backup \
             made before the newer program was installed. Then run `tallybook migrate`"
        )),
        other => other.into(),
    }
}
