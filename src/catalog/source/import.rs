//! Importing definitions: a definition that changed becomes the next version of its source. None is ever altered or lost,
//! and one that cannot be taken stops no other.

use std::collections::BTreeMap;

use super::configured::{Configured, Fault, Found, configured};
use super::ended::EndedAccounts;
use super::events::Template;
use super::{store, template};
use crate::context::Books;
use crate::support::error::{Error, Result};
use crate::support::nearest::nearest;

/// What became of one definition.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ImportedSource {
    pub source: String,
    pub version: i64,
    pub digest: String,
    /// `new source`, `new version` or `unchanged`.
    pub outcome: &'static str,
    /// The file, or `settings`.
    pub origin: String,
}

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct Imports {
    pub imported: Vec<ImportedSource>,
    /// What was not imported. It stopped nothing else.
    pub faults: Vec<Fault>,
}

/// Imports what is configured, where it differs from what the ledger has.
///
/// # Errors
/// The ledger's, or the folder of sources cannot be listed.
pub async fn import_configured(books: &Books) -> Result<Imports> {
    let Configured { found, faults } = configured(books)?;
    let mut imports = import(books, &found).await?;
    imports.faults.extend(faults);
    imports.faults.sort_by(|a, b| a.source.cmp(&b.source));
    Ok(imports)
}

/// Imports definitions. One that alters a template is not imported, nor one of accounts whose configuration is kept no more.
async fn import(books: &Books, found: &[Found]) -> Result<Imports> {
    let newest = store::newest_of_all(&books.ledger).await?.versions;
    let is_known = |one: &Found| {
        newest
            .get(&one.definition.source.name)
            .is_some_and(|known| known.definition.body == one.definition.body)
    };
    let mut imports = Imports::default();
    let ended = EndedAccounts::of(books).await?;
    if found.iter().all(|one| is_known(one) && ended.fault_of(one).is_none()) {
        imports.imported.extend(found.iter().map(|one| {
            let version = newest[&one.definition.source.name].version;
            told(one, version, "unchanged")
        }));
        return Ok(imports);
    }
    let at = books.clock.text();
    let mut tx = books.ledger.begin().await?;
    for one in found {
        let name = &one.definition.source.name;
        if let Some(fault) = ended.fault_of(one) {
            imports.faults.push(fault);
            continue;
        }
        // Another run may have imported it meanwhile.
        let known = store::newest_body_in(&mut tx, name).await?;
        let version = match known {
            Some((version, body)) if body == one.definition.body => {
                imports.imported.push(told(one, version, "unchanged"));
                continue;
            }
            known => known.map_or(1, |(version, _)| version + 1),
        };
        if let Some(fault) = other_template(one, &template::known_in(&mut tx, name).await?) {
            imports.faults.push(fault);
            continue;
        }
        store::add_version(&mut tx, &one.definition, version, &one.origin, &at).await?;
        let outcome = if version == 1 { "new source" } else { "new version" };
        imports.imported.push(told(one, version, outcome));
    }
    books.ledger.commit(tx, "sources").await?;
    Ok(imports)
}

/// What is wrong with definitions now, by source: those that are configured and cannot be taken, and those in the ledger that this
/// program cannot read.
///
/// # Errors
/// As [`import_configured`].
pub async fn faults(books: &Books) -> Result<BTreeMap<String, Fault>> {
    let Configured { found, faults } = configured(books)?;
    let newest = store::newest_of_all(&books.ledger).await?;
    let mut by_source: BTreeMap<String, Fault> = newest
        .unreadable
        .into_iter()
        .map(|fault| (fault.source.clone(), fault))
        .collect();
    let ended = EndedAccounts::of(books).await?;
    for one in &found {
        let name = &one.definition.source.name;
        if let Some(fault) = ended.fault_of(one) {
            by_source.insert(name.clone(), fault);
            continue;
        }
        let known = newest.versions.get(name);
        if known.is_some_and(|known| known.definition.body == one.definition.body) {
            continue;
        }
        match other_template(one, &template::known(&books.ledger, name).await?) {
            Some(fault) => by_source.insert(name.clone(), fault),
            // It becomes the next version.
            None => by_source.remove(name),
        };
    }
    by_source.extend(faults.into_iter().map(|fault| (fault.source.clone(), fault)));
    Ok(by_source)
}

/// A template means one thing for ever: as it was added, and as every earlier version has it. Its streams may be added later.
fn other_template(one: &Found, known: &BTreeMap<u64, Template>) -> Option<Fault> {
    let source = &one.definition.source;
    source.templates.iter().find_map(|(id, template)| {
        let there = known.get(id).filter(|there| !there.agrees_with(template))?;
        let why = format!(
            "template {id} is {template}, and was {there} before. A template is never altered, because usage may have been billed by \
             it; write it as it was. {}",
            template::CURE
        );
        Some(Fault::new(&source.name, &one.origin, &why))
    })
}

fn told(one: &Found, version: i64, outcome: &'static str) -> ImportedSource {
    ImportedSource {
        source: one.definition.source.name.clone(),
        version,
        digest: one.definition.digest(),
        outcome,
        origin: one.origin.clone(),
    }
}

/// The error of a source that nobody defined.
pub fn unknown(name: &str) -> Error {
    Error::Usage(format!(
        "there is no source {name}; `tallybook source list` lists them. A source is defined in the settings ([source.{name}]) or in a \
         file {name}.toml of the sources folder"
    ))
}

/// The same, with the name that was probably meant, or with what is wrong with its definition.
pub async fn unknown_among(books: &Books, name: &str) -> Result<Error> {
    if let Some(fault) = faults(books).await?.remove(name) {
        return Ok(Error::Usage(fault.sentence()));
    }
    let known = store::newest_of_all(&books.ledger).await?.versions;
    let likely = nearest(name, known.keys().map(String::as_str));
    Ok(likely.map_or_else(
        || unknown(name),
        |likely| Error::Usage(format!("there is no source {name}; did you mean {likely}?")),
    ))
}
