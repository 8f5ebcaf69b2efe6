//! TEMPORARY
use std::collections::{BTreeMap, BTreeSet};
use chrono::NaiveDate;
use super::pseudonym::Pseudonyms;
use crate::context::Books;
use crate::storage::ledger::{Lease, Tx};
use crate::support::error::Result;
#[derive(Clone, Debug, Default)]
pub struct FileDigest { pub class: &'static str, pub before: String, pub after: Option<String> }
#[derive(Clone, Debug, Default)]
pub struct Rewritten {
    pub rows: BTreeMap<(i64, NaiveDate), (i64, i128)>,
    pub files: Vec<FileDigest>,
    pub originals: Vec<String>,
    pub void_rows: BTreeSet<(i64, i64)>,
}
impl Rewritten {
    pub async fn swap(&self, _tx: &mut Tx) -> Result<()> { Ok(()) }
    pub fn deleted(&self) -> impl Iterator<Item = (&'static str, i64)> { std::iter::empty() }
}
pub async fn rewrite(_books: &Books, _lease: &Lease, _names: &Pseudonyms) -> Result<Rewritten> { Ok(Rewritten::default()) }
pub async fn finish(_books: &Books, _lease: &Lease, _names: &Pseudonyms) -> Result<()> { Ok(()) }
