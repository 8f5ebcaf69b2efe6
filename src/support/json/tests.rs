use super::*;
use proptest::prelude::*;
use serde::de::IgnoredAny;

/// What `serde_json` says, except that its trees cannot hold numbers beyond f64.
fn is_json(text: &str) -> bool {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(_) => true,
        Err(error) => {
            error.to_string().starts_with("number out of range") && serde_json::from_str::<IgnoredAny>(text).is_ok()
        }
    }
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn what_the_rfc_allows_is_read() {
    for text in [
        "{}",
        "[]",
        " [ ] ",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "0.0",
        "1e5",
        "1E+5",
        "1.25e-05",
        "1e400",
        "\"\"",
        "\t\r\n {\"a\" : [1 , {\"b\":null}]} ",
        r#""\"\\\/\b\f\n\r\t\u0000\uD83D\uDE00\uffff""#,
        "\"\u{7f}\u{e000}é😀\"",
        r#"{"":"","":""}"#,
    ] {
        assert!(check(text).is_ok(), "{text}: {:?}", check(text));
        assert!(is_json(text), "{text}");
    }
}

#[test]
fn what_it_forbids_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "[",
        "}",
        "{]",
        "[1,]",
        "{\"a\":1,}",
        "{,}",
        "[,]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "[1 2]",
        "NaN",
        "Infinity",
        "-Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".1",
        "1e",
        "1e+",
        "0x1",
        "1_0",
        "١",
        "nul",
        "nulll",
        "True",
        "TRUE",
        "\"",
        "\"a",
        "\"\n\"",
        "\"\t\"",
        "\"\u{0}\"",
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\n""#,
        r#""\ud800\ud800""#,
        r#""\ud800x""#,
        r#""\"#,
        "\u{feff}{}",
        "{}{}",
        "{} x",
        "1 1",
        "// a\n1",
        "\u{a0}1",
        "[1]]",
        "\"a\"b",
    ] {
        assert!(check(text).is_err(), "{text}");
        assert!(!is_json(text), "{text}");
    }
}

#[test]
fn nesting_has_a_limit() {
    let limit = usize::try_from(MAX_DEPTH).unwrap();
    assert!(check(&nested(limit)).is_ok());
    assert_eq!(
        check(&nested(limit + 1)),
        Err(SyntaxError {
            at: limit,
            fault: Fault::TooDeep
        })
    );
    assert_eq!(check(&"[{\"a\":".repeat(100_000)).unwrap_err().fault, Fault::TooDeep);
}

#[test]
fn a_text_that_ends_too_early_is_told_from_one_that_is_wrong() {
    let whole = r#"{"a":[true,false,null,-1.5e+3,"x\"\u00e9\ud83d\ude00"],"b":{}}"#;
    for end in 0..whole.len() {
        let error = check(&whole[..end]).unwrap_err();
        assert_eq!(error.fault, Fault::CutOff, "{}", &whole[..end]);
    }
    assert_eq!(
        check("[1;").unwrap_err(),
        SyntaxError {
            at: 2,
            fault: Fault::NoComma
        }
    );
}

#[test]
fn the_number_test_takes_the_whole_text_or_nothing() {
    for text in ["0", "-0.5", "1e9"] {
        assert!(is_number(text), "{text}");
    }
    for text in ["", " 1", "1 ", "1x", "-", "1e", "NaN", "\"1\"", "true"] {
        assert!(!is_number(text), "{text}");
    }
}

#[test]
fn a_flat_object_ends_at_its_own_brace() {
    for (text, expected) in [
        (r"{} ,", Some("{}")),
        (r#"{"a":"}"},"#, Some(r#"{"a":"}"}"#)),
        (r#"{"a":{"b":"}"}},"#, Some(r#"{"a":{"b":"}"}}"#)),
        (r#"{"a":"\"}"},"#, Some(r#"{"a":"\"}"}"#)),
        (r#"{"a":"{"},"#, Some(r#"{"a":"{"}"#)),
        (r#"{"a":"x"#, None),
    ] {
        let value = Scanner::new(text).value_unchecked_if_flat_object();
        assert_eq!(value.ok(), expected.map(Value::Object), "{text}");
    }
}

/// JSON, nearly JSON, and noise with the characters that matter.
fn any_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?",
        "-?[0-9.eE+-]{1,6}",
        "\\PC{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        "[ -~]{0,30}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"(\\\\[\"\\\\/bfnrtux]|\\\\u[0-9a-fD]{4}|\\\\ud8[0-9a-f]{2}\\\\ud[c-f][0-9a-f]{2}|[a-z\"\u{1f}]){0,6}\"",
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..4);
        let space = prop_oneof![Just(""), Just(" "), Just("\n\t"), Just(",")];
        prop_oneof![
            (list.clone(), space.clone()).prop_map(|(items, space)| format!("[{space}{}]", items.join(","))),
            (list, space).prop_map(|(items, space)| {
                let members: Vec<_> = items.iter().map(|item| format!("\"k\"{space}:{item}{space}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_reads_exactly_what_serde_json_reads(text in any_text()) {
        prop_assert_eq!(check(&text).is_ok(), is_json(&text), "{}", text);
    }

    #[test]
    fn a_change_of_one_byte_is_judged_alike(text in any_text(), place: prop::sample::Index, byte in 0_u8..128) {
        let mut bytes = text.into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert_eq!(check(&text).is_ok(), is_json(&text), "{}", text);
        }
    }

    #[test]
    fn noise_is_judged_alike(text in "[\\[\\]{}\",:\\\\ue0-9.\\-tn \\x00-\\x1f]{0,40}|\\PC{0,20}") {
        prop_assert_eq!(check(&text).is_ok(), is_json(&text), "{}", text);
    }

    #[test]
    fn strings_are_resolved_as_serde_json_resolves_them(text in "\"(\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-f]{2}|\\\\uD83D\\\\uDE0[0-9]|[^\"\\\\\\x00-\\x1f]){0,40}\"") {
        let Value::Text(found) = check(&text).unwrap() else { panic!("{text}") };
        let expected: String = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(found.value(), expected.as_str());
    }

    #[test]
    fn an_object_that_is_json_is_measured_as_it_is_checked(text in any_text(), after in "[ ,}\"]{0,5}") {
        let line = format!("{text}{after}");
        let checked = Scanner::new(&line).value();
        let measured = Scanner::new(&line).value_unchecked_if_flat_object();
        if checked.is_ok() {
            prop_assert_eq!(measured, checked);
        } else if let Ok(Value::Object(object)) = measured {
            prop_assert!(check(object).is_err());
        }
    }
}

proptest! {
    #[test]
    fn printable_is_what_each_byte_says(bytes in proptest::collection::vec(prop_oneof![20 => 0x20_u8..0x7F, 1 => any::<u8>()], 0..40)) {
        let each = bytes.iter().all(|&byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
        prop_assert_eq!(is_printable(&bytes), each);
    }

    #[test]
    fn the_first_of_a_byte_is_found_from_any_start(bytes in proptest::collection::vec(0x20_u8..0x24, 0..40), start in 0_usize..45) {
        let found = bytes.iter().skip(start).position(|&byte| byte == b'"').map(|at| start + at);
        prop_assert_eq!(first_of(b'"', &bytes, start), found);
    }
}
