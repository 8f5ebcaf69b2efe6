//! Which column of theirs is which field of a record.

use serde::de::Error as _;
use serde::ser::SerializeMap as _;

use crate::support::nearest::nearest;
use crate::support::quote::quoted;

/// The fields of a record, as the door knows them.
pub const FIELDS: [&str; 16] = [
    "source",
    "id",
    "kind",
    "voids",
    "uin",
    "appid",
    "task_type",
    "parameters",
    "duration_ms",
    "finished_at",
    "status",
    "task_id",
    "event_id",
    "input_url",
    "created_at",
    "started_at",
];

/// How the field of one parameter begins.
pub const PARAMETER: &str = "parameters.";

/// The members of a record, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns(Vec<Member>);

/// One member: a field of the record, or `parameters.NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub field: String,
    pub origin: Origin,
}

/// Where the value of a member comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Column(String),
    /// All rows have the same.
    Fixed(Fixed),
}

/// A value that a definition gives. A number with a fraction is written as text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Fixed {
    Text(String),
    Integer(i64),
    Bool(bool),
}

impl Columns {
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.iter()
    }

    /// # Errors
    /// A sentence that names the field and the cure.
    pub(in crate::catalog::source) fn check(&self) -> Result<(), String> {
        for Member { field, origin } in &self.0 {
            if field.strip_prefix(PARAMETER).is_none_or(str::is_empty) && !FIELDS.contains(&field.as_str()) {
                return Err(unknown_field(field));
            }
            if let Origin::Column(column) = origin
                && (column.is_empty() || column.contains('\0'))
            {
                return Err(format!(
                    "`columns`: {field} is {}; the name of a column is expected",
                    quoted(column)
                ));
            }
        }
        let has = |name: &str| self.0.iter().any(|member| member.field == name);
        if !has("id") {
            return Err("`columns` has no `id`: name the column that is unique for each output of a task".to_owned());
        }
        if has("parameters") && self.0.iter().any(|member| member.field.starts_with(PARAMETER)) {
            return Err(
                "`columns` has `parameters` and `parameters.NAME`; one column of JSON, or a column for each".to_owned(),
            );
        }
        Ok(())
    }
}

fn unknown_field(field: &str) -> String {
    let cure = nearest(field, FIELDS).map_or_else(
        || "what is not one of the record's fields is named `parameters.NAME`".to_owned(),
        |likely| format!("did you mean `{likely}`?"),
    );
    format!("`columns`: {} is no field of a usage record; {cure}", quoted(field))
}

/// The place of a field in a record's line.
fn rank(field: &str) -> usize {
    let field = if field.starts_with(PARAMETER) {
        "parameters"
    } else {
        field
    };
    FIELDS.iter().position(|known| *known == field).unwrap_or(FIELDS.len())
}

impl serde::Serialize for Columns {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for Member { field, origin } in &self.0 {
            match origin {
                Origin::Column(column) => map.serialize_entry(field, column)?,
                Origin::Fixed(value) => {
                    map.serialize_entry(field, &std::collections::BTreeMap::from([("value", value)]))?;
                }
            }
        }
        map.end()
    }
}

impl<'de> serde::Deserialize<'de> for Columns {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut members = Vec::new();
        for (field, value) in toml::Table::deserialize(from)? {
            match value {
                toml::Value::Table(parameters) if field == "parameters" => {
                    for (name, value) in parameters {
                        members.push(member(format!("{PARAMETER}{name}"), value).map_err(D::Error::custom)?);
                    }
                }
                value => members.push(member(field, value).map_err(D::Error::custom)?),
            }
        }
        members.sort_by_cached_key(|member: &Member| (rank(&member.field), member.field.clone()));
        if let Some(pair) = members.windows(2).find(|pair| pair[0].field == pair[1].field) {
            return Err(D::Error::custom(format!(
                "`columns`: {} is there twice",
                quoted(&pair[0].field)
            )));
        }
        Ok(Self(members))
    }
}

fn member(field: String, value: toml::Value) -> Result<Member, String> {
    let origin = match value {
        toml::Value::String(column) => Some(Origin::Column(column)),
        toml::Value::Table(mut table) if table.len() == 1 => table.remove("value").and_then(fixed).map(Origin::Fixed),
        _ => None,
    };
    match origin {
        Some(origin) => Ok(Member { field, origin }),
        None => Err(format!(
            "`columns`: {} must be the name of a column, or {{ value = ... }} with a text, a whole number, true or false",
            quoted(&field)
        )),
    }
}

fn fixed(value: toml::Value) -> Option<Fixed> {
    match value {
        toml::Value::String(text) => Some(Fixed::Text(text)),
        toml::Value::Integer(number) => Some(Fixed::Integer(number)),
        toml::Value::Boolean(truth) => Some(Fixed::Bool(truth)),
        _ => None,
    }
}
