//! Parameters: canonical text, equality, limits.

use super::*;
use proptest::prelude::*;

fn text_of(raw: &str) -> Result<String, ParametersError> {
    canonical(raw.as_bytes())
}

#[test]
fn equal_parameters_have_one_text() {
    let expected = r#"{"codec":"H264","fps":29.97,"hdr":true,"width":1920}"#;
    for raw in [
        r#"{"codec":"H264","fps":29.97,"hdr":true,"width":1920}"#,
        r#" { "width" : 1920.0 , "hdr":true, "fps":2.997e1,"codec":"\u0048264", "height":null } "#,
    ] {
        assert_eq!(text_of(raw).as_deref(), Ok(expected));
    }
    assert_eq!(text_of("{}").as_deref(), Ok("{}"));
    assert_eq!(text_of(r#"{"a":null}"#).as_deref(), Ok("{}"));
}

#[test]
fn text_stays_text() {
    assert_eq!(
        text_of(r#"{"steps":"30","width":"1920"}"#).as_deref(),
        Ok(r#"{"steps":"30","width":"1920"}"#)
    );
}

#[test]
fn a_text_is_equal_to_the_number_or_truth_value_that_it_plainly_means_and_to_no_other_text() {
    let equal = |one: &str, other: &str| {
        let of = |value: &str| text_of(&format!(r#"{{"a":{value},"b":"x"}}"#)).unwrap();
        let (one, other) = (of(one), of(other));
        let is_equal = are_equal(&one, &other);
        assert_eq!(are_equal(&other, &one), is_equal, "{one} {other}");
        assert!(!is_equal || coarse(&one) == coarse(&other), "{one} {other}");
        is_equal
    };
    for (text, value) in [
        (r#""1920""#, "1920"),
        (r#""1920.0""#, "1920"),
        (r#""1.10""#, "1.1"),
        (r#""-0""#, "0"),
        (r#""-2.50""#, "-2.5"),
        (r#""0.5""#, "5e-1"),
        (r#""true""#, "true"),
        (r#""false""#, "false"),
    ] {
        assert!(equal(text, value), "{text} {value}");
    }
    for (one, other) in [
        (r#""12E4""#, "120000"),
        (r#""007""#, "7"),
        (r#""+5""#, "5"),
        (r#"".5""#, "0.5"),
        (r#""5.""#, "5"),
        (r#""1,920""#, "1920"),
        (r#"" 1""#, "1"),
        (r#""0x10""#, "16"),
        (r#""TRUE""#, "true"),
        (r#""true""#, "false"),
        (r#""1""#, "true"),
        (r#""1.10""#, r#""1.1""#),
        ("1", "2"),
        (r#""x""#, r#""y""#),
    ] {
        assert!(!equal(one, other), "{one} {other}");
    }
    assert!(!are_equal(r#"{"a":1}"#, r#"{"a":1,"b":1}"#));
    assert!(!are_equal(r#"{"a":1}"#, r#"{"b":1}"#));
    assert_eq!(
        coarse(r#"{"a":"1.10","b":"12E4","c":"true","d":"tru","e":"007","f":"-1"}"#),
        r#"{"a":1.1,"b":"12E4","c":true,"d":"tru","e":"007","f":-1}"#
    );
}

#[test]
fn a_measured_value_may_be_text_that_is_a_plain_decimal() {
    for raw in [r#"{"width":"1920"}"#, r#"{"width":"1920.0"}"#, r#"{"images":"0"}"#] {
        assert_eq!(text_of(raw).as_deref(), Ok(raw));
    }
    for (raw, problem) in [
        (r#"{"width":"1920px"}"#, "a number is expected"),
        (r#"{"width":"1,920"}"#, "a number is expected"),
        (r#"{"width":"1e3"}"#, "a number is expected"),
        (r#"{"width":"-1"}"#, "which is negative"),
        (r#"{"width":"1.5"}"#, "which is not a whole number"),
    ] {
        let sentence = text_of(raw).unwrap_err().to_string();
        assert!(sentence.contains(problem), "{raw}: {sentence}");
    }
}

#[test]
fn values_are_read_by_their_type() {
    let parameters = Parameters::from_canonical(r#"{"codec":"H264","fps":29.97,"images":8,"on":true}"#).unwrap();
    assert_eq!(parameters.integer("images"), Some(8));
    assert_eq!(parameters.integer("fps"), None);
    assert_eq!(parameters.integer("codec"), None);
    assert_eq!(parameters.text("codec"), Some("H264"));
    assert_eq!(parameters.text("images"), None);
    assert_eq!(parameters.get("on"), Some(&Scalar::Bool(true)));
    assert_eq!(parameters.get("off"), None);
}

#[test]
fn what_is_wrong_is_named_with_its_value_and_limit() {
    for (raw, expected) in [
        (
            r#"{"images":-1}"#,
            "`parameters` has -1 for \"images\", which is negative; a whole number from 0 to 9007199254740992 is expected",
        ),
        (
            r#"{"width":1.5}"#,
            "`parameters` has 1.5 for \"width\", which is not a whole number; a whole number from 0 to 9007199254740992 is \
             expected",
        ),
        (
            r#"{"height":9007199254740993}"#,
            "`parameters` has 9007199254740993 for \"height\", which is too large; a whole number from 0 to 9007199254740992 is \
             expected",
        ),
        (
            r#"{"images":"8 of 9"}"#,
            "`parameters` has the text \"8 of 9\" for \"images\"; a number is expected, such as 1920: digits alone, no comma and \
             no unit",
        ),
        (
            r#"{"images":true}"#,
            "`parameters` has true for \"images\"; a number is expected, such as 1920: digits alone, no comma and no unit",
        ),
        (
            r#"{"fps":1e400}"#,
            "`parameters` has 1e400 for \"fps\", which is a number of more than 64 digits; at most 64 digits are allowed",
        ),
        (
            r#"{"a":{"b":1}}"#,
            "`parameters` has {\"b\":1} for \"a\"; only text, numbers, true, false and null are values",
        ),
        (
            r#"{"a":[1]}"#,
            "`parameters` has [1] for \"a\"; only text, numbers, true, false and null are values",
        ),
        (
            r#"{"a":1,"a":1}"#,
            "`parameters` has \"a\" twice; it is unclear which one counts",
        ),
        (
            r#"{"a":null,"\u0061":1}"#,
            "`parameters` has \"a\" twice; it is unclear which one counts",
        ),
        (r#"{"":1}"#, "`parameters` has an empty key; each needs a name"),
        (
            r#"{"a\n":1}"#,
            "`parameters` has a control character in the key \"a\\n\"; it is not allowed in names, and U+0000 not in texts",
        ),
        (
            r#"{"a":"\u0000"}"#,
            "`parameters` has a control character in the text of \"a\"; it is not allowed in names, and U+0000 not in texts",
        ),
        (
            r#"{"a":NaN}"#,
            "`parameters` is not JSON, byte 5: a value is expected here",
        ),
        ("[1]", "`parameters` is [1]; an object is expected"),
    ] {
        assert_eq!(text_of(raw).unwrap_err().to_string(), expected, "{raw}");
    }
    assert_eq!(canonical(b"{\"a\":\"\xff\"}"), Err(ParametersError::NotUtf8));
}

#[test]
fn thirty_two_keys_are_taken_and_nulls_do_not_count() {
    let object = |count: usize| {
        let members: Vec<_> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{{},\"none\":null}}", members.join(","))
    };
    assert!(text_of(&object(32)).is_ok());
    assert_eq!(text_of(&object(33)), Err(ParametersError::TooMany { count: 33 }));
}

#[test]
fn four_kibibytes_of_canonical_text_are_taken() {
    let object = |count: usize| format!("{{ \"a\" : \"{}\" }}", "x".repeat(count - r#"{"a":""}"#.len()));
    assert_eq!(text_of(&object(4096)).map(|text| text.len()), Ok(4096));
    assert_eq!(text_of(&object(4097)), Err(ParametersError::TooLarge { bytes: 4097 }));
}

/// Values that may be equal though they are written otherwise.
fn value() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        "-?[0-2]{1,2}(\\.[0-2]{1,2})?|true|false|[a-z]|1e1".prop_map(Scalar::Text),
        "-?[12]?(0|1|2|0\\.1|2\\.01)"
            .prop_map(|text| Scalar::Number(number::canonical(&text).unwrap_or("0".into()).into_owned())),
        any::<bool>().prop_map(Scalar::Bool),
    ]
}

proptest! {
    #[test]
    fn what_is_equal_has_the_same_coarse_text_and_one_that_does_not_change_again(one in value(), other in value()) {
        let of = |value: &Scalar| Parameters([("a".to_owned(), value.clone())].into()).canonical();
        let (left, right) = (of(&one), of(&other));
        prop_assert_eq!(are_equal(&left, &right), one.is_equal(&other));
        if one.is_equal(&other) {
            prop_assert_eq!(coarse(&left), coarse(&right));
        }
        let coarse_text = coarse(&left).into_owned();
        prop_assert_eq!(coarse(&coarse_text), coarse_text.as_str());
        // Only two texts may be of one coarse text and not equal.
        let are_texts = matches!((&one, &other), (Scalar::Text(_), Scalar::Text(_)));
        prop_assert!(are_texts || one.is_equal(&other) == (coarse(&left) == coarse(&right)));
    }

    #[test]
    fn the_canonical_text_is_json_and_canonical_itself(
        members in proptest::collection::btree_map("[a-z]{1,5}|\\PC{1,3}", "\\PC{0,8}|[\u{1}-\u{20}\"\\\\]{0,5}", 0..6)
    ) {
        let raw = serde_json::to_string(&members).unwrap();
        prop_assume!(!members.keys().any(|key| MEASURED.contains(&key.as_str())));
        let text = canonical(raw.as_bytes()).unwrap();
        prop_assert_eq!(&text, &raw);
        let parameters = Parameters::from_canonical(&text).unwrap();
        prop_assert_eq!(parameters.canonical(), text);
    }
}
