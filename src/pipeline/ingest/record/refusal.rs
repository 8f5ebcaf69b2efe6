//! Why a line is refused: a stable code for machines, a sentence for people.

use crate::support::json::{Fault, SyntaxError};
use crate::support::quote::{plain, quoted};
use crate::values::number::NumberError;
use crate::values::parameters::{MAX_CANONICAL_BYTES, MAX_KEYS, ParametersError};

/// A refused line: it goes to quarantine with this and its original bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence} ({code})")]
pub struct Refusal {
    /// One of [`CODES`]; never changes its meaning.
    pub code: &'static str,
    /// Names the field, the value (cut and escaped) and the limit.
    pub sentence: String,
}

impl Refusal {
    /// A refusal with a code of [`code`].
    #[cold]
    pub fn new(code: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            code,
            sentence: sentence.into(),
        }
    }
}

macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        /// The reason codes. They are stable: quarantine rows and dashboards hold them.
        pub mod code {
            $(#[doc = $meaning] pub const $name: &str = $code;)*
        }

        /// Every reason code with its meaning, for help and documentation.
        pub const CODES: &[(&str, &str)] = &[$(($code, $meaning)),*];
    };
}

codes! {
    LINE_TOO_LONG = "line_too_long", "the line is longer than 1 MiB";
    NOT_UTF8 = "not_utf8", "the line is not UTF-8";
    NOT_JSON = "not_json", "the line is not JSON (RFC 8259)";
    CUT_OFF = "cut_off", "the line ends in the middle of a JSON value";
    TOO_DEEP = "too_deep", "JSON that is nested too deep";
    NOT_AN_OBJECT = "not_an_object", "JSON, but not one object";
    UNKNOWN_FIELD = "unknown_field", "a field that a usage record does not have";
    DUPLICATE_FIELD = "duplicate_field", "a field or parameter appears twice";
    MISSING_FIELD = "missing_field", "a required field is absent, null or an empty cell";
    WRONG_TYPE = "wrong_type", "a value of another JSON type than the field's";
    EMPTY_TEXT = "empty_text", "an empty text where at least one byte is needed";
    TEXT_TOO_LONG = "text_too_long", "a text of more bytes than the field may have";
    CONTROL_CHARACTER = "control_character", "a control character in an identifier or parameter";
    INVISIBLE_CHARACTER = "invisible_character", "an identifier with an invisible character: a byte order mark, a trailing space, a zero-width space";
    NOT_A_NUMBER = "not_a_number", "a text that is not the number it should be";
    NEGATIVE = "negative", "a measured value below zero";
    NOT_WHOLE = "not_whole", "a measured value that is not a whole number, or an account or id that is written as a float";
    OUT_OF_RANGE = "out_of_range", "a number or a time that does not fit";
    NOT_A_TIME = "not_a_time", "a text that is not a time with an offset";
    LEAP_SECOND = "leap_second", "a time in second 60";
    NOT_FINISHED = "not_finished", "`finished_at` is 0000-00-00T00:00:00Z: not reached yet";
    IN_THE_FUTURE = "in_the_future", "`finished_at` is more than 1 hour after the run's clock";
    DAY_EXPIRED = "day_expired", "`finished_at` is on a UTC day that is marked expired";
    BEFORE_FIRST_DAY = "before_first_day", "`finished_at` is before the first billing day";
    UNKNOWN_ACCOUNT = "unknown_account", "`uin` is not an account, and the settings do not add accounts automatically";
    ACCOUNT_ENDED = "account_ended", "`finished_at` is on the day on which the account ended, or later";
    ACCOUNT_ERASED = "account_erased", "the account was erased; the line is counted, and its bytes are not kept";
    UNKNOWN_KIND = "unknown_kind", "`kind` is neither usage nor void";
    UNKNOWN_STATUS = "unknown_status", "`status` is neither SUCCESS nor FAIL";
    VOIDS_ON_USAGE = "voids_on_usage", "`voids` on a record that is not a void";
    VOID_OF_ITSELF = "void_of_itself", "a void that names its own ID";
    NESTED_PARAMETER = "nested_parameter", "a parameter that is an object or a list";
    TOO_MANY_PARAMETERS = "too_many_parameters", "more than 32 parameters";
    PARAMETERS_TOO_LARGE = "parameters_too_large", "parameters of more than 4 KiB";
    BAD_EVENT = "bad_event", "a `CloudEvent` that does not conform to version 1.0";
    EVENT_CONFLICT = "event_conflict", "a `CloudEvent` whose attributes and data differ";
    BAD_CELL = "bad_cell", "a CSV cell that is not valid (RFC 4180) on one line: a stray quote, or one that is not closed";
    WRONG_CELL_COUNT = "wrong_cell_count", "a CSV row with more or fewer cells than its header";
    EVENT_TOO_LARGE = "event_too_large", "a document of events of more than 16 MiB";
    NOT_AN_EVENT = "not_an_event", "JSON that is no event of the service that the format names";
    UNSUPPORTED_EVENT = "unsupported_event", "an event of a kind that does not say what is to be billed";
    UNKNOWN_TEMPLATE = "unknown_template", "an output of a template whose type, or streams, are not known";
    UNKNOWN_ENHANCEMENT = "unknown_enhancement", "an enhancement that is switched on and not known";
    UNKNOWN_APPID = "unknown_appid", "an APPID that is not in the source's table";
    BAD_SIGNATURE = "bad_signature", "an event without a right `Sign`, from a source that has notification keys";
    SIGNATURE_EXPIRED = "signature_expired", "an event that was sent after its `Sign` expired";
}

impl From<SyntaxError> for Refusal {
    fn from(error: SyntaxError) -> Self {
        Self::new(syntax_code(error.fault), format!("the line is not JSON, {error}"))
    }
}

impl From<ParametersError> for Refusal {
    fn from(error: ParametersError) -> Self {
        let code = match &error {
            ParametersError::NotUtf8 => code::NOT_UTF8,
            ParametersError::Syntax(error) => syntax_code(error.fault),
            ParametersError::NotAnObject { .. } | ParametersError::NotMeasured { .. } => code::WRONG_TYPE,
            ParametersError::EmptyKey => code::EMPTY_TEXT,
            ParametersError::ControlCharacter { .. } => code::CONTROL_CHARACTER,
            ParametersError::Duplicate { .. } => code::DUPLICATE_FIELD,
            ParametersError::Nested { .. } => code::NESTED_PARAMETER,
            ParametersError::Number { problem, .. } => number_code(*problem),
            ParametersError::TooMany { .. } => code::TOO_MANY_PARAMETERS,
            ParametersError::TooLarge { .. } => code::PARAMETERS_TOO_LARGE,
        };
        Self::new(code, error.to_string())
    }
}

fn syntax_code(fault: Fault) -> &'static str {
    match fault {
        Fault::CutOff => code::CUT_OFF,
        Fault::TooDeep => code::TOO_DEEP,
        _ => code::NOT_JSON,
    }
}

/// The refusal of a text that is not JSON, with the cure where it is plain what wrote it.
#[cold]
pub(crate) fn not_json(text: &str, error: SyntaxError) -> Refusal {
    let rest = text.get(error.at..).unwrap_or_default();
    let begins = |words: &[&str]| words.iter().any(|word| rest.starts_with(word));
    let cure = if begins(&["NaN", "Infinity"])
        || text.get(..error.at).is_some_and(|before| before.ends_with('-')) && begins(&["I"])
    {
        "; NaN is not valid JSON, nor is Infinity: omit fields without a value"
    } else if begins(&["None", "True", "False", "'"]) {
        "; this is Python's notation: write the line with json.dumps"
    } else {
        ""
    };
    let Refusal { code, sentence } = error.into();
    Refusal::new(code, sentence + cure)
}

/// The code for what is wrong with a number.
pub(crate) fn number_code(error: NumberError) -> &'static str {
    match error {
        NumberError::NotANumber => code::NOT_A_NUMBER,
        NumberError::Negative => code::NEGATIVE,
        NumberError::Fraction => code::NOT_WHOLE,
        NumberError::TooLong | NumberError::TooLarge => code::OUT_OF_RANGE,
    }
}

/// The refusal of a field that no record has, with the name that was likely meant.
#[cold]
pub(crate) fn unknown_field(name: &str, likely: Option<&str>) -> Refusal {
    let cure = match likely {
        _ if name == "__index_level_0__" => {
            "; it is the index column of pandas: write the file with index=False".to_owned()
        }
        Some(likely) => format!("; did you mean `{likely}`?"),
        None => "; anything that is not one of the record's fields belongs in `parameters`".to_owned(),
    };
    Refusal::new(
        code::UNKNOWN_FIELD,
        format!("{} is not a field of a usage record{cure}", quoted(name)),
    )
}

/// The refusal of a field that is there twice.
#[cold]
pub(crate) fn duplicate_field(name: &str) -> Refusal {
    Refusal::new(
        code::DUPLICATE_FIELD,
        format!("`{}` appears twice; it is unclear which one counts", plain(name)),
    )
}

// The meanings above name these limits in words.
const _: () = assert!(MAX_KEYS == 32 && MAX_CANONICAL_BYTES == 4096);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_there_once_and_in_snake_case() {
        for (index, (code, meaning)) in CODES.iter().enumerate() {
            assert!(
                code.bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()),
                "{code}"
            );
            assert!(!meaning.is_empty());
            assert!(
                CODES[index + 1..].iter().all(|(other, _)| other != code),
                "{code} twice"
            );
        }
    }
}
