//! The ledger of rate cards.

use chrono::NaiveDate;
use sqlx::Row as _;

use super::RateCard;
use super::book::CardBook;
use crate::error::{Error, Result};
use crate::ledger::{Ledger, Tx};

/// An imported revision, as `rate-card list` shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ImportedCard {
    pub name: String,
    pub valid_from: String,
    pub revision: i64,
    pub digest: String,
    pub imported_at: String,
}

/// The newest revision of every version.
pub async fn load_cards(ledger: &Ledger) -> Result<CardBook> {
    let rows = sqlx::query(
        "SELECT body, digest FROM rate_card c WHERE revision = \
         (SELECT MAX(revision) FROM rate_card d WHERE d.name = c.name AND d.valid_from = c.valid_from)",
    )
    .fetch_all(ledger.pool())
    .await?;
    let mut cards = Vec::with_capacity(rows.len());
    for row in rows {
        let card = RateCard::from_canonical(&row.try_get::<String, _>(0)?)?;
        if card.digest() != row.try_get::<String, _>(1)? {
            return Err(Error::Unbalanced(format!(
                "rate card {} of {} in the ledger is not what was imported",
                card.name, card.from
            )));
        }
        cards.push(card);
    }
    Ok(CardBook::new(cards))
}

/// Every imported revision.
pub async fn imported(ledger: &Ledger) -> Result<Vec<ImportedCard>> {
    let rows = sqlx::query(
        "SELECT name, valid_from, revision, digest, imported_at FROM rate_card ORDER BY name, valid_from, revision",
    )
    .fetch_all(ledger.pool())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ImportedCard {
                name: row.try_get(0)?,
                valid_from: row.try_get(1)?,
                revision: row.try_get(2)?,
                digest: row.try_get(3)?,
                imported_at: row.try_get(4)?,
            })
        })
        .collect()
}

/// The newest revision of a version: its number and the card.
pub async fn newest(tx: &mut Tx, name: &str, from: NaiveDate) -> Result<Option<(i64, RateCard)>> {
    let row = sqlx::query(
        "SELECT revision, body FROM rate_card WHERE name = ? AND valid_from = ? ORDER BY revision DESC LIMIT 1",
    )
    .bind(name)
    .bind(from.to_string())
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| {
        Ok((
            row.try_get(0)?,
            RateCard::from_canonical(&row.try_get::<String, _>(1)?)?,
        ))
    })
    .transpose()
}

/// The end of the latest period closed under a card, so that no version appears in the past of a statement.
pub async fn closed_to_under(tx: &mut Tx, name: &str) -> Result<Option<String>> {
    let rows = sqlx::query(
        "SELECT MAX(c.period_end), t.body FROM closed_period c JOIN terms t ON t.uin = c.uin GROUP BY t.uin, t.body",
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut latest: Option<String> = None;
    for row in rows {
        let terms: crate::account::terms::Terms = serde_json::from_str(&row.try_get::<String, _>(1)?)?;
        let closed_to: String = row.try_get(0)?;
        if terms.card == name && latest.as_ref().is_none_or(|l| *l < closed_to) {
            latest = Some(closed_to);
        }
    }
    Ok(latest)
}

/// The version in force just before a date.
pub async fn version_before(tx: &mut Tx, name: &str, from: NaiveDate) -> Result<Option<RateCard>> {
    let row = sqlx::query(
        "SELECT body FROM rate_card WHERE name = ? AND valid_from < ? ORDER BY valid_from DESC, revision DESC LIMIT 1",
    )
    .bind(name)
    .bind(from.to_string())
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| Ok(RateCard::from_canonical(&row.try_get::<String, _>(0)?)?))
        .transpose()
}

/// The last day that has usage, under any card.
pub async fn last_metered_day(tx: &mut Tx) -> Result<Option<String>> {
    let row = sqlx::query("SELECT MAX(day_max) FROM usage_file")
        .fetch_one(&mut **tx)
        .await?;
    Ok(row.try_get(0)?)
}

/// Adds a revision.
pub async fn add_revision(tx: &mut Tx, card: &RateCard, revision: i64, imported_at: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO rate_card (name, valid_from, revision, digest, body, imported_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(card.name.as_str())
    .bind(card.from.to_string())
    .bind(revision)
    .bind(card.digest())
    .bind(card.canonical())
    .bind(imported_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
