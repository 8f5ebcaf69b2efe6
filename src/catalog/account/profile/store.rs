//! The ledger of profiles.

use std::collections::BTreeMap;

use super::Profile;
use crate::catalog::account::store::parse_uin;
use crate::storage::ledger::{Channel, Row, Tx, Value, delete_rows, insert_row, insert_rows, query};
use crate::support::error::Result;

/// The tables of this file.
pub const TABLES: [&str; 2] = ["account_label", "account_profile"];

const COLUMNS: &str = "uin, version, set_at, name, contact, contract";

/// Adds a version of an account's profile.
pub async fn add_profile(tx: &mut Tx, uin: u64, profile: &Profile) -> Result<()> {
    let text = |text: &Option<String>| Value::from(text.clone());
    let row: [Value; 6] = [
        uin.to_string().into(),
        profile.version.into(),
        text(&profile.set_at),
        text(&profile.name),
        text(&profile.contact),
        text(&profile.contract),
    ];
    insert_row(tx, &format!("account_profile ({COLUMNS})"), row).await?;
    let labels = profile.labels.iter().map(|(key, value)| -> [Value; 4] {
        [
            uin.to_string().into(),
            profile.version.into(),
            key.as_str().into(),
            value.as_str().into(),
        ]
    });
    insert_rows(tx, "account_label (uin, version, label, value)", labels).await?;
    Ok(())
}

/// The profile of an account as it is; an empty one where nothing was said.
pub async fn profile_of<'c>(on: impl Into<Channel<'c>>, uin: u64) -> Result<Profile> {
    Ok(versions_of(on, uin).await?.pop().unwrap_or_default())
}

/// All versions of an account's profile, oldest first.
pub async fn versions_of<'c>(on: impl Into<Channel<'c>>, uin: u64) -> Result<Vec<Profile>> {
    let mut all = load(on, "WHERE p.uin = ?", Some(uin)).await?;
    Ok(all.remove(&uin).unwrap_or_default())
}

/// The profile of every account that has one, as it is.
pub async fn profiles<'c>(on: impl Into<Channel<'c>>) -> Result<BTreeMap<u64, Profile>> {
    let newest = "WHERE p.version = (SELECT MAX(q.version) FROM account_profile q WHERE q.uin = p.uin)";
    let all = load(on, newest, None).await?;
    let newest = all
        .into_iter()
        .filter_map(|(uin, mut versions)| Some((uin, versions.pop()?)));
    Ok(newest.collect())
}

/// Versions that fulfil a condition, with their labels: a row for each label, and one where there is none.
async fn load<'c>(
    on: impl Into<Channel<'c>>,
    condition: &str,
    uin: Option<u64>,
) -> Result<BTreeMap<u64, Vec<Profile>>> {
    let rows = query(format!(
        "SELECT p.uin, p.version, p.set_at, p.name, p.contact, p.contract, l.label, l.value FROM account_profile p \
         LEFT JOIN account_label l ON l.uin = p.uin AND l.version = p.version {condition} ORDER BY p.uin, p.version, l.label"
    ))
    .bind_all(uin.map(|uin| uin.to_string().into()))
    .fetch_all(on)
    .await?;
    let mut all: BTreeMap<u64, Vec<Profile>> = BTreeMap::new();
    for row in rows {
        let versions = all.entry(parse_uin(&row.try_get::<String>(0)?)?).or_default();
        let version: i64 = row.try_get(1)?;
        if versions.last().is_none_or(|last| last.version != version) {
            versions.push(profile(&row, version)?);
        }
        let label: Option<String> = row.try_get(6)?;
        if let (Some(label), Some(profile)) = (label, versions.last_mut()) {
            profile.labels.insert(label, row.try_get(7)?);
        }
    }
    Ok(all)
}

fn profile(row: &Row, version: i64) -> Result<Profile> {
    Ok(Profile {
        version,
        set_at: row.try_get(2)?,
        name: row.try_get(3)?,
        contact: row.try_get(4)?,
        contract: row.try_get(5)?,
        labels: BTreeMap::new(),
    })
}

/// Removes all that was said of an account, in every version. Returns the rows that went, by table.
pub async fn remove_profile(tx: &mut Tx, uin: u64) -> Result<[(&'static str, i64); 2]> {
    let mut gone = [(TABLES[0], 0), (TABLES[1], 0)];
    for (table, rows) in &mut gone {
        *rows = delete_rows(tx, table, "uin = ?", &[uin.to_string().into()]).await?;
    }
    Ok(gone)
}
