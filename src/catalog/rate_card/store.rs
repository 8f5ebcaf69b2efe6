//! The ledger of rate cards.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;

use super::RateCard;
use super::catalog::RateCatalog;
use crate::catalog::account::Accounts;
use crate::catalog::account::erased::store::pseudonyms;
use crate::catalog::account::store::parse_uin;
use crate::storage::ledger::{Channel, Ledger, Tx, Value, insert_row, insert_rows, next_number, query};
use crate::storage::raw::store::parse_day;
use crate::support::error::{Error, Result};

/// A condition on the number of an import: no person withdrew it.
pub const NOT_WITHDRAWN: &str = "NOT IN (SELECT w.card FROM withdrawn_card w)";

/// An imported revision, as `rate-card list` shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ImportedCard {
    pub name: String,
    pub valid_from: String,
    pub revision: i64,
    pub digest: String,
    pub imported_at: String,
    /// When a person withdrew it, before any day used it.
    pub withdrawn_at: Option<String>,
}

/// The newest revision of every version.
pub async fn load_cards(ledger: &Ledger) -> Result<RateCatalog> {
    cards_up_to(ledger, i64::MAX).await
}

/// The newest revision of every version, and the number of the last import.
pub async fn load_cards_and_number(ledger: &Ledger) -> Result<(RateCatalog, i64)> {
    let row = query("SELECT COALESCE(MAX(card), 0) FROM rate_card")
        .fetch_one(ledger)
        .await?;
    let number = row.try_get(0)?;
    Ok((cards_up_to(ledger, number).await?, number))
}

/// The cards as they were after the import of that number. Versions that were withdrawn since are not among them: no day used them.
pub async fn cards_up_to<'c>(on: impl Into<Channel<'c>>, number: i64) -> Result<RateCatalog> {
    let rows = query(format!(
        "SELECT body, digest FROM rate_card c WHERE revision = (SELECT MAX(revision) FROM rate_card d \
         WHERE d.name = c.name AND d.valid_from = c.valid_from AND d.card <= ? AND d.card {NOT_WITHDRAWN})"
    ))
    .bind(number)
    .fetch_all(on)
    .await?;
    let mut cards = Vec::with_capacity(rows.len());
    for row in rows {
        let card = RateCard::from_canonical(&row.try_get::<String>(0)?)?;
        if card.digest() != row.try_get::<String>(1)? {
            return Err(Error::Unbalanced(format!(
                "rate card {} of {} in the ledger differs from the imported file; restore the ledger from a backup",
                card.name, card.from
            )));
        }
        cards.push(card);
    }
    Ok(RateCatalog::new(cards))
}

/// The newest revision of every version of one card, by first day.
pub async fn versions_of(tx: &mut Tx, name: &str) -> Result<Vec<Arc<RateCard>>> {
    Ok(cards_up_to(&mut *tx, i64::MAX).await?.of_name(name).to_vec())
}

/// Revisions whose body is not what was imported.
pub async fn damaged_cards(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query("SELECT name, valid_from, revision, body, digest FROM rate_card ORDER BY card")
        .fetch_all(ledger)
        .await?;
    let mut damaged = Vec::new();
    for row in rows {
        let (body, digest): (String, String) = (row.try_get(3)?, row.try_get(4)?);
        let read = RateCard::from_canonical(&body);
        if read.as_ref().map(RateCard::digest).ok().as_ref() != Some(&digest) {
            let (name, from, revision): (String, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            damaged.push(format!(
                "rate card {name} of {from}, revision {revision}, in the ledger differs from the imported file; restore the ledger \
                 from a backup"
            ));
        }
    }
    Ok(damaged)
}

/// Every imported revision.
pub async fn imported(ledger: &Ledger) -> Result<Vec<ImportedCard>> {
    let rows = query(
        "SELECT c.name, c.valid_from, c.revision, c.digest, c.imported_at, w.withdrawn_at FROM rate_card c \
         LEFT JOIN withdrawn_card w ON w.card = c.card ORDER BY c.name, c.valid_from, c.revision",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ImportedCard {
                name: row.try_get(0)?,
                valid_from: row.try_get(1)?,
                revision: row.try_get(2)?,
                digest: row.try_get(3)?,
                imported_at: row.try_get(4)?,
                withdrawn_at: row.try_get(5)?,
            })
        })
        .collect()
}

/// When a person withdrew that very revision of a version; none when nobody did, or it was imported again since.
pub async fn withdrawn(tx: &mut Tx, card: &RateCard) -> Result<Option<String>> {
    let row = query(
        "SELECT w.withdrawn_at FROM rate_card c LEFT JOIN withdrawn_card w ON w.card = c.card \
         WHERE c.name = ? AND c.valid_from = ? AND c.digest = ? ORDER BY c.revision DESC LIMIT 1",
    )
    .bind(card.name.as_str())
    .bind(card.from.to_string())
    .bind(card.digest())
    .fetch_optional(&mut *tx)
    .await?;
    row.map_or(Ok(None), |row| row.try_get(0))
}

/// The last number that a revision of a version has, also of those that were withdrawn; 0 before the first.
pub async fn last_revision(tx: &mut Tx, card: &RateCard) -> Result<i64> {
    let row = query("SELECT COALESCE(MAX(revision), 0) FROM rate_card WHERE name = ? AND valid_from = ?")
        .bind(card.name.as_str())
        .bind(card.from.to_string())
        .fetch_one(&mut *tx)
        .await?;
    row.try_get(0)
}

/// The imports of a version that nobody withdrew yet.
pub async fn imports_of(tx: &mut Tx, name: &str, from: NaiveDate) -> Result<Vec<i64>> {
    let sql =
        format!("SELECT card FROM rate_card WHERE name = ? AND valid_from = ? AND card {NOT_WITHDRAWN} ORDER BY card");
    let rows = query(sql).bind(name).bind(from.to_string()).fetch_all(&mut *tx).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Notes that imports are in force no more.
pub async fn withdraw(tx: &mut Tx, cards: &[i64], withdrawn_at: &str, audit: i64) -> Result<()> {
    let rows = cards
        .iter()
        .map(|card| -> [Value; 3] { [card.into(), withdrawn_at.into(), audit.into()] });
    insert_rows(tx, "withdrawn_card (card, withdrawn_at, audit)", rows).await?;
    Ok(())
}

/// The newest revision of a version: its number and the card.
pub async fn newest(tx: &mut Tx, name: &str, from: NaiveDate) -> Result<Option<(i64, RateCard)>> {
    let row = query(format!(
        "SELECT revision, body FROM rate_card WHERE name = ? AND valid_from = ? AND card {NOT_WITHDRAWN} ORDER BY \
            revision DESC LIMIT 1"
    ))
    .bind(name)
    .bind(from.to_string())
    .fetch_optional(&mut *tx)
    .await?;
    row.map(|row| Ok((row.try_get(0)?, RateCard::from_canonical(&row.try_get::<String>(1)?)?)))
        .transpose()
}

/// A revision that a correction took the place of.
#[derive(Clone, Debug)]
pub struct Superseded {
    pub revision: i64,
    pub corrected_at: String,
}

/// Whether a card is an earlier revision of its version, which was corrected since.
pub async fn superseded(tx: &mut Tx, card: &RateCard) -> Result<Option<Superseded>> {
    let row = query(
        "SELECT c.revision, n.imported_at FROM rate_card c JOIN rate_card n ON n.name = c.name AND n.valid_from = c.valid_from \
         AND n.revision > c.revision AND n.corrects = 1 WHERE c.name = ? AND c.valid_from = ? AND c.digest = ? \
         ORDER BY n.revision DESC LIMIT 1",
    )
    .bind(card.name.as_str())
    .bind(card.from.to_string())
    .bind(card.digest())
    .fetch_optional(&mut *tx)
    .await?;
    row.map(|row| {
        Ok(Superseded {
            revision: row.try_get(0)?,
            corrected_at: row.try_get(1)?,
        })
    })
    .transpose()
}

/// The end of the latest period closed under a card, so that no version appears in the past of a statement.
pub async fn closed_to_under(tx: &mut Tx, name: &str) -> Result<Option<String>> {
    let rows = query(
        "SELECT MAX(c.period_end), g.body FROM agreement g JOIN \
         (SELECT t.agreement, c.period_end FROM closed_period c JOIN terms t ON t.uin = c.uin) c ON c.agreement = g.agreement \
         GROUP BY g.agreement, g.body",
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut latest: Option<String> = None;
    for row in rows {
        let terms: crate::catalog::account::terms::Terms = serde_json::from_str(&row.try_get::<String>(1)?)?;
        let closed_to: String = row.try_get(0)?;
        if terms.card == name && latest.as_ref().is_none_or(|l| *l < closed_to) {
            latest = Some(closed_to);
        }
    }
    Ok(latest)
}

/// The version in force just before a date.
pub async fn version_before(tx: &mut Tx, name: &str, from: NaiveDate) -> Result<Option<RateCard>> {
    let row = query(format!(
        "SELECT body FROM rate_card WHERE name = ? AND valid_from < ? AND card {NOT_WITHDRAWN} \
         ORDER BY valid_from DESC, revision DESC LIMIT 1"
    ))
    .bind(name)
    .bind(from.to_string())
    .fetch_optional(&mut *tx)
    .await?;
    row.map(|row| Ok(RateCard::from_canonical(&row.try_get::<String>(0)?)?))
        .transpose()
}

/// The first day of the version after a date; none for the last version.
pub async fn version_after(tx: &mut Tx, name: &str, from: NaiveDate) -> Result<Option<NaiveDate>> {
    let row = query(format!(
        "SELECT MIN(valid_from) FROM rate_card WHERE name = ? AND valid_from > ? AND card {NOT_WITHDRAWN}"
    ))
    .bind(name)
    .bind(from.to_string())
    .fetch_one(&mut *tx)
    .await?;
    row.try_get::<Option<String>>(0)?.as_deref().map(parse_day).transpose()
}

/// Lists the closed periods that a corrected version prices, by account and first day, so that they are rated again. Usage before an account's first
/// closed period was billed by adjustments, for periods that no row names: they are found by its days. Erased accounts are left out, and
/// counted.
pub async fn rate_again(
    tx: &mut Tx,
    card: &RateCard,
    until: Option<NaiveDate>,
    number: i64,
    accounts: &Accounts,
) -> Result<RatedAgain> {
    let until = until.unwrap_or(NaiveDate::MAX);
    let gone = lines_gone(tx).await?;
    let mut again: BTreeSet<(u64, NaiveDate)> = BTreeSet::new();
    for row in query("SELECT uin, period_start, period_end FROM closed_period")
        .fetch_all(&mut *tx)
        .await?
    {
        let uin = parse_uin(&row.try_get::<String>(0)?)?;
        let (start, end) = (
            parse_day(&row.try_get::<String>(1)?)?,
            parse_day(&row.try_get::<String>(2)?)?,
        );
        if card.from < end && start < until && is_under(accounts, uin, start, &card.name) {
            again.insert((uin, start));
        }
    }
    for row in query(
        "SELECT DISTINCT l.uin, l.day FROM late_usage l \
         JOIN (SELECT uin, MIN(period_start) AS first FROM closed_period GROUP BY uin) f ON f.uin = l.uin \
         WHERE l.day < f.first AND l.closing IS NOT NULL",
    )
    .fetch_all(&mut *tx)
    .await?
    {
        let uin = parse_uin(&row.try_get::<String>(0)?)?;
        let day = parse_day(&row.try_get::<String>(1)?)?;
        let Some(account) = accounts.get(uin) else { continue };
        let period = account.period_of(day);
        if card.from < period.end && period.start < until && is_under(accounts, uin, period.start, &card.name) {
            again.insert((uin, period.start));
        }
    }
    let erased = pseudonyms(&mut *tx).await?;
    let left_out: BTreeSet<u64> = again
        .iter()
        .map(|(uin, _)| *uin)
        .filter(|uin| erased.contains(uin))
        .collect();
    again.retain(|(uin, _)| !left_out.contains(uin));
    if let Some((uin, start)) = again
        .iter()
        .find(|(uin, start)| gone.get(uin).is_some_and(|to| start < to))
    {
        return Err(Error::NeedsPerson(format!(
            "rate card {} of {}: the correction would rate period {start} of account {uin} again, and what was billed for it is \
             past its retention (`keep_statement_months`); settle it outside tallybook, or correct a later version",
            card.name, card.from
        )));
    }
    let rows = again
        .iter()
        .map(|(uin, start)| -> [Value; 3] { [uin.to_string().into(), start.to_string().into(), number.into()] });
    insert_rows(tx, "rerate (uin, period_start, card)", rows).await?;
    Ok(RatedAgain {
        periods: again.into_iter().collect(),
        erased_accounts: left_out.len() as u64,
    })
}

/// What a correction rates again.
#[derive(Clone, Debug, Default)]
pub struct RatedAgain {
    /// By account and first day.
    pub periods: Vec<(u64, NaiveDate)>,
    /// Erased accounts that it would have rated again.
    pub erased_accounts: u64,
}

/// Accounts with statements whose lines are past their retention, and the end of the last such period.
async fn lines_gone(tx: &mut Tx) -> Result<HashMap<u64, NaiveDate>> {
    let rows = query(
        "SELECT s.uin, MAX(s.period_end) FROM statement s LEFT JOIN document d ON d.document = s.document \
         WHERE d.document IS NULL GROUP BY s.uin",
    )
    .fetch_all(&mut *tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok((
                parse_uin(&row.try_get::<String>(0)?)?,
                parse_day(&row.try_get::<String>(1)?)?,
            ))
        })
        .collect()
}

fn is_under(accounts: &Accounts, uin: u64, day: NaiveDate, card: &str) -> bool {
    accounts
        .get(uin)
        .is_some_and(|account| account.terms_on(day).card == card)
}

/// The last day that has usage, under any card.
pub async fn last_metered_day(tx: &mut Tx) -> Result<Option<String>> {
    let row = query("SELECT MAX(day_max) FROM usage_file").fetch_one(&mut *tx).await?;
    row.try_get(0)
}

/// Adds a revision. Returns the number of the import.
pub async fn add_revision(
    tx: &mut Tx,
    card: &RateCard,
    revision: i64,
    corrects: bool,
    imported_at: &str,
) -> Result<i64> {
    let number = next_number(tx, "card").await?;
    let row: [Value; 8] = [
        card.name.as_str().into(),
        card.from.to_string().into(),
        revision.into(),
        card.digest().into(),
        card.canonical().into(),
        imported_at.into(),
        number.into(),
        i64::from(corrects).into(),
    ];
    let into = "rate_card (name, valid_from, revision, digest, body, imported_at, card, corrects)";
    insert_row(tx, into, row).await?;
    Ok(number)
}
