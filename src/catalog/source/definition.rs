//! A definition as people write it: the keys that every kind has, then those of its kind.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::{TZ_VARIANTS, Tz};

use super::Source;
use super::events::{Analysis, Owner, SpriteImages, Template};
use super::kinds::Kind;
use super::no_secrets;
use super::secret::SecretPlace;
use crate::support::error::{Error, Result};
use crate::support::nearest::nearest;
use crate::values::digest::sha256_hex;
use crate::values::format::Format;

/// The keys that a source of any kind may have.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    format: Option<Format>,
    from: Option<toml::Value>,
    uin: Option<toml::Value>,
    appid: Option<toml::Value>,
    accounts: Option<BTreeMap<String, toml::Value>>,
    region: Option<String>,
    zone: Option<String>,
    templates: Option<BTreeMap<String, Template>>,
    notify_keys_file: Option<PathBuf>,
    notify_keys_env: Option<String>,
    #[serde(default)]
    sprite_images: SpriteImages,
    #[serde(default)]
    analysis: Analysis,
}

/// Names of these keys.
const COMMON: [&str; 12] = [
    "format",
    "from",
    "uin",
    "appid",
    "accounts",
    "region",
    "zone",
    "templates",
    "notify_keys_file",
    "notify_keys_env",
    "sprite_images",
    "analysis",
];

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// A definition, and its text as the ledger keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub source: Source,
    /// The table as JSON, keys sorted: the same table has the same text, however it is laid out.
    pub body: String,
}

impl Definition {
    /// Reads the table of a source.
    ///
    /// # Errors
    /// [`Error::Usage`]: it names the source, the key and the cure, and never a value that may be a secret.
    pub fn of_table(name: &str, table: toml::Table) -> Result<Self> {
        Self::read_table(name, table).map_err(|what| Error::Usage(format!("source {name}: {what}")))
    }

    /// The same.
    ///
    /// # Errors
    /// What is wrong, and the cure, without the name of the source.
    pub fn read_table(name: &str, table: toml::Table) -> std::result::Result<Self, String> {
        check_name(name)?;
        no_secrets::check(&table)?;
        let body = json_of(toml::Value::Table(table.clone())).to_string();
        let source = read(name, table)?;
        check_new(&source)?;
        Ok(Self { source, body })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// As [`Self::read_table`]; where it is no TOML, with the line of the mistake.
    pub fn read_text(name: &str, text: &str) -> std::result::Result<Self, String> {
        let table = toml::from_str(text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            format!("line {line}: {}", error.message())
        })?;
        Self::read_table(name, table)
    }

    /// Reads what the ledger has.
    ///
    /// # Errors
    /// Where this program cannot read what another one imported.
    pub fn of_body(name: &str, body: &str) -> Result<Self> {
        let table: toml::Table = serde_json::from_str(body)?;
        let source = read(name, table).map_err(|what| Error::Usage(format!("source {name}: {what}")))?;
        Ok(Self {
            source,
            body: body.to_owned(),
        })
    }

    /// SHA-256 of the body.
    pub fn digest(&self) -> String {
        sha256_hex(self.body.as_bytes())
    }
}

/// A name that may also be that of a file or folder: 1 to 100 bytes, no slash and no @, no dot at its start, nothing invisible.
fn check_name(name: &str) -> std::result::Result<(), String> {
    let is_bad = |sign: char| sign.is_control() || matches!(sign, '/' | '\\' | '@' | '\u{feff}' | '\u{200b}');
    if name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || name.starts_with('.')
        || name.trim() != name
        || name.contains(is_bad)
    {
        return Err(
            "its name must have 1 to 100 bytes, no slash and no @, no dot at its start, and no blanks around it"
                .to_owned(),
        );
    }
    if ["done", "refused"].contains(&name) {
        return Err("its name is that of a folder of the drop folder; choose another".to_owned());
    }
    Ok(())
}

fn read(name: &str, mut table: toml::Table) -> std::result::Result<Source, String> {
    let kind = match table.remove("kind") {
        None => "files".to_owned(),
        Some(toml::Value::String(kind)) => kind,
        Some(_) => return Err("`kind` must be a text, such as \"files\"".to_owned()),
    };
    let (common, rest): (toml::Table, toml::Table) =
        table.into_iter().partition(|(key, _)| COMMON.contains(&key.as_str()));
    let kind = Kind::read(&kind, rest)?;
    let common: Common = common
        .try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())?;
    let source = Source {
        owner: owner(&common)?,
        format: common.format,
        from: common.from.as_ref().map(start).transpose()?,
        region: common.region,
        zone: common.zone.as_deref().map(zone).transpose()?,
        templates: templates(common.templates.unwrap_or_default())?,
        notify_keys: SecretPlace::of(
            "notify_keys",
            common.notify_keys_file.as_ref(),
            common.notify_keys_env.as_ref(),
        )?,
        sprite_images: common.sprite_images,
        analysis: common.analysis,
        name: name.to_owned(),
        kind,
    };
    check(&source)?;
    Ok(source)
}

/// Checks what is asked of definitions that are imported now. A version that the ledger has is read without it: it was imported by a
/// program that did not ask.
fn check_new(source: &Source) -> std::result::Result<(), String> {
    source.kind.check_new()?;
    if source.kind.forgets() && source.from.is_some() {
        return Err(
            "`from` is no key of a queue: all that is in it is read, and what was acknowledged is gone from it; remove the key. For \
             NATS, the consumer's own `deliver_policy` says where it starts"
                .to_owned(),
        );
    }
    for (id, template) in &source.templates {
        template
            .check_type()
            .map_err(|what| format!("[templates.{id}]: {what}"))?;
    }
    Ok(())
}

/// Checks what the keys say together.
fn check(source: &Source) -> std::result::Result<(), String> {
    if source.kind.is_pulled() && !source.kind.forgets() && source.from.is_none() {
        return Err(
            "`from` is missing: say where the source starts, such as from = \"2026-11-01T00:00:00Z\"; there is no default, so that \
             nothing is billed that was billed elsewhere before"
                .to_owned(),
        );
    }
    if !source.kind.is_pulled() && source.from.is_some() {
        return Err("`from` is a key of sources that are pulled; files have no start".to_owned());
    }
    if source.kind.is_database() && source.format.is_some_and(|format| format != Format::Ndjson) {
        return Err(format!(
            "`format` is no key of a source of kind \"{}\": `columns` says which field of a record each value is; remove it",
            source.kind.name()
        ));
    }
    if source.events_format() == Some(Format::MpsEvents) && source.owner == Owner::Record {
        return Err(
            "events of the service name no account: set `uin`, or `[accounts]` with the account of each APPID"
                .to_owned(),
        );
    }
    let for_events_alone = [
        ("templates", !source.templates.is_empty()),
        ("notify_keys", source.notify_keys.is_some()),
        ("uin", source.owner != Owner::Record),
        ("region", source.region.is_some()),
    ];
    if source.events_format().is_none() {
        let wrong = for_events_alone.iter().find(|(_, is_set)| *is_set);
        if let Some((key, _)) = wrong {
            return Err(format!(
                "`{key}` is for events (format = \"mps-events\" or \"mediaconvert-events\"); records name their own"
            ));
        }
    }
    Ok(())
}

fn owner(common: &Common) -> std::result::Result<Owner, String> {
    let uin = common.uin.as_ref().map(|value| number("uin", value)).transpose()?;
    let appid = common.appid.as_ref().map(|value| number("appid", value)).transpose()?;
    match (uin, &common.accounts) {
        (Some(_), Some(_)) => Err("`uin` and `[accounts]` both say whose usage it is; remove one of them".to_owned()),
        (Some(uin), None) => Ok(Owner::One { uin, appid }),
        (None, Some(_)) if appid.is_some() => {
            Err("`appid` beside `[accounts]`: with a table, the APPID is the event's".to_owned())
        }
        (None, Some(accounts)) => {
            let pairs = accounts.iter().map(|(appid, uin)| {
                let appid = appid
                    .parse()
                    .map_err(|_| format!("[accounts]: {appid:?} is no APPID; digits are expected"))?;
                Ok((appid, number("accounts", uin)?))
            });
            Ok(Owner::ByAppid(pairs.collect::<std::result::Result<_, String>>()?))
        }
        (None, None) if appid.is_some() => Err("`appid` without `uin`: set `uin` too".to_owned()),
        (None, None) => Ok(Owner::Record),
    }
}

/// A number of an account or application: an integer, or its digits.
fn number(key: &str, value: &toml::Value) -> std::result::Result<u64, String> {
    let found = match value {
        toml::Value::Integer(number) => u64::try_from(*number).ok(),
        toml::Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    found.ok_or_else(|| format!("`{key}` must be a number in digits, up to 18446744073709551615"))
}

fn start(value: &toml::Value) -> std::result::Result<String, String> {
    match value {
        toml::Value::String(text) if !text.is_empty() => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Datetime(time) if time.offset.is_some() => Ok(time.to_string()),
        _ => Err("`from` must be a time with an offset, such as \"2026-11-01T00:00:00Z\", or an integer".to_owned()),
    }
}

fn zone(text: &str) -> std::result::Result<Tz, String> {
    text.parse().map_err(|_| {
        let cure = nearest(text, TZ_VARIANTS.map(Tz::name)).map_or_else(
            || "an IANA name is expected, such as \"Asia/Shanghai\"".to_owned(),
            |likely| format!("did you mean \"{likely}\"?"),
        );
        format!("unknown time zone {text:?}; {cure}")
    })
}

fn templates(table: BTreeMap<String, Template>) -> std::result::Result<BTreeMap<u64, Template>, String> {
    let read = table.into_iter().map(|(id, template)| {
        let number = id.parse().map_err(|_| {
            format!("[templates]: {id:?} is no template; its number is expected, such as [templates.1205731]")
        })?;
        template.check().map_err(|what| format!("[templates.{id}]: {what}"))?;
        Ok((number, template))
    });
    read.collect()
}

/// The same as JSON, in which every table is sorted by its keys.
fn json_of(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        // No key of a definition is a float; the reader of the key says so.
        toml::Value::Float(number) => number.to_string().into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            let sorted: BTreeMap<String, toml::Value> = table.into_iter().collect();
            sorted.into_iter().map(|(key, value)| (key, json_of(value))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<Source, String> {
        Definition::read_text("mps", text).map(|definition| definition.source)
    }

    const EVENTS: &str = "format = \"mps-events\"\nuin = 100000000000\nappid = \"1250000001\"\n";

    #[test]
    fn a_source_of_events_has_an_owner_templates_and_the_place_of_its_keys() {
        let text = format!(
            "{EVENTS}zone = \"Asia/Shanghai\"\nnotify_keys_file = \"/etc/keys\"\nsprite_images = \"tiles\"\n\
             [templates.1205731]\ntype = \"TESHD-30\"\n[templates.20]\ntype = \"Standard\"\nstreams = [{{ codec = \"H264\", height = 480 }}]\n"
        );
        let source = read(&text).unwrap();
        assert_eq!(
            source.owner,
            Owner::One {
                uin: 100_000_000_000,
                appid: Some(1_250_000_001)
            }
        );
        assert_eq!(source.templates[&1_205_731].transcode_type, "TESHD-30");
        assert_eq!(source.templates[&20].streams[0].height, 480);
        assert_eq!(source.notify_keys, Some(SecretPlace::File("/etc/keys".into())));
        assert_eq!((source.kind, source.sprite_images), (Kind::Files, SpriteImages::Tiles));
    }

    #[test]
    fn what_the_ledger_keeps_is_read_as_the_same_source() {
        let one = Definition::read_text("mps", &format!("{EVENTS}from_ignored = 1")).unwrap_err();
        assert!(one.contains("from_ignored"), "{one}");
        let one = Definition::read_text("mps", EVENTS).unwrap();
        let other = Definition::read_text(
            "mps",
            "appid = \"1250000001\"\nuin = 100000000000\nformat = \"mps-events\"",
        )
        .unwrap();
        assert_eq!((&one.body, one.digest()), (&other.body, other.digest()));
        assert_eq!(Definition::of_body("mps", &one.body).unwrap(), one);
    }

    #[test]
    fn accounts_may_be_named_by_application() {
        let source = read("format = \"mps-events\"\n[accounts]\n1250000001 = 7\n1250000002 = \"8\"\n").unwrap();
        assert_eq!(
            source.owner,
            Owner::ByAppid(BTreeMap::from([(1_250_000_001, 7), (1_250_000_002, 8)]))
        );
    }

    const TABLE: &str = "kind = \"postgres\"\nurl = \"postgres://h/d\"\nfrom = 1\ntable = \"t\"\ncursor = \"c\"\nkey = \"k\"\noverlap = 0\n\
        columns = { id = \"i\" }\n";

    const QUEUE: &str = "kind = \"nats\"\nurl = \"nats://127.0.0.1\"\nstream = \"S\"\nconsumer = \"c\"\n";

    const FOLDER: &str = "kind = \"folder\"\npath = \"/srv\"\nfrom = \"2026-11-01T00:00:00Z\"\n";

    #[test]
    fn what_an_earlier_program_imported_is_read_though_it_would_be_refused_now() {
        for body in [
            r#"{"kind":"nats","url":"nats://127.0.0.1","stream":"S","consumer":"c","from":"2026-11-01T00:00:00Z"}"#,
            r#"{"kind":"folder","path":"/srv","from":"2026-11-01T00:00:00Z","prefix":"/x"}"#,
            r#"{"format":"mps-events","uin":7,"templates":{"5":{"type":"Bogus"}}}"#,
        ] {
            let read = Definition::of_body("mps", body).unwrap();
            assert_eq!(read.body, body);
            let table = serde_json::from_str(body).unwrap();
            assert!(Definition::read_table("mps", table).is_err(), "{body}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_cure() {
        for (text, told) in [
            ("kind = \"fils\"", "did you mean \"files\"?"),
            ("kind = 1", "`kind` must be a text"),
            ("kind = \"files\"\nurl = \"x\"", "`url` is no key"),
            ("format = \"mps-events\"", "set `uin`, or `[accounts]`"),
            ("format = \"xml\"", "unknown variant"),
            ("uin = 7", "`uin` is for events"),
            ("from = \"2026-11-01T00:00:00Z\"", "files have no start"),
            ("zone = \"Asia/Shanghei\"", "did you mean \"Asia/Shanghai\"?"),
            ("format = \"mps-events\"\nuin = -1", "`uin` must be a number in digits"),
            ("format = \"mps-events\"\nuin = 1.5", "`uin` must be a number in digits"),
            ("format = \"mps-events\"\nappid = 1", "`appid` without `uin`"),
            (
                "format = \"mps-events\"\nuin = 1\n[templates.x]\ntype = \"Standard\"",
                "\"x\" is no template",
            ),
            (
                "format = \"mps-events\"\nuin = 1\nnotify_keys_file = \"a\"\nnotify_keys_env = \"B\"",
                "remove one of them",
            ),
            ("format = [", "line 1"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(told), "{text}: {found}");
        }
        for format in ["mps-events", "mediaconvert-events", "csv", "parquet"] {
            let found = read(&format!("format = \"{format}\"\nuin = 7\n{TABLE}")).unwrap_err();
            assert!(
                found.contains("`format` is no key of a source of kind \"postgres\""),
                "{found}"
            );
        }
        assert!(read(&format!("format = \"ndjson\"\n{TABLE}")).is_ok());
        for (text, told) in [
            (
                format!("{QUEUE}from = \"2026-11-01T00:00:00Z\""),
                "`from` is no key of a queue",
            ),
            (format!("{QUEUE}from = 1"), "`from` is no key of a queue"),
            (format!("{FOLDER}prefix = \"/x\""), "remove the slash"),
            (
                format!("{EVENTS}[templates.5]\ntype = \"TESHD-3O\""),
                "[templates.5]: `type` is \"TESHD-3O\"; did you mean \"TESHD-30\"?",
            ),
        ] {
            let found = read(&text).unwrap_err();
            assert!(found.contains(told), "{text}: {found}");
        }
        for name in ["", ".hidden", "a/b", "a@b", "done", "refused", " a", &"x".repeat(101)] {
            assert!(Definition::read_text(name, EVENTS).is_err(), "{name}");
        }
    }
}
