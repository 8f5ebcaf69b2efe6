//! Names of the customer's records: ids in conflicts and voids, and the bytes of refused lines.

use std::collections::{BTreeMap, HashSet};

use super::Renamed;
use crate::context::Books;
use crate::erasure::files::Rewritten;
use crate::erasure::pseudonym::Pseudonyms;
use crate::erasure::store;
use crate::erasure::words::Words;
use crate::storage::ledger::{RowEdit, Tx, Value, rewrite_rows};
use crate::storage::raw::store::expired_days;
use crate::support::error::{Error, Result};
use crate::support::random::random;
use crate::values::digest::hex;

/// What stands in the place of ids: the same for the same one, so that a void and what it took back still belong together.
#[derive(Default)]
struct Ids(BTreeMap<String, String>);

impl Ids {
    fn instead_of(&mut self, id: &str) -> Result<String> {
        if let Some(known) = self.0.get(id) {
            return Ok(known.clone());
        }
        let made = format!("{REPLACED}{}", hex(&random::<8>()?));
        self.0.insert(id.to_owned(), made.clone());
        Ok(made)
    }

    fn replace(&mut self, row: &mut RowEdit, column: &str) -> Result<()> {
        let id = row.text(column)?.unwrap_or_default().to_owned();
        row.set(column, self.instead_of(&id)?)
    }
}

/// How an id begins that stands in the place of another.
const REPLACED: &str = "erased-";

fn is_replaced(id: &str) -> bool {
    id.starts_with(REPLACED)
}

/// The source of a row, and the id in one of its columns.
fn identity(row: &RowEdit, column: &str) -> Result<(String, String)> {
    let text = |column| Ok::<_, Error>(row.text(column)?.unwrap_or_default().to_owned());
    Ok((text("source")?, text(column)?))
}

/// Renames what the ledger knows by the customer's own names. Returns ids with what stands in their place.
pub async fn rename(
    books: &Books,
    tx: &mut Tx,
    words: &Words,
    files: &Rewritten<'_>,
    names: &Pseudonyms,
    renamed: &mut Renamed,
) -> Result<BTreeMap<String, String>> {
    let mut ids = Ids::default();
    // Ids of other sources are other records.
    let mut known: HashSet<(String, String)> = HashSet::new();
    let is_of_it = |row: &RowEdit, columns: [&str; 2]| -> Result<bool> {
        let [batch, line] = columns;
        let (Value::Integer(batch), Value::Integer(line)) = (row.value(batch)?, row.value(line)?) else {
            return Ok(false);
        };
        Ok(u32::try_from(*line).is_ok_and(|line| files.voids().contains(&(*batch, line))))
    };
    let rows = rewrite_rows(
        tx,
        "conflict",
        "uin = ? OR uin IS NULL",
        &[names.erased_uin.to_string().into()],
        |row| {
            let is_own = row.text("uin")?.is_some();
            let is_of_void = is_of_it(row, ["batch", "line"])? || is_of_it(row, ["first_batch", "first_line"])?;
            if is_own {
                row.set("uin", names.uin.to_string())?;
            }
            if is_own || is_of_void {
                known.insert(identity(row, "id")?);
                ids.replace(row, "id")?;
            }
            Ok(())
        },
    )
    .await?;
    renamed.add("conflict", rows);
    let expired = expired_days(&books.ledger).await?;
    let expired: HashSet<String> = expired.iter().map(ToString::to_string).collect();
    let mut of_nobody = Ids::default();
    let rows = rewrite_rows(tx, "void", "1 = 1", &[], |row| {
        let is_void = is_of_it(row, ["batch", "line"])?;
        let target = row.text("target")?.unwrap_or_default();
        let says_number =
            words.mentions(target.as_bytes()) || words.mentions(row.text("id")?.unwrap_or_default().as_bytes());
        if is_void || says_number || known.contains(&identity(row, "target")?) {
            ids.replace(row, "target")?;
            ids.replace(row, "id")?;
        } else if row.text("utc_day")?.is_some_and(|day| expired.contains(day)) && !is_replaced(target) {
            // Nobody can tell whose the record was, and nothing looks for its id any more.
            of_nobody.replace(row, "target")?;
            of_nobody.replace(row, "id")?;
        }
        Ok(())
    })
    .await?;
    renamed.add("void", rows);
    let mut lines = 0;
    for number in store::quarantined(&books.ledger, words, false).await? {
        lines += rewrite_rows(tx, "quarantine", "quarantine = ?", &[number.into()], |row| {
            row.set("payload", Value::NullText)
        })
        .await?;
    }
    renamed.add("quarantine", lines);
    Ok(ids.0)
}
