//! The part of JSON Schema (draft 2020-12) that `rate-card schema` uses. A keyword that is not known here fails the test: none is passed over.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use regex::Regex;
use serde_json::{Map, Value};

/// Patterns that were met: making one takes longer than all its matches.
static PATTERNS: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());

fn matches(pattern: &str, text: &str) -> bool {
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    let made = patterns
        .entry(pattern.to_owned())
        .or_insert_with(|| Regex::new(pattern).unwrap());
    made.is_match(text)
}

/// What a schema finds wrong with a value, each with its place; empty where it is valid. `root` is the document with the `$defs`.
pub fn complaints_about(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let Value::Object(keywords) = schema else {
        panic!("a schema is an object: {schema}")
    };
    let is_valid = |schema: &Value| complaints_about(root, schema, value, place).is_empty();
    let mut found = Vec::new();
    for (keyword, wanted) in keywords {
        let fits = match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" | "then" | "else" => true,
            "additionalProperties" | "items" | "properties" | "propertyNames" => {
                found.extend(below(root, keywords, keyword, value, place));
                true
            }
            "$ref" => {
                let name = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                found.extend(complaints_about(root, root.pointer(name).unwrap(), value, place));
                true
            }
            "if" => {
                let branch = if is_valid(wanted) { "then" } else { "else" };
                found.extend(complaints_about(root, &keywords[branch], value, place));
                true
            }
            "allOf" => wanted.as_array().unwrap().iter().all(is_valid),
            "dependentSchemas" => {
                let members = value.as_object();
                let has = |name: &str| members.is_some_and(|members| members.contains_key(name));
                let mut depend = wanted.as_object().unwrap().iter().filter(|(name, _)| has(name));
                depend.all(|(_, schema)| is_valid(schema))
            }
            "anyOf" => wanted.as_array().unwrap().iter().any(is_valid),
            "oneOf" => wanted.as_array().unwrap().iter().filter(|one| is_valid(one)).count() == 1,
            "not" => !is_valid(wanted),
            _ => holds(keyword, wanted, value),
        };
        if !fits {
            found.push(format!("{place}: {keyword} {wanted}"));
        }
    }
    found
}

/// The members and items of a value by the schemas for them.
fn below(root: &Value, keywords: &Map<String, Value>, keyword: &str, value: &Value, place: &str) -> Vec<String> {
    let wanted = &keywords[keyword];
    let mut found = Vec::new();
    match (keyword, value) {
        ("items", Value::Array(items)) => {
            for (at, item) in items.iter().enumerate() {
                found.extend(complaints_about(root, wanted, item, &format!("{place}/{at}")));
            }
        }
        ("properties", Value::Object(members)) => {
            for (name, schema) in wanted.as_object().unwrap() {
                if let Some(member) = members.get(name) {
                    found.extend(complaints_about(root, schema, member, &format!("{place}/{name}")));
                }
            }
        }
        ("propertyNames", Value::Object(members)) => {
            for name in members.keys() {
                found.extend(complaints_about(
                    root,
                    wanted,
                    &name.as_str().into(),
                    &format!("{place}/{name}"),
                ));
            }
        }
        ("additionalProperties", Value::Object(members)) => {
            let is_named = |name: &str| {
                keywords
                    .get("properties")
                    .is_some_and(|known| known.get(name).is_some())
            };
            for (name, member) in members.iter().filter(|(name, _)| !is_named(name)) {
                let place = format!("{place}/{name}");
                match wanted {
                    Value::Bool(false) => found.push(format!("{place}: {keyword} {wanted}")),
                    schema => found.extend(complaints_about(root, schema, member, &place)),
                }
            }
        }
        _ => {}
    }
    found
}

/// Whether a value fulfils a keyword that looks at it alone. A keyword says nothing of values of another type.
fn holds(keyword: &str, wanted: &Value, value: &Value) -> bool {
    let limit = || wanted.as_u64().unwrap();
    let count = |count: usize| u64::try_from(count).unwrap();
    match (keyword, value) {
        ("const", value) => value == wanted,
        ("enum", value) => wanted.as_array().unwrap().contains(value),
        ("type", value) => match wanted.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("the type {other} is not known here"),
        },
        ("required", Value::Object(members)) => wanted
            .as_array()
            .unwrap()
            .iter()
            .all(|name| members.contains_key(name.as_str().unwrap())),
        ("dependentRequired", Value::Object(members)) => {
            let mut depend = wanted
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| members.contains_key(*name));
            depend.all(|(_, names)| holds("required", names, value))
        }
        ("minProperties", Value::Object(members)) => limit() <= count(members.len()),
        ("minItems", Value::Array(items)) => limit() <= count(items.len()),
        ("uniqueItems", Value::Array(items)) => items.iter().enumerate().all(|(at, item)| !items[..at].contains(item)),
        ("minLength", Value::String(text)) => limit() <= count(text.chars().count()),
        ("maxLength", Value::String(text)) => count(text.chars().count()) <= limit(),
        ("pattern", Value::String(text)) => matches(wanted.as_str().unwrap(), text),
        ("minimum", Value::Number(number)) => wanted.as_i64().unwrap() <= number.as_i64().unwrap_or(i64::MIN),
        ("maximum", Value::Number(number)) => number.as_i64().unwrap_or(i64::MAX) <= wanted.as_i64().unwrap(),
        (
            "required" | "dependentRequired" | "minProperties" | "minItems" | "uniqueItems" | "minLength" | "maxLength"
            | "pattern" | "minimum" | "maximum",
            _,
        ) => true,
        _ => panic!("the keyword {keyword} is not known here"),
    }
}

#[test]
fn a_keyword_that_is_not_known_here_is_not_passed_over() {
    let schema = serde_json::json!({ "minLenght": 1 });
    let checked = std::panic::catch_unwind(|| complaints_about(&schema, &schema, &"".into(), ""));
    assert!(checked.is_err());
}
