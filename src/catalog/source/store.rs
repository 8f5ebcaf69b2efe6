//! The ledger of sources: versions of definitions, templates that were added, and which sources are disabled.

use std::collections::BTreeMap;

use super::configured::Fault;
use super::definition::Definition;
use super::events::Template;
use crate::storage::ledger::{Channel, Ledger, Row, Tx, Value, delete_rows, insert_row, query, reseal};
use crate::support::error::{Error, Result};
use crate::values::digest::sha256_hex;

/// A version of a definition.
#[derive(Clone, Debug)]
pub struct Version {
    pub version: i64,
    pub definition: Definition,
    pub origin: String,
    pub imported_at: String,
}

const VERSION_COLUMNS: &str = "SELECT source, version, body, digest, origin, imported_at FROM source_version v";

/// A version as the ledger has it, unread.
struct Stored {
    source: String,
    version: i64,
    body: String,
    origin: String,
    imported_at: String,
}

fn stored_of(row: &Row) -> Result<Stored> {
    let stored = Stored {
        source: row.try_get(0)?,
        version: row.try_get(1)?,
        body: row.try_get(2)?,
        origin: row.try_get(4)?,
        imported_at: row.try_get(5)?,
    };
    let digest: String = row.try_get(3)?;
    if sha256_hex(stored.body.as_bytes()) != digest {
        return Err(Error::Unbalanced(format!(
            "the definition of source {} in the ledger differs from the imported one; restore the ledger from a backup",
            stored.source
        )));
    }
    Ok(stored)
}

impl Stored {
    /// Reads it. Another program may have imported it.
    fn read(self) -> std::result::Result<Version, Fault> {
        match Definition::of_body(&self.source, &self.body) {
            Ok(definition) => Ok(Version {
                version: self.version,
                definition,
                origin: self.origin,
                imported_at: self.imported_at,
            }),
            Err(error) => {
                let why = format!(
                    "version {} in the ledger cannot be read by this program: {error}. Correct the definition in the settings or in the \
                     sources folder, which becomes the next version, or install the program that imported this one",
                    self.version
                );
                Err(Fault::new(&self.source, &self.origin, &why))
            }
        }
    }
}

fn version_of(row: &Row) -> Result<Version> {
    stored_of(row)?.read().map_err(|fault| Error::Usage(fault.sentence()))
}

/// The newest version of a source.
pub async fn newest(ledger: &Ledger, source: &str) -> Result<Option<Version>> {
    let row = newest_on(ledger, source).await?;
    row.as_ref().map(version_of).transpose()
}

async fn newest_on<'c>(on: impl Into<Channel<'c>>, source: &str) -> Result<Option<Row>> {
    let sql = format!("{VERSION_COLUMNS} WHERE v.source = ? ORDER BY v.version DESC LIMIT 1");
    query(sql).bind(source).fetch_optional(on).await
}

/// Whether the ledger has a source.
pub async fn has(ledger: &Ledger, source: &str) -> Result<bool> {
    Ok(newest_on(ledger, source).await?.is_some())
}

/// The number and the text of the newest version of a source, which need not be one that this program can read.
pub async fn newest_body_in(tx: &mut Tx, source: &str) -> Result<Option<(i64, String)>> {
    let row = newest_on(tx, source).await?;
    let stored = row.as_ref().map(stored_of).transpose()?;
    Ok(stored.map(|stored| (stored.version, stored.body)))
}

/// The newest versions of all sources.
#[derive(Debug, Default)]
pub struct Newest {
    pub versions: BTreeMap<String, Version>,
    /// Of those that this program cannot read.
    pub unreadable: Vec<Fault>,
}

/// The newest version of each source.
pub async fn newest_of_all(ledger: &Ledger) -> Result<Newest> {
    let rows = query(format!(
        "{VERSION_COLUMNS} WHERE v.version = (SELECT MAX(w.version) FROM source_version w WHERE w.source = v.source)"
    ))
    .fetch_all(ledger)
    .await?;
    let mut newest = Newest::default();
    for row in &rows {
        let stored = stored_of(row)?;
        let source = stored.source.clone();
        match stored.read() {
            Ok(version) => drop(newest.versions.insert(source, version)),
            Err(fault) => newest.unreadable.push(fault),
        }
    }
    Ok(newest)
}

/// All versions of a source, oldest first.
///
/// # Errors
/// [`Error::Usage`] where this program cannot read one of them.
pub async fn versions(ledger: &Ledger, source: &str) -> Result<Vec<Version>> {
    versions_on(ledger, source).await?.iter().map(version_of).collect()
}

/// Templates of all versions of a source, oldest first. A version that this program cannot read has none that it could have billed by.
pub async fn templates_of_versions<'c>(
    on: impl Into<Channel<'c>>,
    source: &str,
) -> Result<Vec<BTreeMap<u64, Template>>> {
    let mut templates = Vec::new();
    for row in &versions_on(on, source).await? {
        if let Ok(version) = stored_of(row)?.read() {
            templates.push(version.definition.source.templates);
        }
    }
    Ok(templates)
}

async fn versions_on<'c>(on: impl Into<Channel<'c>>, source: &str) -> Result<Vec<Row>> {
    query(format!("{VERSION_COLUMNS} WHERE v.source = ? ORDER BY v.version"))
        .bind(source)
        .fetch_all(on)
        .await
}

/// All versions of all sources that this program can read, oldest first.
pub async fn versions_of_all(ledger: &Ledger) -> Result<BTreeMap<String, Vec<Version>>> {
    let rows = query(format!("{VERSION_COLUMNS} ORDER BY v.source, v.version"))
        .fetch_all(ledger)
        .await?;
    let mut all: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    for row in &rows {
        let stored = stored_of(row)?;
        let source = stored.source.clone();
        if let Ok(version) = stored.read() {
            all.entry(source).or_default().push(version);
        }
    }
    Ok(all)
}

/// Deletes versions of a source. Returns how many went.
pub async fn delete_versions(tx: &mut Tx, source: &str, versions: &[i64]) -> Result<i64> {
    let mut gone = 0;
    for version in versions {
        let binds = [source.into(), (*version).into()];
        gone += delete_rows(tx, "source_version", "source = ? AND version = ?", &binds).await?;
    }
    Ok(gone)
}

/// Deletes all that is configured of a source: its versions, its templates, and whether it is disabled. Returns how many versions and
/// templates went.
pub async fn delete_source(tx: &mut Tx, source: &str) -> Result<i64> {
    let mut gone = 0;
    for table in ["source_version", "source_template"] {
        gone += delete_rows(tx, table, "source = ?", &[source.into()]).await?;
    }
    delete_rows(tx, "source_state", "source = ?", &[source.into()]).await?;
    Ok(gone)
}

/// Writes a version.
pub async fn add_version(tx: &mut Tx, definition: &Definition, version: i64, origin: &str, at: &str) -> Result<()> {
    let row: [Value; 6] = [
        definition.source.name.as_str().into(),
        version.into(),
        definition.body.as_str().into(),
        definition.digest().into(),
        origin.into(),
        at.into(),
    ];
    insert_row(
        tx,
        "source_version (source, version, body, digest, origin, imported_at)",
        row,
    )
    .await
}

/// Templates that were added to a source.
pub async fn templates(ledger: &Ledger, source: &str) -> Result<BTreeMap<u64, Template>> {
    templates_on(ledger, source).await
}

/// The same, within a transaction.
pub async fn templates_in(tx: &mut Tx, source: &str) -> Result<BTreeMap<u64, Template>> {
    templates_on(tx, source).await
}

async fn templates_on<'c>(on: impl Into<Channel<'c>>, source: &str) -> Result<BTreeMap<u64, Template>> {
    let rows = query("SELECT definition, body FROM source_template WHERE source = ? ORDER BY definition")
        .bind(source)
        .fetch_all(on)
        .await?;
    rows.iter()
        .map(|row| {
            let (definition, body): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            Ok((definition.unsigned_abs(), serde_json::from_str(&body)?))
        })
        .collect()
}

/// Writes a template.
pub async fn add_template(
    tx: &mut Tx,
    source: &str,
    definition: u64,
    template: &Template,
    at: &str,
    entry: i64,
) -> Result<()> {
    let number = i64::try_from(definition).map_err(|_| {
        Error::Usage(format!(
            "template {definition}: a number up to {} is expected",
            i64::MAX
        ))
    })?;
    let row: [Value; 5] = [
        source.into(),
        number.into(),
        serde_json::to_string(template)?.into(),
        at.into(),
        entry.into(),
    ];
    insert_row(
        tx,
        "source_template (source, definition, body, added_at, audit_entry)",
        row,
    )
    .await
}

/// Writes the streams of a template of which the type alone was known.
pub async fn complete_template(
    tx: &mut Tx,
    source: &str,
    definition: u64,
    template: &Template,
    entry: i64,
) -> Result<()> {
    let number = i64::try_from(definition).unwrap_or(i64::MAX);
    query("UPDATE source_template SET body = ?, audit_entry = ? WHERE source = ? AND definition = ?")
        .bind(serde_json::to_string(template)?)
        .bind(entry)
        .bind(source)
        .bind(number)
        .execute(&mut *tx)
        .await?;
    let binds = [source.into(), number.into()];
    reseal(tx, "source_template", "source = ? AND definition = ?", &binds).await
}

/// Since when each disabled source is disabled.
pub async fn disabled(ledger: &Ledger) -> Result<BTreeMap<String, String>> {
    let rows = query("SELECT source, disabled_at FROM source_state WHERE disabled_at IS NOT NULL")
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Notes that a source is disabled since a time, or enabled.
pub async fn set_disabled(tx: &mut Tx, source: &str, since: Option<&str>, entry: i64) -> Result<()> {
    let known = query("SELECT source FROM source_state WHERE source = ?")
        .bind(source)
        .fetch_optional(&mut *tx)
        .await?;
    if known.is_none() {
        let row: [Value; 3] = [source.into(), since.map(ToOwned::to_owned).into(), entry.into()];
        return insert_row(tx, "source_state (source, disabled_at, audit_entry)", row).await;
    }
    query("UPDATE source_state SET disabled_at = ?, audit_entry = ? WHERE source = ?")
        .bind(since.map(ToOwned::to_owned))
        .bind(entry)
        .bind(source)
        .execute(&mut *tx)
        .await?;
    reseal(tx, "source_state", "source = ?", &[source.into()]).await
}
