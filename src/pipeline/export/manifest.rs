//! The manifest of an export: what is in it, what it adds up to, and the heads of the statement chains.
//!
//! JSON, indented, keys in a fixed order, one line feed at the end. Its digest is the SHA-256 of these bytes;
//! each manifest names the digest of the one before, so that the exports are a chain as well.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::csv::Written;
use crate::pipeline::close::statement::{Statement, renamed_statement};
use crate::values::digest::sha256_hex;
use crate::values::money::{AMOUNT_DECIMALS, Currency, MoneyError, plain, sum};

/// The layout of the file; a change of it changes the number.
pub const MANIFEST_LAYOUT: u32 = 1;

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_LAYOUT`].
    pub layout: u32,
    /// The name of the export.
    pub export_id: String,
    /// RFC 3339, whole seconds, +00:00.
    pub created_at: String,
    /// The folder of the export, by period.
    pub folder: String,
    /// The digest of the manifest before; none for the first.
    pub previous_manifest: Option<String>,
    /// The CSV files, by name.
    pub files: Vec<FileEntry>,
    /// By currency code.
    pub totals: BTreeMap<String, CurrencyTotals>,
    /// The last statement of every account that has one, by account (number).
    pub heads: Vec<Head>,
    /// Of a manifest from which an account was erased: the digest of the one that was exported, which the next manifest names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256_before_erasure: Option<String>,
}

/// A file of the export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name in the folder.
    pub name: String,
    /// Rows, without the header.
    pub rows: u64,
    /// Of its bytes.
    pub sha256: String,
    /// Of a file from which an account was erased: the digest of the one that was exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256_before_erasure: Option<String>,
}

/// What the statements of one currency add up to; amounts are plain decimals, as in the CSV.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurrencyTotals {
    /// Statements.
    pub statements: u64,
    /// Lines, with those of rounding.
    pub lines: u64,
    /// 10 decimals.
    pub usage_amount: String,
    /// 10 decimals.
    pub adjustment_amount: String,
    /// 10 decimals.
    pub rounding: String,
    /// In minor units.
    pub total: String,
}

/// The end of the chain of an account's statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The account, as text: it may exceed what JSON readers hold exactly.
    pub uin: String,
    /// Its last statement.
    pub statement_id: String,
    /// The digest of that.
    pub digest: String,
}

/// Adds up statements per currency, exactly.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    by_currency: BTreeMap<Currency, Sums>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    statements: u64,
    lines: u64,
    usage_amount: Decimal,
    adjustment_amount: Decimal,
    rounding: Decimal,
    total: Decimal,
}

/// A manifest that does not read as one.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// It is not the JSON of a manifest.
    #[error("the manifest cannot be read: {0}; recreate it with `tallybook export --again`")]
    Json(#[from] serde_json::Error),
    /// It has another layout.
    #[error(
        "the manifest has layout {layout}, this program reads layout {MANIFEST_LAYOUT}; use the version that wrote it"
    )]
    Layout {
        /// The offender.
        layout: u32,
    },
}

impl Totals {
    /// Adds a statement.
    ///
    /// # Errors
    /// A sum that a decimal cannot hold with 10 decimals.
    pub fn add(&mut self, statement: &Statement) -> Result<(), MoneyError> {
        let one = Sums {
            statements: 1,
            lines: statement.lines.into(),
            usage_amount: statement.usage_amount,
            adjustment_amount: statement.adjustment_amount,
            rounding: statement.rounding,
            total: statement.total,
        };
        self.by_currency.entry(statement.currency).or_default().add(&one)
    }

    /// Adds what other statements come to.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn append(&mut self, others: &Self) -> Result<(), MoneyError> {
        for (currency, others) in &others.by_currency {
            self.by_currency.entry(*currency).or_default().add(others)?;
        }
        Ok(())
    }

    /// As they stand in the manifest, by currency code.
    pub fn entries(&self) -> BTreeMap<String, CurrencyTotals> {
        self.by_currency
            .iter()
            .map(|(currency, sums)| (currency.to_string(), sums.entry(*currency)))
            .collect()
    }
}

impl Sums {
    fn add(&mut self, others: &Self) -> Result<(), MoneyError> {
        self.statements += others.statements;
        self.lines += others.lines;
        self.usage_amount = sum([self.usage_amount, others.usage_amount])?;
        self.adjustment_amount = sum([self.adjustment_amount, others.adjustment_amount])?;
        self.rounding = sum([self.rounding, others.rounding])?;
        self.total = sum([self.total, others.total])?;
        Ok(())
    }

    fn entry(&self, currency: Currency) -> CurrencyTotals {
        CurrencyTotals {
            statements: self.statements,
            lines: self.lines,
            usage_amount: plain(self.usage_amount, AMOUNT_DECIMALS),
            adjustment_amount: plain(self.adjustment_amount, AMOUNT_DECIMALS),
            rounding: plain(self.rounding, AMOUNT_DECIMALS),
            total: plain(self.total, currency.minor_units()),
        }
    }
}

impl FileEntry {
    /// The entry of a file that was written.
    pub fn new(name: &str, written: Written) -> Self {
        Self {
            name: name.to_owned(),
            rows: written.rows,
            sha256: written.sha256,
            sha256_before_erasure: None,
        }
    }
}

impl Head {
    /// The head of the chain that ends with that statement.
    pub fn new(uin: u64, statement_id: String, digest: String) -> Self {
        Self {
            uin: uin.to_string(),
            statement_id,
            digest,
        }
    }
}

impl Manifest {
    /// A manifest with its lists in their order, whatever order they come in.
    pub fn new(
        export_id: String,
        created_at: DateTime<Utc>,
        folder: String,
        previous_manifest: Option<String>,
        mut files: Vec<FileEntry>,
        totals: &Totals,
        mut heads: Vec<Head>,
    ) -> Self {
        files.sort_by(|one, other| one.name.cmp(&other.name));
        sort_heads(&mut heads);
        Self {
            layout: MANIFEST_LAYOUT,
            export_id,
            created_at: created_at.trunc_subsecs(0).to_rfc3339(),
            folder,
            previous_manifest,
            files,
            totals: totals.entries(),
            heads,
            sha256_before_erasure: None,
        }
    }

    /// Whether it names an account.
    pub fn names(&self, uin: u64) -> bool {
        let text = uin.to_string();
        self.heads.iter().any(|head| head.uin == text)
    }

    /// Names an account by another number in the heads.
    pub fn rename(&mut self, uin: u64, new_uin: u64) {
        let text = uin.to_string();
        for head in self.heads.iter_mut().filter(|head| head.uin == text) {
            head.statement_id = renamed_statement(&head.statement_id, uin, new_uin);
            head.uin = new_uin.to_string();
        }
        sort_heads(&mut self.heads);
    }

    /// The text of the file.
    #[expect(
        clippy::missing_panics_doc,
        reason = "texts, numbers and lists always have a JSON text"
    )]
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("texts, numbers and lists have a JSON text");
        text.push('\n');
        text
    }

    /// Reads the file back.
    ///
    /// # Errors
    /// Anything but a manifest of this layout.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_slice(bytes)?;
        if manifest.layout != MANIFEST_LAYOUT {
            return Err(ManifestError::Layout {
                layout: manifest.layout,
            });
        }
        Ok(manifest)
    }

    /// The SHA-256 of the file's bytes; the next manifest names it.
    pub fn digest(&self) -> String {
        sha256_hex(self.to_text().as_bytes())
    }
}

/// By account. Numbers without leading zeros sort by length, then by digits.
fn sort_heads(heads: &mut [Head]) {
    heads.sort_by(|one, other| (one.uin.len(), &one.uin).cmp(&(other.uin.len(), &other.uin)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::close::statement::samples::{charge, close};
    use crate::pipeline::rate::Kind;

    const STATED: [(u64, &str); 3] = [(7, "CNY"), (8, "CNY"), (9, "JPY")];

    fn totals(stated: &[(u64, &str)]) -> Totals {
        let mut totals = Totals::default();
        for (uin, currency) in stated {
            totals
                .add(&close(*uin, currency, &[charge(Kind::Usage, "0.533333", "0.0325")], None).unwrap())
                .unwrap();
        }
        totals
    }

    fn manifest() -> Manifest {
        let file = |name| {
            FileEntry::new(
                name,
                Written {
                    rows: 3,
                    sha256: "aa".to_owned(),
                },
            )
        };
        let head = |uin: u64| Head::new(uin, format!("{uin}-20241101-20241201"), "bb".to_owned());
        Manifest::new(
            "2024-12-20.1".to_owned(),
            "2024-12-20T01:02:03.9Z".parse().unwrap(),
            "2024-11".to_owned(),
            None,
            vec![file("statements.csv"), file("statement_lines.csv")],
            &totals(&STATED),
            vec![head(10), head(u64::MAX), head(9)],
        )
    }

    #[test]
    fn totals_of_parts_come_to_those_of_the_whole() {
        for parted_at in 0..=STATED.len() {
            let (some, others) = STATED.split_at(parted_at);
            let mut all = totals(some);
            all.append(&totals(others)).unwrap();
            assert_eq!(all.entries(), totals(&STATED).entries());
        }
    }

    #[test]
    fn a_manifest_is_stable_indented_json() {
        let text = manifest().to_text();
        let start = r#"{
  "layout": 1,
  "export_id": "2024-12-20.1",
  "created_at": "2024-12-20T01:02:03+00:00",
  "folder": "2024-11",
  "previous_manifest": null,
  "files": [
    {
      "name": "statement_lines.csv",
      "rows": 3,
      "sha256": "aa"
    },
    {
      "name": "statements.csv",
      "rows": 3,
      "sha256": "aa"
    }
  ],
  "totals": {
    "CNY": {
      "statements": 2,
      "lines": 4,
      "usage_amount": "0.0346666450",
      "adjustment_amount": "0.0000000000",
      "rounding": "0.0053333550",
      "total": "0.04"
    },
    "JPY": {
      "statements": 1,
      "lines": 2,
      "usage_amount": "0.0173333225",
      "adjustment_amount": "0.0000000000",
      "rounding": "-0.0173333225",
      "total": "0"
    }
  },
  "heads": [
    {
      "uin": "9",
"#;
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with("]\n}\n"), "{text}");
    }

    #[test]
    fn a_manifest_reads_back_and_keeps_its_digest() {
        let manifest = manifest();
        let again = Manifest::from_bytes(manifest.to_text().as_bytes()).unwrap();
        assert_eq!(
            (again.digest(), &again),
            (sha256_hex(manifest.to_text().as_bytes()), &manifest)
        );
    }

    #[test]
    fn another_layout_is_refused() {
        let later = Manifest {
            layout: 2,
            ..manifest()
        };
        assert!(matches!(
            Manifest::from_bytes(later.to_text().as_bytes()),
            Err(ManifestError::Layout { layout: 2 })
        ));
    }
}
