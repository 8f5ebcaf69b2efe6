//! The ledger of erasures: what is on its way, what was done, and what keeps an account from being erased.

use super::files::ErasedRows;
use super::pseudonym::Pseudonyms;
use super::words::Words;
use crate::pipeline::close::statement::document::lines;
use crate::storage::ledger::{Ledger, Tx, Value, delete_rows, insert_row, insert_rows, query};
use crate::support::error::{Error, Result};

/// How far an erasure has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The pseudonyms are chosen; nothing else has changed.
    Begun,
    /// The ledger has the account no more; old files may still be there.
    Renamed,
    /// Nothing knows the number any more but what the database has not written over.
    Compacting,
}

impl State {
    const ALL: [Self; 3] = [Self::Begun, Self::Renamed, Self::Compacting];

    fn text(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Renamed => "renamed",
            Self::Compacting => "compacting",
        }
    }
}

/// An erasure that has not come to its end.
#[derive(Clone, Debug)]
pub struct Unfinished {
    pub state: State,
    pub request: String,
    /// From [`State::Renamed`] on.
    pub erasure: Option<i64>,
    /// Before [`State::Compacting`].
    pub names: Option<Pseudonyms>,
}

/// The erasure that has not come to its end, if there is one.
pub async fn unfinished(ledger: &Ledger) -> Result<Option<Unfinished>> {
    let row = query("SELECT state, request, erasure, names FROM erasure_in_progress")
        .fetch_optional(ledger)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let text: String = row.try_get(0)?;
    let state = State::ALL.into_iter().find(|state| state.text() == text);
    let names: Option<String> = row.try_get(3)?;
    Ok(Some(Unfinished {
        state: state
            .ok_or_else(|| Error::Unbalanced(format!("an erasure in the ledger is {text:?}, which is no state")))?,
        request: row.try_get(1)?,
        erasure: row.try_get(2)?,
        names: names.as_deref().map(serde_json::from_str).transpose()?,
    }))
}

const SLOT: i64 = 1;

/// Writes down that an erasure has begun.
pub async fn begin(tx: &mut Tx, names: &Pseudonyms, request: &str, at: &str) -> Result<()> {
    let row: [Value; 5] = [
        SLOT.into(),
        State::Begun.text().into(),
        request.into(),
        at.into(),
        serde_json::to_string(names)?.into(),
    ];
    insert_row(tx, "erasure_in_progress (slot, state, request, begun_at, names)", row).await
}

/// Moves the erasure on. Its names go with [`State::Compacting`].
pub async fn go_on(tx: &mut Tx, state: State, erasure: i64, at: &str) -> Result<()> {
    let row = query("SELECT request, names FROM erasure_in_progress WHERE slot = ?")
        .bind(SLOT)
        .fetch_one(&mut *tx)
        .await?;
    let (request, names): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
    end(tx).await?;
    let row: [Value; 6] = [
        SLOT.into(),
        state.text().into(),
        request.into(),
        at.into(),
        erasure.into(),
        names.filter(|_| state != State::Compacting).into(),
    ];
    insert_row(
        tx,
        "erasure_in_progress (slot, state, request, begun_at, erasure, names)",
        row,
    )
    .await
}

/// Forgets the erasure that was on its way.
pub async fn end(tx: &mut Tx) -> Result<()> {
    delete_rows(tx, "erasure_in_progress", "slot = ?", &[SLOT.into()]).await?;
    Ok(())
}

/// An erasure that was done.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Erasure {
    pub erasure: i64,
    pub audit_entry: i64,
    pub erased_at: String,
    pub request: String,
    /// JSON.
    #[serde(skip)]
    pub certificate: String,
    /// SHA-256 of the certificate.
    pub digest: String,
}

/// All erasures, oldest first.
pub async fn erasures(ledger: &Ledger) -> Result<Vec<Erasure>> {
    let rows =
        query("SELECT erasure, audit_entry, erased_at, request, certificate, digest FROM erasure ORDER BY erasure")
            .fetch_all(ledger)
            .await?;
    rows.iter()
        .map(|row| {
            Ok(Erasure {
                erasure: row.try_get(0)?,
                audit_entry: row.try_get(1)?,
                erased_at: row.try_get(2)?,
                request: row.try_get(3)?,
                certificate: row.try_get(4)?,
                digest: row.try_get(5)?,
            })
        })
        .collect()
}

/// One erasure.
///
/// # Errors
/// [`Error::Usage`] where there is none of this number.
pub async fn erasure(ledger: &Ledger, number: i64) -> Result<Erasure> {
    let found = erasures(ledger).await?.into_iter().find(|of| of.erasure == number);
    found.ok_or_else(|| {
        Error::Usage(format!(
            "there is no erasure {number}; `tallybook erase list` shows all"
        ))
    })
}

/// Writes an erasure down.
pub async fn add_erasure(tx: &mut Tx, new: &Erasure) -> Result<()> {
    let row: [Value; 6] = [
        new.erasure.into(),
        new.audit_entry.into(),
        new.erased_at.as_str().into(),
        new.request.as_str().into(),
        new.certificate.as_str().into(),
        new.digest.as_str().into(),
    ];
    let columns = "erasure (erasure, audit_entry, erased_at, request, certificate, digest)";
    insert_row(tx, columns, row).await
}

/// Writes down how many raw rows went, by batch and UTC day.
pub async fn add_rows(tx: &mut Tx, erasure: i64, rows: &[ErasedRows]) -> Result<()> {
    let rows = rows.iter().map(|rows| -> [Value; 5] {
        [
            erasure.into(),
            rows.batch.into(),
            rows.day.to_string().into(),
            rows.rows.into(),
            rows.duration_ms.to_string().into(),
        ]
    });
    insert_rows(tx, "erased_rows (erasure, batch, day, row_count, duration_ms)", rows).await?;
    Ok(())
}

/// Counts rows of an account.
async fn count(ledger: &Ledger, sql: &'static str, uin: u64) -> Result<i64> {
    let row = query(sql).bind(uin.to_string()).fetch_one(ledger).await?;
    row.try_get(0)
}

/// What waits for a decision or a later run, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting {
    pub late_usage: i64,
    pub corrections: i64,
    /// Records.
    pub unmetered: i64,
    pub unexported: i64,
}

/// What waits of an account.
pub async fn waiting(ledger: &Ledger, uin: u64) -> Result<Waiting> {
    let late = "SELECT COUNT(*) FROM late_usage WHERE uin = ? AND closing IS NULL";
    let corrections = "SELECT COUNT(*) FROM rerate WHERE uin = ? AND closing IS NULL";
    let unmetered =
        "SELECT COALESCE(SUM(records), 0) FROM unmetered WHERE uin = ? AND utc_day NOT IN (SELECT day FROM waiver)";
    let unexported = "SELECT COUNT(*) FROM statement s WHERE s.uin = ? AND EXISTS (SELECT 1 FROM stated_period p WHERE \
                      p.closing = s.closing AND p.period_start = s.period_start AND p.period_end = s.period_end AND p.export IS NULL)";
    Ok(Waiting {
        late_usage: count(ledger, late, uin).await?,
        corrections: count(ledger, corrections, uin).await?,
        unmetered: count(ledger, unmetered, uin).await?,
        unexported: count(ledger, unexported, uin).await?,
    })
}

/// Conflicts that are open, or decided and not booked, of an account or of nobody that is known.
pub async fn open_conflicts(ledger: &Ledger, uin: u64) -> Result<Vec<i64>> {
    let rows = query(
        "SELECT conflict FROM conflict WHERE (state = 'open' OR (state = 'replaced' AND metering IS NULL)) \
         AND (uin = ? OR uin IS NULL) ORDER BY conflict",
    )
    .bind(uin.to_string())
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Lines in quarantine of which the bytes are there and say one of the numbers.
pub async fn quarantined(ledger: &Ledger, words: &Words, waits: bool) -> Result<Vec<i64>> {
    let state = if waits {
        "accepted_by IS NULL AND dismissed_by IS NULL"
    } else {
        "(accepted_by IS NOT NULL OR dismissed_by IS NOT NULL)"
    };
    let mut found = Vec::new();
    query(format!(
        "SELECT quarantine, payload FROM quarantine WHERE payload IS NOT NULL AND {state} ORDER BY quarantine"
    ))
    .for_each(ledger, |row| {
        if words.mentions(&row.try_get::<Vec<u8>>(1)?) {
            found.push(row.try_get(0)?);
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Sources whose newest definition says one of the numbers.
pub async fn sources_naming(ledger: &Ledger, words: &Words) -> Result<Vec<String>> {
    let rows = query(
        "SELECT v.source, v.body FROM source_version v WHERE v.version = (SELECT MAX(n.version) FROM source_version n \
         WHERE n.source = v.source) ORDER BY v.source",
    )
    .fetch_all(ledger)
    .await?;
    let mut naming = Vec::new();
    for row in rows {
        if words.mentions(row.try_get::<String>(1)?.as_bytes()) {
            naming.push(row.try_get(0)?);
        }
    }
    Ok(naming)
}

/// Folders of the exports that have statements of an account.
pub async fn exports_of(ledger: &Ledger, uin: u64) -> Result<Vec<String>> {
    let rows = query(
        "SELECT DISTINCT e.export, e.folder FROM statement s JOIN stated_period p ON p.closing = s.closing AND \
         p.period_start = s.period_start AND p.period_end = s.period_end JOIN export e ON e.export = p.export \
         WHERE s.uin = ? ORDER BY e.export",
    )
    .bind(uin.to_string())
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| row.try_get(1)).collect()
}

/// Rows that stay under a pseudonym, or go, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    pub statements: i64,
    pub statement_lines: i64,
    pub months_of_usage: i64,
    pub proofs: i64,
    pub conflicts: i64,
}

/// What the ledger has of an account.
pub async fn held(ledger: &Ledger, uin: u64) -> Result<Held> {
    Ok(Held {
        statements: count(ledger, "SELECT COUNT(*) FROM statement WHERE uin = ?", uin).await?,
        statement_lines: count(
            ledger,
            "SELECT COALESCE(SUM(line_count), 0) FROM statement WHERE uin = ?",
            uin,
        )
        .await?,
        months_of_usage: count(
            ledger,
            "SELECT COUNT(DISTINCT month) FROM usage_daily WHERE uin = ?",
            uin,
        )
        .await?,
        proofs: count(ledger, "SELECT COUNT(*) FROM proved_account WHERE uin = ?", uin).await?,
        conflicts: count(ledger, "SELECT COUNT(*) FROM conflict WHERE uin = ?", uin).await?,
    })
}

/// Apps in the lines of an account's statements and settlements.
pub async fn stated_apps(ledger: &Ledger, uin: u64) -> Result<Vec<u64>> {
    let rows = query(
        "SELECT d.body FROM document d WHERE d.document IN (SELECT s.document FROM statement s WHERE s.uin = ?) \
         UNION ALL SELECT t.body FROM settlement t WHERE t.uin = ?",
    )
    .bind(uin.to_string())
    .bind(uin.to_string())
    .fetch_all(ledger)
    .await?;
    let mut apps = Vec::new();
    for row in rows {
        let body: String = row.try_get(0)?;
        let lines = lines(&body).map_err(|error| Error::Unbalanced(error.to_string()))?;
        apps.extend(lines.iter().filter_map(|line| line.appid));
    }
    Ok(apps)
}

/// The newest manifest's digests: the one that the chain names, and that of the manifest as it is now.
pub async fn last_manifest(tx: &mut Tx) -> Result<Option<(String, String)>> {
    let row = query(
        "SELECT e.manifest_digest, COALESCE(n.manifest_digest, e.manifest_digest) FROM export e \
         LEFT JOIN erased_export n ON n.export = e.export ORDER BY e.export DESC LIMIT 1",
    )
    .fetch_optional(&mut *tx)
    .await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}
