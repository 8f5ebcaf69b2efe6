//! The ledger of objects that were read.

use std::collections::HashMap;

use super::SeenObject;
use crate::storage::ledger::{Ledger, Tx, Value, delete_rows, insert_rows, query, reseal};
use crate::storage::objects::Object;
use crate::support::error::Result;
use crate::values::digest::sha256_hex;

/// Objects that are asked for at a time.
const ASKED: usize = 500;

/// The longest `ETag` that is kept as it is; of a longer one, its digest.
const ETAG_MAX: usize = 128;

/// A state in which an object was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    etag: String,
    pub bytes: i64,
    pub batch: i64,
}

impl State {
    /// Whether an object is in this state.
    pub fn is_of(&self, object: &Object) -> bool {
        self.bytes == bytes_of(object) && self.etag == etag_of(object)
    }
}

/// Remembers objects whose content is in a batch. One that is known already is left as it is.
///
/// # Errors
/// The ledger's.
pub async fn add(tx: &mut Tx, source: &str, batch: i64, objects: &[SeenObject]) -> Result<()> {
    let mut rows: Vec<[Value; 7]> = Vec::with_capacity(objects.len());
    for object in objects {
        let known = "SELECT batch FROM source_object WHERE source = ? AND key_digest = ? AND etag = ? AND bytes = ?";
        let known = query(known)
            .bind(source)
            .bind(sha256_hex(object.key.as_bytes()))
            .bind(etag_of(object))
            .bind(bytes_of(object))
            .fetch_optional(&mut *tx)
            .await?;
        if known.is_none() {
            rows.push([
                source.into(),
                sha256_hex(object.key.as_bytes()).into(),
                etag_of(object).into(),
                bytes_of(object).into(),
                object.key.as_str().into(),
                object.modified.to_rfc3339().into(),
                batch.into(),
            ]);
        }
    }
    let into = "source_object (source, key_digest, etag, bytes, object_key, modified_at, batch)";
    insert_rows(tx, into, rows).await?;
    Ok(())
}

/// The states in which objects were read before, by key, the latest at the end. A key that never came is not there.
///
/// # Errors
/// The ledger's.
pub async fn seen(ledger: &Ledger, source: &str, objects: &[Object]) -> Result<HashMap<String, Vec<State>>> {
    let mut known: HashMap<String, Vec<State>> = HashMap::new();
    for asked in objects.chunks(ASKED) {
        let places = vec!["?"; asked.len()].join(", ");
        let sql = format!(
            "SELECT key_digest, etag, bytes, batch FROM source_object WHERE source = ? AND key_digest IN ({places}) ORDER BY batch"
        );
        // The key that a row has may be written over, where it said the number of an account that was erased.
        let keys: HashMap<String, &str> = asked
            .iter()
            .map(|it| (sha256_hex(it.key.as_bytes()), it.key.as_str()))
            .collect();
        let digests = asked.iter().map(|object| sha256_hex(object.key.as_bytes()).into());
        let rows = query(sql).bind(source).bind_all(digests).fetch_all(ledger).await?;
        for row in rows {
            let digest: String = row.try_get(0)?;
            let state = State {
                etag: row.try_get(1)?,
                bytes: row.try_get(2)?,
                batch: row.try_get(3)?,
            };
            if let Some(key) = keys.get(&digest) {
                known.entry((*key).to_owned()).or_default().push(state);
            }
        }
    }
    Ok(known)
}

/// A key that was read, in one of the states in which it was.
#[derive(Debug)]
pub struct Row {
    pub key_digest: String,
    pub key: String,
    /// Since when it is known to be gone.
    pub gone_at: Option<String>,
}

/// Hands on all that is remembered of a source.
///
/// # Errors
/// The ledger's.
pub async fn each_row(ledger: &Ledger, source: &str, mut take: impl FnMut(Row) + Send) -> Result<()> {
    query("SELECT key_digest, object_key, gone_at FROM source_object WHERE source = ?")
        .bind(source)
        .for_each(ledger, |row| {
            take(Row {
                key_digest: row.try_get(0)?,
                key: row.try_get(1)?,
                gone_at: row.try_get(2)?,
            });
            Ok(())
        })
        .await
}

/// Keys that are changed at a time: few, because each row is looked for among them when it is sealed again.
const CHANGED: usize = 50;

/// Notes since when keys are gone, or that they are there.
///
/// # Errors
/// The ledger's.
pub async fn set_gone(tx: &mut Tx, source: &str, key_digests: &[String], at: Option<&str>) -> Result<()> {
    for asked in key_digests.chunks(CHANGED) {
        let (condition, binds) = of_keys(source, asked);
        query(format!("UPDATE source_object SET gone_at = ? WHERE {condition}"))
            .bind(at.map(ToOwned::to_owned))
            .bind_all(binds.clone())
            .execute(&mut *tx)
            .await?;
        reseal(tx, "source_object", &condition, &binds).await?;
    }
    Ok(())
}

/// Forgets keys that are still noted as gone.
///
/// # Errors
/// The ledger's.
pub async fn forget(tx: &mut Tx, source: &str, key_digests: &[String]) -> Result<()> {
    for asked in key_digests.chunks(CHANGED) {
        let (condition, binds) = of_keys(source, asked);
        delete_rows(
            tx,
            "source_object",
            &format!("{condition} AND gone_at IS NOT NULL"),
            &binds,
        )
        .await?;
    }
    Ok(())
}

/// A condition with its binds.
fn of_keys(source: &str, key_digests: &[String]) -> (String, Vec<Value>) {
    let places = vec!["?"; key_digests.len()].join(", ");
    let digests = key_digests.iter().map(|digest| digest.as_str().into());
    (
        format!("source = ? AND key_digest IN ({places})"),
        std::iter::once(source.into()).chain(digests).collect(),
    )
}

fn bytes_of(object: &Object) -> i64 {
    i64::try_from(object.bytes).unwrap_or(i64::MAX)
}

fn etag_of(object: &Object) -> String {
    if object.etag.len() <= ETAG_MAX {
        object.etag.clone()
    } else {
        sha256_hex(object.etag.as_bytes())
    }
}
