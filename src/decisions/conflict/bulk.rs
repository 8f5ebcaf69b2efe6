//! One decision about many conflicts: exactly those of a list that was shown, with the sum of its money. The list has a digest, the decision
//! names it, and a list that has changed is refused.

use std::collections::{BTreeMap, HashMap};

use super::price_difference::Money;
use super::{Listed, ListedAll, Sided, all_with_sides, store, sum_of};
use crate::context::Books;
use crate::pipeline::meter::dedupe::resolution::{Resolution, RowId};
use crate::pipeline::meter::store::resolve_conflict;
use crate::pipeline::meter::{Metered, meter};
use crate::storage::ledger::{Decision, Entry, Lease, add_audit, audit_trail};
use crate::support::error::{Error, Result};
use crate::support::table::counted;
use crate::values::digest::sha256_hex;

/// Digits of a list's digest: enough that no two lists of a person share them.
const DIGEST_LEN: usize = 16;

/// Conflicts named in a message.
const NAMED: usize = 10;

/// Which conflicts: all conditions hold.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Filter {
    /// The batch of the later content.
    pub batch: Option<i64>,
    /// The name of the later content's input, with its folders or without.
    pub input: Option<String>,
    /// The account of either content.
    pub account: Option<u64>,
}

/// What became of a decision about a list.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ResolvedAll {
    /// `kept` or `replaced`.
    pub state: &'static str,
    pub list: ListedAll,
    /// Other open conflicts with the same content, resolved with them.
    pub repeated: Vec<i64>,
    pub audit_entry: i64,
    /// What the books moved by; kept ones move nothing.
    pub metered: Option<Metered>,
}

impl Filter {
    pub(super) fn takes(&self, sided: &Sided) -> bool {
        let row = &sided.listed.row;
        let has_account = |uin: u64| sided.uins().any(|of| of == uin);
        self.batch.is_none_or(|batch| batch == row.batch)
            && self.input.as_ref().is_none_or(|name| is_input(&row.input, name))
            && self.account.is_none_or(has_account)
    }
}

/// Whether an input has that name, or that name in some folder.
fn is_input(input: &str, name: &str) -> bool {
    input == name || input.rsplit('/').next() == Some(name)
}

/// What the digest of a list is made of: both contents by their batch and line, and the money between them.
#[derive(serde::Serialize)]
struct Digested<'a> {
    conflict: i64,
    source: &'a str,
    id: &'a str,
    stands: RowId,
    later: RowId,
    money: &'a [Money],
    note: &'a str,
}

/// The digest of open conflicts: the same as long as a list of them shows the same.
fn digest_of(open: &[&Sided]) -> Result<String> {
    let digested = open.iter().map(|sided| Digested {
        conflict: sided.listed.row.conflict,
        source: &sided.listed.row.source,
        id: &sided.listed.row.id,
        stands: sided.standing,
        later: sided.listed.row.later(),
        money: &sided.listed.money,
        note: &sided.listed.note,
    });
    let digested: Vec<Digested> = digested.collect();
    let mut digest = sha256_hex(serde_json::to_string(&digested)?.as_bytes());
    digest.truncate(DIGEST_LEN);
    Ok(digest)
}

/// Resolves every conflict of a list for good, in one transaction. The caller holds the lease.
pub async fn resolve_all(
    books: &Books,
    lease: &Lease,
    filter: &Filter,
    digest: &str,
    word: Resolution,
    reason: &str,
) -> Result<ResolvedAll> {
    let (action, state) = match word {
        Resolution::Replaced => ("conflict replace", "replaced"),
        Resolution::Kept | Resolution::Repeated => ("conflict keep", "kept"),
    };
    if let Some(entry) = decided_before(books, action, digest).await? {
        return finish(books, lease, state, &entry).await;
    }
    let all = all_with_sides(books).await?;
    let (chosen, others): (Vec<Sided>, Vec<Sided>) = all.into_iter().partition(|sided| filter.takes(sided));
    let list = ListedAll::of(books, &chosen).await?;
    if list.digest != digest {
        return Err(changed(&list, digest));
    }
    if chosen.is_empty() {
        return Err(Error::Usage("the list has no open conflicts".to_owned()));
    }
    if word == Resolution::Replaced {
        refuse_what_cannot(&chosen)?;
    }
    let (first, repeated) = repeats(&chosen, &others);
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    for &number in &first {
        resolve_conflict(&mut tx, number, state).await?;
    }
    for &number in &repeated {
        resolve_conflict(&mut tx, number, "repeated").await?;
    }
    let decision = Decision {
        who: &books.settings.who,
        action,
        subject: format!("{} conflicts", chosen.len()),
        detail: serde_json::json!({
            "list": digest, "filter": filter, "conflicts": first, "repeated": repeated, "money": list.money, "shown": list.conflicts,
        }),
        reason,
        at: books.clock.text(),
    };
    let audit_entry = add_audit(&mut tx, &decision).await?;
    books.ledger.commit(tx, "resolve").await?;
    let metered = match word {
        Resolution::Replaced => Some(meter(books, lease).await?.0),
        Resolution::Kept | Resolution::Repeated => None,
    };
    Ok(ResolvedAll {
        state,
        list,
        repeated,
        audit_entry,
        metered,
    })
}

/// The decision about that very list, if it was made: the program may have died after it.
async fn decided_before(books: &Books, action: &str, digest: &str) -> Result<Option<Entry>> {
    let trail = audit_trail(&books.ledger).await?;
    Ok(trail
        .into_iter()
        .rfind(|entry| entry.action == action && entry.detail["list"].as_str() == Some(digest)))
}

/// Moves the books by a decision after which the program died.
async fn finish(books: &Books, lease: &Lease, state: &'static str, entry: &Entry) -> Result<ResolvedAll> {
    if state == "kept" || !store::any_waits_for_metering(&books.ledger).await? {
        return Err(Error::Usage(format!(
            "that list was already decided on {} by {} (audit entry {}); decisions are final",
            entry.at, entry.who, entry.entry
        )));
    }
    Ok(ResolvedAll {
        state,
        list: ListedAll::default(),
        repeated: Vec::new(),
        audit_entry: entry.entry,
        metered: Some(meter(books, lease).await?.0),
    })
}

fn changed(list: &ListedAll, digest: &str) -> Error {
    Error::Usage(format!(
        "--list {digest} is out of date: the list now has {} and the digest {}, because conflicts were added or resolved, or their \
         amounts changed; run `tallybook conflict list` again with the same filters. Nothing was written",
        counted(list.count, "open conflict"),
        list.digest
    ))
}

/// The later content of each must be one that can stand, and one alone of an identity.
fn refuse_what_cannot(chosen: &[Sided]) -> Result<()> {
    let only_kept: Vec<i64> = chosen
        .iter()
        .filter(|sided| sided.only_kept.is_some())
        .map(|sided| sided.listed.row.conflict)
        .collect();
    if !only_kept.is_empty() {
        return Err(Error::Usage(format!(
            "{} on the list can only be kept: {}; keep them first (`tallybook conflict keep NUMBER --reason TEXT`), then list \
             again. Nothing was written",
            counted(only_kept.len(), "conflict"),
            named(&only_kept)
        )));
    }
    let mut contents: HashMap<(&str, &str), (&Sided, i64)> = HashMap::new();
    for sided in chosen {
        let row = &sided.listed.row;
        let (one, number) = *contents.entry((&row.source, &row.id)).or_insert((sided, row.conflict));
        if !has_same_later(one, sided) {
            return Err(Error::Usage(format!(
                "conflicts {number} and {} are two later versions of {} {}, and only one can be used; decide these one by one, \
                 then list again. Nothing was written",
                row.conflict, row.source, row.id
            )));
        }
    }
    Ok(())
}

fn has_same_later(one: &Sided, other: &Sided) -> bool {
    match (&one.later, &other.later) {
        (Some(one), Some(other)) => one.content.is_equal(&other.content),
        _ => false,
    }
}

/// Of those chosen the first of each content, and all others with the same content, chosen or not.
fn repeats(chosen: &[Sided], others: &[Sided]) -> (Vec<i64>, Vec<i64>) {
    let mut firsts: BTreeMap<(&str, &str), Vec<&Sided>> = BTreeMap::new();
    let (mut first, mut repeated) = (Vec::new(), Vec::new());
    for sided in chosen {
        let row = &sided.listed.row;
        let known = firsts.entry((&row.source, &row.id)).or_default();
        if known.iter().any(|known| has_same_later(known, sided)) {
            repeated.push(row.conflict);
        } else {
            known.push(sided);
            first.push(row.conflict);
        }
    }
    for sided in others {
        let row = &sided.listed.row;
        let known = firsts.get(&(row.source.as_str(), row.id.as_str()));
        if known.is_some_and(|known| known.iter().any(|known| has_same_later(known, sided))) {
            repeated.push(row.conflict);
        }
    }
    (first, repeated)
}

/// The first few of them.
fn named(numbers: &[i64]) -> String {
    let mut names: Vec<String> = numbers.iter().take(NAMED).map(ToString::to_string).collect();
    if NAMED < numbers.len() {
        names.push("...".to_owned());
    }
    names.join(", ")
}

impl ListedAll {
    pub(super) async fn of(books: &Books, sided: &[Sided]) -> Result<Self> {
        let conflicts: Vec<Listed> = sided.iter().map(|sided| sided.listed.clone()).collect();
        let open: Vec<&Sided> = sided.iter().filter(|sided| sided.listed.row.state == "open").collect();
        let (money, note) = sum_of(books, &open).await?;
        Ok(Self {
            count: open.len(),
            digest: digest_of(&open)?,
            money,
            note,
            conflicts,
        })
    }
}
