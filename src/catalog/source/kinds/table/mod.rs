//! A table or query of a database server as a source: where it is, which columns give its rows an order, and which make a record.

mod columns;
mod overlap;

use std::path::PathBuf;

pub use columns::{Columns, FIELDS, Fixed, Member, Origin, PARAMETER};
pub use overlap::Overlap;

use crate::catalog::source::secret::SecretPlace;
use crate::storage::ledger::{Engine, fault_of_url, has_password, without_password};
use crate::support::quote::quoted;

/// Rows of a page where a definition does not say: a few megabytes.
const PAGE_ROWS: u32 = 10_000;

/// More rows would be more memory and no more speed.
const PAGE_ROWS_MAX: u32 = 100_000;

/// What a definition of kind `mysql` or `postgres` says.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// `postgres://USER@HOST/DATABASE` or `mysql://USER@HOST/DATABASE`, without a password.
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// The table or view, perhaps after its schema or database and a dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// A SELECT in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The column by which rows are read in order: a time or an integer that only grows, and is never NULL.
    pub cursor: String,
    /// The column that tells rows of one cursor value apart.
    pub key: String,
    /// How far before the newest row each pull begins.
    pub overlap: Overlap,
    #[serde(default = "page_rows")]
    pub page_rows: u32,
    pub columns: Columns,
}

fn page_rows() -> u32 {
    PAGE_ROWS
}

impl Table {
    /// Where the password is.
    ///
    /// # Errors
    /// A sentence where two places are named.
    pub fn password(&self) -> Result<Option<SecretPlace>, String> {
        SecretPlace::of("password", self.password_file.as_ref(), self.password_env.as_ref())
    }

    /// The table's name, or what stands for it in messages about a query.
    pub fn name(&self) -> &str {
        self.table.as_deref().unwrap_or("query")
    }

    /// The server and database, without the user.
    pub fn place(&self) -> String {
        without_password(&self.url)
    }

    /// Checks what the keys say together; `engine` is that of the kind.
    ///
    /// # Errors
    /// A sentence that names the key, the value and the cure.
    pub fn check(&self, engine: Engine) -> Result<(), String> {
        self.check_url(engine)?;
        self.password()?;
        self.check_rows()?;
        for (key, name) in [("cursor", &self.cursor), ("key", &self.key)] {
            check_name(key, name)?;
        }
        if !(1..=PAGE_ROWS_MAX).contains(&self.page_rows) {
            return Err(format!(
                "`page_rows` is {}; 1 to {PAGE_ROWS_MAX} are expected",
                self.page_rows
            ));
        }
        self.columns.check()
    }

    fn check_url(&self, engine: Engine) -> Result<(), String> {
        let (schemes, example): (&[&str], _) = match engine {
            Engine::Postgres => (&["postgres", "postgresql"], "postgres://USER@HOST/DATABASE"),
            _ => (&["mysql", "mariadb"], "mysql://USER@HOST/DATABASE"),
        };
        let url = &self.url;
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        if !schemes.contains(&scheme) {
            return Err(format!("`url` must be {example}"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(end);
        if has_password(url) || after.contains(['@', '#']) {
            return Err(
                "`url` has a password, or a sign that would cut it; name the place of the password with `password_file` or \
                 `password_env`, and write @ : / ? # % in a user as %40 %3A %2F %3F %23 %25"
                    .to_owned(),
            );
        }
        let host = authority.rsplit('@').next().unwrap_or_default();
        let names_host = |option: &str| option.starts_with("host") || option.starts_with("socket=");
        let options = after.split_once('?').map_or("", |(_, options)| options);
        if host.is_empty() && !options.split('&').any(names_host) {
            return Err(format!("`url` names no host; it must be {example}"));
        }
        fault_of_url(engine, url).map_or(Ok(()), |what| Err(format!("`url` {}: {what}", self.place())))
    }

    /// Where the rows come from.
    fn check_rows(&self) -> Result<(), String> {
        match (&self.table, &self.query) {
            (Some(_), Some(_)) => Err("`table` and `query` both say what is read; remove one of them".to_owned()),
            (None, None) => Err("`table` is missing, or `query`: one of them says what is read".to_owned()),
            (Some(table), None) => check_table(table),
            (None, Some(query)) => check_query(query),
        }
    }
}

fn check_table(table: &str) -> Result<(), String> {
    if table.split('.').count() > 2 {
        return Err(format!(
            "`table` is {}; NAME or SCHEMA.NAME is expected (a name that has a dot itself is read with `query`)",
            quoted(table)
        ));
    }
    table.split('.').try_for_each(|part| check_name("table", part))
}

/// A query is read as a table: `SELECT ... FROM (query)`. What would end it early is refused here; what is no query at all the server
/// says, which prepares it before anything is read.
fn check_query(query: &str) -> Result<(), String> {
    let first = query.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if !matches!(first.as_str(), "SELECT" | "WITH") {
        return Err("`query` does not begin with SELECT (or WITH); nothing else is run".to_owned());
    }
    if query.contains([';', '\0']) {
        return Err("`query` has a `;`; write one SELECT without it".to_owned());
    }
    let upper = query.to_ascii_uppercase();
    let mut words = upper.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
    match words.find(|word| matches!(*word, "LIMIT" | "OFFSET" | "FETCH")) {
        Some(word) => Err(format!(
            "`query` has {word}, which would leave rows out for ever; pages are made of it by `page_rows`"
        )),
        None => Ok(()),
    }
}

/// Names are quoted wherever they stand in SQL, so that they may be any but an empty one.
fn check_name(key: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains('\0') {
        return Err(format!(
            "`{key}` is {}; the name of a column or table is expected",
            quoted(name)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
