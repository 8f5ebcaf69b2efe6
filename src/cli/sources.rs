//! The settings of sources: `source = "mps"` names the sender of records that name none; a table `[source.mps]` says what is known of one.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::pipeline::ingest::record::check_source;
use crate::support::error::Error;
use crate::support::nearest::nearest;

/// What a settings file says of sources.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The sender of records that name none.
    pub default: Option<String>,
    /// Zones of those that write local times.
    pub zones: BTreeMap<String, Tz>,
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
                    zones: BTreeMap::new(),
                });
            }
            Some(toml::Value::Table(tables)) => tables,
            Some(_) => {
                return Err(bad(
                    "`source` must be a name in quotes, such as source = \"mps\", or a table for each source, such as [source.mps]",
                ));
            }
        };
        let mut zones = BTreeMap::new();
        for (name, table) in tables {
            check_source(&name).map_err(|refusal| bad(&format!("[source.{name}]: {refusal}")))?;
            if let Some(zone) = zone_of(&name, table)? {
                zones.insert(name, zone);
            }
        }
        Ok(Self { default, zones })
    }
}

fn zone_of(source: &str, table: toml::Value) -> Result<Option<Tz>> {
    let toml::Value::Table(table) = table else {
        let what = format!(
            "source.{source} must be a table, such as [source.{source}] with zone = \"Asia/Shanghai\" (the default source is set \
             by `default_source`)"
        );
        return Err(bad(&what));
    };
    let mut zone = None;
    for (key, value) in table {
        match (key.as_str(), value) {
            ("zone", toml::Value::String(text)) => zone = Some(parse_zone(source, &text)?),
            ("zone", _) => {
                return Err(bad(&format!(
                    "[source.{source}]: `zone` must be a name in quotes, such as \"Asia/Shanghai\""
                )));
            }
            (other, _) => {
                return Err(bad(&format!(
                    "[source.{source}]: `{other}` is not a setting of a source; only `zone` is"
                )));
            }
        }
    }
    Ok(zone)
}

fn parse_zone(source: &str, text: &str) -> Result<Tz> {
    text.parse().map_err(|_| {
        let likely = nearest(text, TZ_VARIANTS.map(Tz::name));
        let cure = likely.map_or_else(
            || "an IANA name is expected, such as \"Asia/Shanghai\"".to_owned(),
            |likely| format!("did you mean \"{likely}\"?"),
        );
        bad(&format!("[source.{source}]: unknown time zone {text:?}; {cure}"))
    })
}

fn bad(what: &str) -> anyhow::Error {
    Error::Usage(format!("settings: {what}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("[source.mps]\nzone = 8", "`zone` must be a name in quotes"),
            (
                "[source.mps]\nzone = \"Asia/Shanghei\"",
                "did you mean \"Asia/Shanghai\"?",
            ),
            ("[source.mps]\nzones = \"UTC\"", "`zones` is not a setting of a source"),
            ("[source.\" mps\"]\nzone = \"UTC\"", "with a space at its start"),
        ] {
            let found = sources(text).unwrap_err();
            assert!(found.contains(told), "{text}: {found}");
        }
    }
}
