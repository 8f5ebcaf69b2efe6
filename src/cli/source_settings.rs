//! The settings of sources: `source = "mps"` names the sender of records that name none; a table `[source.mps]` defines one.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono_tz::Tz;

use crate::catalog::source::definition::Definition;
use crate::support::error::Error;

/// What a settings file says of sources.
#[derive(Debug, Default, PartialEq)]
pub struct Sources {
    /// The sender of records that name none.
    pub default: Option<String>,
    /// Zones of those that write local times.
    pub zones: BTreeMap<String, Tz>,
    /// Their definitions.
    pub tables: BTreeMap<String, toml::Table>,
}

impl Sources {
    /// From the settings `source` and `default_source`. TOML has one `source`: beside tables the name is `default_source`.
    pub fn of(source: Option<toml::Value>, default: Option<String>) -> Result<Self> {
        let tables = match source {
            None => toml::Table::new(),
            Some(toml::Value::String(name)) => {
                if default.is_some() {
                    return Err(bad(
                        "`source` and `default_source` both set the default source; remove one of them",
                    ));
                }
                return Ok(Self {
                    default: Some(name),
                    ..Self::default()
                });
            }
            Some(toml::Value::Table(tables)) => tables,
            Some(_) => {
                return Err(bad(
                    "`source` must be a name in quotes, such as source = \"mps\", or a table for each source, such as [source.mps]",
                ));
            }
        };
        let mut sources = Self {
            default,
            ..Self::default()
        };
        for (name, table) in tables {
            let table = table_of(&name, table)?;
            // What is wrong with a definition is told by whoever imports it, and stops its source alone.
            let zone = Definition::read_table(&name, table.clone())
                .ok()
                .and_then(|read| read.source.zone);
            sources.zones.extend(zone.map(|zone| (name.clone(), zone)));
            sources.tables.insert(name, table);
        }
        Ok(sources)
    }
}

fn table_of(source: &str, table: toml::Value) -> Result<toml::Table> {
    match table {
        toml::Value::Table(table) => Ok(table),
        _ => Err(bad(&format!(
            "source.{source} must be a table, such as [source.{source}] with zone = \"Asia/Shanghai\" (the default source is set \
             by `default_source`)"
        ))),
    }
}

fn bad(what: &str) -> anyhow::Error {
    Error::Usage(format!("settings: {what}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::source::configured::configured_in;

    fn sources(text: &str) -> Result<Sources, String> {
        let mut table: toml::Table = toml::from_str(text).unwrap();
        let default = table
            .remove("default_source")
            .map(|name| name.as_str().unwrap().to_owned());
        Sources::of(table.remove("source"), default).map_err(|error| error.to_string())
    }

    #[test]
    fn a_source_is_named_or_has_a_table() {
        assert_eq!(sources("").unwrap(), Sources::default());
        assert_eq!(sources("source = \"mps\"").unwrap().default.as_deref(), Some("mps"));
        let both =
            sources("default_source = \"mps\"\n[source.mps]\nzone = \"Asia/Shanghai\"\n[source.other]\n").unwrap();
        assert_eq!(both.default.as_deref(), Some("mps"));
        assert_eq!(both.zones, BTreeMap::from([("mps".to_owned(), Tz::Asia__Shanghai)]));
    }

    #[test]
    fn what_is_no_setting_of_a_source_is_told_with_the_cure() {
        for (text, told) in [
            ("source = 1", "`source` must be a name in quotes"),
            ("source = \"a\"\ndefault_source = \"b\"", "remove one of them"),
            ("[source]\nzone = \"UTC\"", "source.zone must be a table"),
        ] {
            let found = sources(text).unwrap_err();
            assert!(found.contains(told), "{text}: {found}");
        }
    }

    #[test]
    fn a_definition_that_is_wrong_stops_its_source_alone() {
        for (text, told) in [
            ("zone = 8", "invalid type"),
            ("zone = \"Asia/Shanghei\"", "did you mean \"Asia/Shanghai\"?"),
            ("zones = \"UTC\"", "`zones` is no key of a source"),
        ] {
            let found = sources(&format!("[source.mps]\n{text}\n[source.other]\nzone = \"UTC\"\n")).unwrap();
            assert_eq!(found.zones, BTreeMap::from([("other".to_owned(), Tz::UTC)]));
            let configured = configured_in(&found.tables, None).unwrap();
            assert_eq!((configured.found.len(), configured.faults.len()), (1, 1));
            assert!(configured.faults[0].what.contains(told), "{:?}", configured.faults);
        }
    }
}
