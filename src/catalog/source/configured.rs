//! Definitions as they are configured: in the settings, and in the folder of sources. What is wrong with one keeps no other out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::definition::Definition;
use crate::context::Books;
use crate::support::error::{AtPath as _, Error, Result};

/// A definition and where it was found.
#[derive(Clone, Debug)]
pub struct Found {
    pub definition: Definition,
    /// The file, or `settings`.
    pub origin: String,
}

/// A definition that is not taken. Its source is not read, and stops no other.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    pub source: String,
    /// What is wrong with it, where, and the cure: the rest of a sentence about the source.
    pub what: String,
}

impl Fault {
    pub(super) fn new(source: &str, origin: &str, why: &str) -> Self {
        Self {
            source: source.to_owned(),
            what: format!("its definition is not taken ({origin}): {why}"),
        }
    }

    /// What a person is told.
    pub fn sentence(&self) -> String {
        format!("source {}: {}", self.source, self.what)
    }
}

/// What the settings and the folder of sources say.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// By the name of the source.
    pub found: Vec<Found>,
    /// At most one for a source, which is then not among the found.
    pub faults: Vec<Fault>,
}

impl Configured {
    /// The definitions, where all can be taken.
    ///
    /// # Errors
    /// [`Error::Usage`]: a line for each that cannot.
    pub fn all(self) -> Result<Vec<Found>> {
        if self.faults.is_empty() {
            return Ok(self.found);
        }
        let told: Vec<String> = self.faults.iter().map(Fault::sentence).collect();
        Err(Error::Usage(told.join("\n")))
    }
}

/// A definition, or why it is not taken.
type Read = std::result::Result<Found, Fault>;

/// What the books' settings and folder of sources say.
///
/// # Errors
/// Where the folder cannot be listed.
pub fn configured(books: &Books) -> Result<Configured> {
    let settings = &books.settings;
    configured_in(&settings.sources, settings.sources_folder.as_deref())
}

/// What tables of settings, by name, and a folder say.
///
/// # Errors
/// As [`configured`].
pub fn configured_in(tables: &BTreeMap<String, toml::Table>, folder: Option<&Path>) -> Result<Configured> {
    let of_settings = tables.iter().map(|(name, table)| of_table(name, table));
    let files = folder
        .filter(|folder| folder.is_dir())
        .map_or(Ok(Vec::new()), files_of)?;
    Ok(of_settings.chain(files.iter().map(|path| of_file(path))).collect())
}

/// What files say.
pub fn of_files(files: &[PathBuf]) -> Configured {
    files.iter().map(|path| of_file(path)).collect()
}

impl FromIterator<Read> for Configured {
    /// Of a source that is defined twice, neither definition is taken.
    fn from_iter<I: IntoIterator<Item = Read>>(all: I) -> Self {
        let mut by_source: BTreeMap<String, Read> = BTreeMap::new();
        for read in all {
            let source = match &read {
                Ok(found) => found.definition.source.name.clone(),
                Err(fault) => fault.source.clone(),
            };
            let read = match (by_source.remove(&source), read) {
                (Some(Ok(one)), Ok(other)) => Err(defined_twice(&one, &other)),
                (Some(Err(fault)), _) => Err(fault),
                (_, read) => read,
            };
            by_source.insert(source, read);
        }
        let mut configured = Self::default();
        for read in by_source.into_values() {
            match read {
                Ok(found) => configured.found.push(found),
                Err(fault) => configured.faults.push(fault),
            }
        }
        configured
    }
}

fn defined_twice(one: &Found, other: &Found) -> Fault {
    let origin = format!("{} and {}", one.origin, other.origin);
    Fault::new(
        &one.definition.source.name,
        &origin,
        "it is defined twice; remove one of them",
    )
}

fn of_table(name: &str, table: &toml::Table) -> Read {
    let origin = "settings".to_owned();
    match Definition::read_table(name, table.clone()) {
        Ok(definition) => Ok(Found { definition, origin }),
        Err(why) => Err(Fault::new(name, &origin, &why)),
    }
}

/// The definition of a file; its name is the source's.
fn of_file(path: &Path) -> Read {
    let origin = path.display().to_string();
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let read = text_of(path).and_then(|text| Definition::read_text(&name, &text));
    match read {
        Ok(definition) => Ok(Found { definition, origin }),
        Err(why) => Err(Fault::new(&name, &origin, &why)),
    }
}

fn text_of(path: &Path) -> std::result::Result<String, String> {
    // What is no file might never come to an end.
    if path.exists() && !path.is_file() {
        return Err("it is no file; remove it, or write the definition into a file of this name".to_owned());
    }
    std::fs::read_to_string(path).map_err(|error| format!("it cannot be read: {error}; mend or remove it"))
}

/// Each `NAME.toml` of a folder.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).at(folder)? {
        let path = entry.at(folder)?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, origin: &str, text: &str) -> Read {
        let table = text.parse().unwrap();
        let definition = Definition::read_table(name, table).map_err(|why| Fault::new(name, origin, &why))?;
        Ok(Found {
            definition,
            origin: origin.to_owned(),
        })
    }

    #[test]
    fn what_is_wrong_with_one_keeps_no_other_out() {
        let configured: Configured = [
            read("a", "settings", "knd = \"files\""),
            read("b", "settings", ""),
            read("c", "settings", ""),
            read("c", "sources/c.toml", ""),
            read("a", "sources/a.toml", ""),
        ]
        .into_iter()
        .collect();
        let names: Vec<&str> = configured
            .found
            .iter()
            .map(|found| &*found.definition.source.name)
            .collect();
        assert_eq!(names, ["b"]);
        let told: Vec<String> = configured.faults.iter().map(Fault::sentence).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].starts_with("source a: its definition is not taken (settings): `knd` is no key"),
            "{told:?}"
        );
        assert!(
            told[1].starts_with("source c: its definition is not taken (settings and sources/c.toml)"),
            "{told:?}"
        );
        assert!(configured.all().unwrap_err().to_string().lines().count() == 2);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_fault_of_its_source() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("a.toml")).unwrap();
        std::fs::create_dir(dir.path().join("b.toml")).unwrap();
        std::fs::write(dir.path().join("c.toml"), b"\xff").unwrap();
        std::fs::write(dir.path().join("d.toml"), "x =\n").unwrap();
        std::fs::write(dir.path().join("e.toml"), "").unwrap();
        let configured = configured_in(&BTreeMap::new(), Some(dir.path())).unwrap();
        assert_eq!(configured.found.len(), 1);
        let told: Vec<&str> = configured.faults.iter().map(|fault| &*fault.what).collect();
        for (told, why) in told
            .iter()
            .zip(["cannot be read", "no file", "cannot be read", "line 1"])
        {
            assert!(told.contains(why), "{told}");
        }
        assert_eq!(told.len(), 4);
    }
}
