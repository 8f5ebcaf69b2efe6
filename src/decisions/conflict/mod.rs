//! Conflicts: two contents under one identity. The first committed stands until a person says otherwise.
//!
//! ```text
//! list        the conflicts, with the money between the two contents
//! show        both contents side by side, and where each is or would be billed
//! resolve     keep the first, or replace it: a ledger entry, then the books move by the difference
//! many        one decision about a list that was shown
//! at close    the open conflicts of the periods that close
//! ```

pub mod at_close;
pub mod bulk;
pub mod price_difference;
pub mod store;

use std::collections::{BTreeMap, HashMap};

use crate::context::Books;
use crate::pipeline::meter::dedupe::resolution::{Resolution, RowId};
use crate::pipeline::meter::dedupe::stored_record::{Content, RealRecord};
use crate::pipeline::meter::snapshot::Snapshot;
use crate::pipeline::meter::store::resolve_conflict;
use crate::pipeline::meter::{Metered, meter};
use crate::storage::ledger::{Decision, Lease, add_audit, audit_trail};
use crate::support::error::{Error, Result};
use bulk::Filter;
use price_difference::{Between, Money};
use store::ConflictRow;

/// A conflict as people see it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Listed {
    #[serde(flatten)]
    pub row: ConflictRow,
    /// The input and line of the content that stands: the first, or one that a person put in its place.
    pub stands: String,
    /// What statements would come to more if the later content stood, by account; negative is less.
    pub money: Vec<Money>,
    /// Why there is no money to tell, or why it can only be kept.
    pub note: String,
}

/// A list of conflicts, with what a decision about all of its open ones comes to.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ListedAll {
    /// Open ones.
    pub count: usize,
    /// Of all that the list shows of open ones; a decision about them names it.
    pub digest: String,
    /// What statements would come to more, by currency and by whether it falls into closed periods, if every later content stood.
    pub money: Vec<SumOfMoney>,
    /// Why some of the money cannot be told.
    pub note: String,
    pub conflicts: Vec<Listed>,
}

/// Money of many accounts, before their statements are rounded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SumOfMoney {
    pub currency: String,
    pub closed: bool,
    pub accounts: usize,
    /// Plain decimal; negative is less.
    pub amount: String,
}

/// Both sides of a conflict.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Shown {
    #[serde(flatten)]
    pub listed: Listed,
    /// Field, the content that stands, the later content.
    pub fields: Vec<(&'static str, String, String)>,
}

/// What became of a decision.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ResolvedConflict {
    #[serde(flatten)]
    pub listed: Listed,
    /// Other open conflicts of the identity with the same content, resolved with it.
    pub repeated: Vec<i64>,
    pub audit_entry: i64,
    /// What the books moved by; a kept one moves nothing.
    pub metered: Option<Metered>,
}

/// Conflicts in the order they came: open ones, or all. `limit` none tells all.
pub async fn list(books: &Books, all: bool, limit: Option<usize>) -> Result<Vec<Listed>> {
    let mut rows = store::conflicts(&books.ledger, all).await?;
    rows.truncate(limit.unwrap_or(usize::MAX));
    Ok(with_sides(books, rows)
        .await?
        .into_iter()
        .map(|sided| sided.listed)
        .collect())
}

/// The conflicts that a filter takes, in the order they came, with their sum and digest: open ones, or all.
pub async fn list_of(books: &Books, filter: &Filter, all: bool) -> Result<ListedAll> {
    let rows = store::conflicts(&books.ledger, all).await?;
    let mut sided = with_sides(books, rows).await?;
    sided.retain(|sided| filter.takes(sided));
    ListedAll::of(books, &sided).await
}

/// All open conflicts, in the order they came.
async fn all_with_sides(books: &Books) -> Result<Vec<Sided>> {
    let rows = store::conflicts(&books.ledger, false).await?;
    with_sides(books, rows).await
}

/// The money of several open conflicts together, if every later content stood: what they share (a tier, say) counts once.
async fn sum_of(books: &Books, sided: &[&Sided]) -> Result<(Vec<SumOfMoney>, String)> {
    let mut seen = std::collections::HashSet::new();
    let pairs: Vec<_> = sided
        .iter()
        .filter(|sided| sided.only_kept.is_none())
        .filter_map(|sided| Some((sided, sided.stands.as_ref()?, sided.later.as_ref()?)))
        // Of an identity one content stands in the end.
        .filter(|(sided, ..)| seen.insert((&sided.listed.row.source, &sided.listed.row.id)))
        .map(|(_, stands, later)| (stands, later))
        .collect();
    if pairs.is_empty() {
        return Ok((Vec::new(), String::new()));
    }
    let snapshot = Snapshot::read(books).await?;
    let both: Vec<_> = pairs
        .iter()
        .map(|(stands, later)| (Some(*stands), Some(*later)))
        .collect();
    Between::read(books, &snapshot, &both).await?.sum(&pairs)
}

/// One conflict, both sides.
pub async fn show(books: &Books, number: i64) -> Result<Shown> {
    let row = store::conflict(&books.ledger, number).await?;
    let sided = one_with_sides(books, row).await?;
    Ok(Shown {
        fields: fields(sided.stands.as_ref(), sided.later.as_ref()),
        listed: sided.listed,
    })
}

/// Resolves an open conflict for good. The caller holds the lease.
pub async fn resolve(
    books: &Books,
    lease: &Lease,
    number: i64,
    word: Resolution,
    reason: &str,
) -> Result<ResolvedConflict> {
    let row = store::conflict(&books.ledger, number).await?;
    if word == Resolution::Replaced && store::waits_for_metering(&books.ledger, number).await? {
        return finish(books, lease, row).await;
    }
    if row.state == "expired" {
        return Err(Error::Usage(format!(
            "conflict {number} was given up when its day was waived, and the day has expired; its records are gone, and the first \
             version is billed"
        )));
    }
    if row.state != "open" {
        return Err(Error::Usage(format!(
            "conflict {number} is already {}; decisions are final: void the record, and send the right one under a new ID",
            row.state
        )));
    }
    let sided = one_with_sides(books, row).await?;
    if let (Resolution::Replaced, Some(why)) = (word, sided.only_kept) {
        return Err(Error::Usage(format!("conflict {number} can only be kept: {why}")));
    }
    let repeated = repeats(books, &sided).await?;
    let (action, state) = match word {
        Resolution::Replaced => ("conflict replace", "replaced"),
        Resolution::Kept | Resolution::Repeated => ("conflict keep", "kept"),
    };
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    resolve_conflict(&mut tx, number, state).await?;
    for &other in &repeated {
        resolve_conflict(&mut tx, other, "repeated").await?;
    }
    let decision = Decision {
        who: &books.settings.who,
        action,
        subject: format!("conflict {number}"),
        detail: serde_json::json!({ "conflict": sided.listed, "repeated": repeated }),
        reason,
        at: books.clock.text(),
    };
    let audit_entry = add_audit(&mut tx, &decision).await?;
    books.ledger.commit(tx, "resolve").await?;
    let metered = match word {
        Resolution::Replaced => Some(meter(books, lease).await?.0),
        Resolution::Kept | Resolution::Repeated => None,
    };
    let row = store::conflict(&books.ledger, number).await?;
    Ok(ResolvedConflict {
        listed: Listed { row, ..sided.listed },
        repeated,
        audit_entry,
        metered,
    })
}

/// Moves the books by a decision after which the program died.
async fn finish(books: &Books, lease: &Lease, row: ConflictRow) -> Result<ResolvedConflict> {
    let number = row.conflict;
    let subject = format!("conflict {number}");
    let trail = audit_trail(&books.ledger).await?;
    let is_of_list = |entry: &&crate::storage::ledger::Entry| {
        let conflicts = entry.detail["conflicts"].as_array();
        conflicts.is_some_and(|conflicts| conflicts.iter().any(|it| it.as_i64() == Some(number)))
    };
    let entry = trail
        .iter()
        .rfind(|entry| entry.subject == subject || is_of_list(entry));
    let audit_entry = entry.map_or(0, |entry| entry.entry);
    let listed = one_with_sides(books, row).await?.listed;
    let metered = Some(meter(books, lease).await?.0);
    let row = store::conflict(&books.ledger, number).await?;
    Ok(ResolvedConflict {
        listed: Listed { row, ..listed },
        repeated: Vec::new(),
        audit_entry,
        metered,
    })
}

/// A conflict with the records of both sides, as far as raw still has them.
struct Sided {
    listed: Listed,
    /// Batch and line of the content that stands.
    standing: RowId,
    stands: Option<RealRecord>,
    later: Option<RealRecord>,
    /// Why it can only be kept.
    only_kept: Option<&'static str>,
}

impl Sided {
    /// The accounts of both contents.
    fn uins(&self) -> impl Iterator<Item = u64> {
        let records = [self.stands.as_ref(), self.later.as_ref()];
        records.into_iter().flatten().filter_map(|record| record.content.uin())
    }
}

const CANNOT_TELL: &str = "the raw data of one version has expired";

async fn one_with_sides(books: &Books, row: ConflictRow) -> Result<Sided> {
    let number = row.conflict;
    with_sides(books, vec![row])
        .await?
        .pop()
        .ok_or_else(|| Error::Usage(format!("there is no conflict {number}")))
}

async fn with_sides(books: &Books, rows: Vec<ConflictRow>) -> Result<Vec<Sided>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let snapshot = Snapshot::read(books).await?;
    let stands = |row: &ConflictRow| {
        let standing = snapshot.resolutions.standing(row.first());
        standing.unwrap_or((row.first(), row.first_day_number()))
    };
    let wanted: Vec<_> = rows
        .iter()
        .flat_map(|row| [stands(row), (row.later(), row.day_number())])
        .collect();
    let records: HashMap<_, _> = snapshot.read_rows(books, wanted.into_iter()).await?;
    let inputs = store::inputs(&books.ledger).await?;
    let mut sided: Vec<Sided> = Vec::with_capacity(rows.len());
    for row in rows {
        let standing = stands(&row).0;
        let is_voided = snapshot.voids.iter().any(|void| void.took == Some(standing));
        let (stands, later) = (records.get(&standing).cloned(), records.get(&row.later()).cloned());
        sided.push(Sided {
            only_kept: only_kept(is_voided, stands.as_ref(), later.as_ref()),
            listed: Listed {
                stands: named(&inputs, standing),
                row,
                money: Vec::new(),
                note: String::new(),
            },
            standing,
            stands,
            later,
        });
    }
    let pairs: Vec<_> = sided.iter().map(|s| (s.stands.as_ref(), s.later.as_ref())).collect();
    let between = Between::read(books, &snapshot, &pairs).await?;
    let told: Vec<_> = sided.iter().map(|sided| tell(&between, sided)).collect::<Result<_>>()?;
    for (sided, (money, note)) in sided.iter_mut().zip(told) {
        (sided.listed.money, sided.listed.note) = (money, note);
    }
    Ok(sided)
}

/// Such as `usage.ndjson line 3`.
fn named(inputs: &HashMap<i64, String>, (batch, line): (i64, u32)) -> String {
    format!("{} line {line}", inputs.get(&batch).map_or("?", String::as_str))
}

fn tell(between: &Between, sided: &Sided) -> Result<(Vec<Money>, String)> {
    if sided.listed.row.state != "open" {
        return Ok((Vec::new(), String::new()));
    }
    match (&sided.stands, &sided.later, sided.only_kept) {
        (Some(stands), Some(later), None) => between.money(stands, later),
        (_, _, why) => Ok((Vec::new(), format!("can only be kept: {}", why.unwrap_or(CANNOT_TELL)))),
    }
}

fn only_kept(is_voided: bool, stands: Option<&RealRecord>, later: Option<&RealRecord>) -> Option<&'static str> {
    let is_void = |record: Option<&RealRecord>| record.is_some_and(|r| matches!(r.content, Content::Void { .. }));
    if is_voided {
        Some("the record was voided")
    } else if stands.is_none() || later.is_none() {
        Some(CANNOT_TELL)
    } else if is_void(stands) || is_void(later) {
        Some("one version is a void, which has nothing to bill")
    } else {
        None
    }
}

/// Other open conflicts of the same identity with the same content.
async fn repeats(books: &Books, sided: &Sided) -> Result<Vec<i64>> {
    let row = &sided.listed.row;
    let others: Vec<ConflictRow> = store::open_of_identity(&books.ledger, &row.source, &row.id)
        .await?
        .into_iter()
        .filter(|other| other.conflict != row.conflict)
        .collect();
    let Some(later) = &sided.later else {
        return Ok(Vec::new());
    };
    let others = with_sides(books, others).await?;
    let same = others.iter().filter(|other| {
        let other = other.later.as_ref();
        other.is_some_and(|other| other.content.is_equal(&later.content))
    });
    Ok(same.map(|other| other.listed.row.conflict).collect())
}

fn fields(stands: Option<&RealRecord>, later: Option<&RealRecord>) -> Vec<(&'static str, String, String)> {
    let named = |record: Option<&RealRecord>| -> BTreeMap<usize, (&'static str, String)> {
        let Some(record) = record else { return BTreeMap::new() };
        record.content.fields().into_iter().enumerate().collect()
    };
    let (stands, later) = (named(stands), named(later));
    let names: BTreeMap<usize, &'static str> = stands
        .iter()
        .chain(&later)
        .map(|(at, (name, _))| (*at, *name))
        .collect();
    let cell = |side: &BTreeMap<usize, (&'static str, String)>, at: usize, name: &str| {
        let found = side.get(&at).filter(|(other, _)| *other == name);
        found.map_or_else(String::new, |(_, text)| text.clone())
    };
    names
        .into_iter()
        .map(|(at, name)| (name, cell(&stands, at, name), cell(&later, at, name)))
        .collect()
}
