//! Parameters that come as keys of their own, `parameters.codec` and so on, in JSON as in CSV and Parquet.

use crate::support::json::{Scanner, Value};
use crate::support::quote::quoted;
use crate::values::parameters::push_string;

use super::fields::{Field, Fields, Given, Offence};
use super::refusal::{Refusal, code, duplicate_field, unknown_field};

/// What a key of one parameter begins with, before the parameter's name.
pub(crate) const PREFIX: &str = "parameters.";

/// The parameter that a key or column names; none where it names none.
pub(crate) fn parameter_of(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX).filter(|parameter| !parameter.is_empty())
}

/// Whether the JSON object `text` has a key of one parameter.
#[cold]
pub(crate) fn is_dotted(text: &str) -> bool {
    let mut is_dotted = false;
    let read = each_member(text, |name, _, _| {
        is_dotted |= parameter_of(name).is_some();
        Ok(())
    });
    read.is_ok() && is_dotted
}

/// The fields of the JSON object `text`, in which each parameter has a key of its own; they are put together in `object`.
#[cold]
pub(crate) fn fields_of<'a>(text: &'a str, object: &'a mut String) -> Result<Fields<'a>, Refusal> {
    let mut fields = Fields::default();
    let mut first: Option<String> = None;
    object.clear();
    object.push('{');
    each_member(text, |name, value, raw| {
        if let Some(field) = Field::named(name) {
            let is_first = fields.put(field, Given::Json(value));
            return is_first.then_some(()).ok_or_else(|| duplicate_field(field.name()));
        }
        if let Some(parameter) = parameter_of(name) {
            first.get_or_insert_with(|| name.to_owned());
            if object.len() > 1 {
                object.push(',');
            }
            push_string(object, parameter);
            object.push(':');
            object.push_str(raw);
            return Ok(());
        }
        if value == Value::Null {
            return Ok(());
        }
        Err(unknown_field(name, Field::likely(name)))
    })?;
    object.push('}');
    if let Some(name) = first.filter(|_| fields.has(Field::Parameters)) {
        let sentence = format!(
            "the record has both `parameters` and {}; send one object or one key for each parameter, not both",
            quoted(&name)
        );
        return Err(Refusal::new(code::DUPLICATE_FIELD, sentence));
    }
    fields.replace(Field::Parameters, Given::Json(Value::Object(object)));
    Ok(fields)
}

/// The fields of an object in which parameters may have keys of their own.
pub(crate) fn of_object<'a>(text: &'a str, object: &'a mut String) -> Result<Fields<'a>, Refusal> {
    match Fields::of_object(text) {
        Ok(fields) => Ok(fields),
        Err(Offence::Unknown(_)) if is_dotted(text) => fields_of(text, object),
        Err(offence) => Err(offence.refusal(text)),
    }
}

/// Gives each member of the object `text` to `take`, in order: its key unescaped, its value, and that as it is written.
fn each_member<'a>(
    text: &'a str,
    mut take: impl FnMut(&str, Value<'a>, &'a str) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut scanner = Scanner::new(text);
    scanner.open_object()?;
    let mut key = scanner.first_key()?;
    while let Some(name) = key {
        let start = scanner.position();
        let value = scanner.value()?;
        take(&name.value(), value, text[start..scanner.position()].trim())?;
        key = scanner.next_key()?;
    }
    Ok(scanner.finish()?)
}

#[cfg(test)]
mod tests {
    use crate::pipeline::ingest::record::{Scratch, canonical_parameters, parse_line};

    const LINE: &str =
        r#"{"id":"a","uin":1,"appid":2,"task_type":"T","duration_ms":3,"finished_at":"2026-10-22T07:54:27Z","#;

    fn read(members: &str) -> Result<String, String> {
        let mut scratch = Scratch::default();
        let line = format!("{LINE}{members}}}");
        let record = parse_line(line.as_bytes(), &mut scratch).map_err(|refusal| refusal.to_string())?;
        canonical_parameters(&record).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn each_parameter_may_have_a_key_of_its_own() {
        let object = read(r#""parameters":{"codec":"H264","width":1920}"#);
        for members in [
            r#""parameters.codec":"H264","parameters.width":1920"#,
            r#""parameters.width": 1920.0 ,"source":"x","parameters.codec":"H\u0032\u0036\u0034","parameters.height":null"#,
            r#""parameters":null,"parameters.width":1920,"parameters.codec":"H264","colour":null"#,
        ] {
            assert_eq!(read(members), object, "{members}");
        }
        assert_eq!(read(r#""parameters.a.b":"x""#).as_deref(), Ok(r#"{"a.b":"x"}"#));
        assert_eq!(read(r#""parameters.on":true"#).as_deref(), Ok(r#"{"on":true}"#));
    }

    #[test]
    fn both_forms_twice_the_same_and_nesting_are_refused() {
        for (members, sentence) in [
            (
                r#""parameters":{},"parameters.codec":"H264""#,
                "the record has both `parameters` and \"parameters.codec\"; send one object or one key for each parameter, not \
                 both (duplicate_field)",
            ),
            (
                r#""parameters.codec":"H264","parameters.codec":"H265""#,
                "`parameters` has \"codec\" twice; it is unclear which one counts (duplicate_field)",
            ),
            (
                r#""parameters.codec":["H264"]"#,
                "`parameters` has [\"H264\"] for \"codec\"; only text, numbers, true, false and null are values (nested_parameter)",
            ),
            (
                r#""parameters.codec":"H264","colour":"red""#,
                "\"colour\" is not a field of a usage record; anything that is not one of the record's fields belongs in \
                 `parameters` (unknown_field)",
            ),
            (
                r#""parameters.codec":"H264","id":"b""#,
                "`id` appears twice; it is unclear which one counts (duplicate_field)",
            ),
            (
                r#""parameters.":1"#,
                "\"parameters.\" is not a field of a usage record; did you mean `parameters`? (unknown_field)",
            ),
        ] {
            assert_eq!(read(members), Err(sentence.to_owned()), "{members}");
        }
    }
}
