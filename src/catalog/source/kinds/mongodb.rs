//! A collection of `MongoDB` as a source: where it is, which field gives its documents an order, and which make a record.

use std::path::PathBuf;

use super::table::{Columns, Overlap};
use crate::catalog::source::secret::SecretPlace;
use crate::storage::ledger::{has_password, without_password};
use crate::support::quote::quoted;

/// Documents of a page where a definition does not say.
const PAGE_DOCUMENTS: u32 = 10_000;

/// More would be more memory and no more speed.
const PAGE_DOCUMENTS_MAX: u32 = 100_000;

/// What a definition of kind `mongodb` says.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// `mongodb://USER@HOST` or `mongodb+srv://USER@HOST`, without a password.
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    pub database: String,
    pub collection: String,
    /// The path by which documents are read in order: `_id` where ids are of the database's own making, or that of a date.
    #[serde(default = "id")]
    pub cursor: String,
    /// How long before the newest document each pull begins.
    pub overlap: Overlap,
    /// Whether its change stream is followed once it was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watch: bool,
    #[serde(default = "page_documents")]
    pub page_documents: u32,
    /// Which path is which field; a path has dots between its names.
    pub columns: Columns,
}

fn id() -> String {
    "_id".to_owned()
}

fn page_documents() -> u32 {
    PAGE_DOCUMENTS
}

impl Collection {
    /// Where the password is.
    ///
    /// # Errors
    /// A sentence where two places are named.
    pub fn password(&self) -> Result<Option<SecretPlace>, String> {
        SecretPlace::of("password", self.password_file.as_ref(), self.password_env.as_ref())
    }

    /// The server, without the user.
    pub fn place(&self) -> String {
        without_password(&self.url)
    }

    /// Database and collection.
    pub fn name(&self) -> String {
        format!("{}.{}", self.database, self.collection)
    }

    /// Checks what the keys say together.
    ///
    /// # Errors
    /// A sentence that names the key, the value and the cure.
    pub fn check(&self) -> Result<(), String> {
        self.check_url()?;
        let password = self.password()?;
        let has_user = self.url.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
        if has_user != password.is_some() {
            return Err(
                "`url` names a user and `password_file` or `password_env` its password; the other is missing"
                    .to_owned(),
            );
        }
        for (key, name) in [
            ("database", &self.database),
            ("collection", &self.collection),
            ("cursor", &self.cursor),
        ] {
            if name.is_empty() || name.contains('\0') || name.starts_with('$') {
                return Err(format!("`{key}` is {}, which is no name of MongoDB's", quoted(name)));
            }
        }
        if matches!(self.overlap, Overlap::Integer(_)) {
            return Err(
                "`overlap` must be a time such as \"10m\": documents are read in the order of a time".to_owned(),
            );
        }
        if !(1..=PAGE_DOCUMENTS_MAX).contains(&self.page_documents) {
            return Err(format!(
                "`page_documents` is {}; 1 to {PAGE_DOCUMENTS_MAX} are expected",
                self.page_documents
            ));
        }
        self.columns.check()
    }

    fn check_url(&self) -> Result<(), String> {
        let (scheme, rest) = self.url.split_once("://").unwrap_or_default();
        if !matches!(scheme, "mongodb" | "mongodb+srv") {
            return Err("`url` must be mongodb://USER@HOST or mongodb+srv://USER@HOST".to_owned());
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let has_secret = [
            "authMechanismProperties=",
            "tlsCertificateKeyFilePassword=",
            "proxyPassword=",
        ]
        .iter()
        .any(|option| rest.to_ascii_lowercase().contains(&option.to_ascii_lowercase()));
        if has_password(&self.url) || rest[end..].contains(['@', '#']) || has_secret {
            return Err(
                "`url` has a secret, or a sign that would cut it; name the place of the password with `password_file` or \
                 `password_env`, and write @ : / ? # % in a user as %40 %3A %2F %3F %23 %25"
                    .to_owned(),
            );
        }
        Ok(())
    }
}
