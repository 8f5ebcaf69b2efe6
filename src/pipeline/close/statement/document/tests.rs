use super::json::parsed_groups;
use super::read::plain_groups;
use super::*;
use proptest::prelude::*;

fn line(line_no: u32, text: &str, mantissa: i64) -> Line<'_> {
    Line {
        line_no,
        appid: Some(u64::MAX),
        kind: Kind::Adjustment,
        card: text.into(),
        card_version: "2024-01-01".parse().ok(),
        region: text.into(),
        sku: text.into(),
        meter: text.into(),
        unit: text.into(),
        records: Some(mantissa),
        priced: Some(Priced {
            quantity: Decimal::new(mantissa, 6),
            unit_price: Decimal::new(mantissa, 4),
            discount_percent: Decimal::new(1250, 2),
        }),
        amount: Decimal::new(mantissa, 10),
        corrects: Some((text.into(), line_no)),
        note: text.into(),
        slice: line_no,
        span_start: "2024-11-05".parse().ok(),
    }
}

#[test]
fn a_document_is_compact_canonical_json() {
    let lines = [
        line(1, "a\"b\n\u{1f}é\u{7f}", -5),
        Line::rounding(2, Decimal::new(5, 10), String::new()),
    ];
    assert_eq!(
        write(lines.into_iter()),
        concat!(
            r#"[["1","18446744073709551615","adjustment","a\"b\n\u001fé"#,
            "\u{7f}",
            r#"","2024-01-01","a\"b\n\u001fé"#,
            "\u{7f}",
            r#"","a\"b\n\u001fé"#,
            "\u{7f}",
            r#"","a\"b\n\u001fé"#,
            "\u{7f}",
            r#"",[["a\"b\n\u001fé"#,
            "\u{7f}",
            r#"","-5","-0.000005","-0.0005","-0.0000000005","1","12.5","a\"b\n\u001fé"#,
            "\u{7f}",
            r#"","1","a\"b\n\u001fé"#,
            "\u{7f}",
            r#"","2024-11-05"]]],["2","","rounding","","","","","",[["","","","","0.0000000005"]]]]"#
        )
    );
}

#[test]
fn lines_one_after_another_share_what_they_have_in_common_and_leave_out_what_they_do_not_have() {
    let usual = |line_no, sku: &'static str| Line {
        kind: Kind::Usage,
        sku: sku.into(),
        priced: Some(Priced {
            quantity: Decimal::new(15, 1),
            unit_price: Decimal::new(2, 1),
            discount_percent: Decimal::ZERO,
        }),
        amount: Decimal::new(3, 1),
        corrects: None,
        note: "".into(),
        slice: 0,
        span_start: None,
        ..line(line_no, "x", 1)
    };
    let elsewhere = Line {
        region: "y".into(),
        ..usual(3, "C")
    };
    let second_tier = Line {
        slice: 1,
        ..usual(5, "C")
    };
    let lines = [usual(1, "A"), usual(2, "B"), elsewhere, usual(4, "C"), second_tier];
    let document = write(lines.iter().cloned());
    assert_eq!(
        document,
        concat!(
            r#"[["1","18446744073709551615","usage","x","2024-01-01","x","x","x","#,
            r#"[["A","1","1.500000","0.2","0.3000000000"],["B","1","1.500000","0.2","0.3000000000"]]],"#,
            r#"["3","18446744073709551615","usage","x","2024-01-01","y","x","x",[["C","1","1.500000","0.2","0.3000000000"]]],"#,
            r#"["4","18446744073709551615","usage","x","2024-01-01","x","x","x","#,
            r#"[["C","1","1.500000","0.2","0.3000000000"],["C","1","1.500000","0.2","0.3000000000","1"]]]]"#,
        )
    );
    assert_eq!(
        crate::pipeline::close::statement::document::lines(&document).unwrap(),
        lines
    );
    let rows = rows(&document).unwrap();
    assert_eq!(
        rows[4].join(","),
        "5,18446744073709551615,usage,x,2024-01-01,x,C,x,x,1,1.500000,0.2,0,0.3000000000,,,,1,"
    );
}

#[test]
fn what_does_not_read_as_its_column_is_named() {
    let document = write([line(1, "x", 5)].into_iter());
    for (from, to, column) in [
        ("\"1\"", "\"one\"", "first_line"),
        ("\"1\"", "\"4294967296\"", "first_line"),
        ("adjustment", "gift", "kind"),
        ("2024-01-01", "2024-13-01", "card_version"),
        ("12.5", "1e1", "discount_percent"),
        ("\"0.0000000005\"", "\"\"", "amount"),
    ] {
        let error = lines(&document.replacen(from, to, 1)).unwrap_err();
        assert!(
            matches!(&error, DocumentError::Cell { row: 1, column: at, .. } if *at == column),
            "{error}"
        );
    }
    let two = write([line(1, "x", 5), line(2, "x", 5)].into_iter());
    let error = lines(&two.replacen("\"1\"", "\"4294967295\"", 1)).unwrap_err();
    assert!(matches!(error, DocumentError::Cell { row: 2, .. }), "{error}");
    for document in [
        "",
        "{}",
        "[[]]",
        "[[1]]",
        r#"[["1","","","","","","",""]]"#,
        r#"[["1","","","","","","","",[[]]]]"#,
        &document.replace("[[\"1\"", "[[1"),
        &document.replace("\"2024-11-05\"]", "\"2024-11-05\",\"\"]"),
        &document.replace("]]]", "],[]]]"),
    ] {
        assert!(
            matches!(lines(document), Err(DocumentError::Shape { .. })),
            "{document}"
        );
    }
}

#[test]
fn what_is_written_without_an_escape_is_read_without_a_parser() {
    let document = write([line(1, "x, y é", 5), line(2, "", -5)].into_iter());
    let plain = |text: &str| plain_groups(text).is_some();
    assert_eq!(plain_groups(&document).unwrap().0, parsed_groups(&document).unwrap());
    assert_eq!(plain_groups(&document).unwrap().0.len(), 2);
    for (from, to) in [
        ("[[", "[ ["),
        ("x", "\\u0078"),
        ("x", "\n"),
        ("\"]", "\",\"\"]"),
        ("]]", "]]]"),
        ("\"]", "\""),
    ] {
        assert!(!plain(&document.replace(from, to)), "{to}");
    }
    assert!(!plain("[]"));
    assert_eq!(groups("[]").unwrap().groups, []);
}

#[test]
fn a_document_is_simple_when_no_string_has_an_escape_or_a_comma() {
    let is_simple = |text: &str| {
        let document = write([line(1, text, 5), line(2, text, 5)].into_iter());
        groups(&document).unwrap().is_simple
    };
    assert!(is_simple("x y é"));
    assert!(!is_simple("x,y"));
    assert!(!is_simple("x\"y"));
    assert!(!is_simple("x\ny"));
}

proptest! {
    #[test]
    fn a_document_reads_the_same_whether_or_not_a_parser_reads_it(
        texts in prop::collection::vec("[ -~é\\\\\n]{0,3}|[a-z.,-]{0,8}", 0..6), cut in 0..600_usize, piece in "[\\[\\]\",\\\\ a0]{0,4}",
    ) {
        let document = write(texts.iter().zip(1..).map(|(text, line_no)| line(line_no, text, 7)));
        let cut = (0..=cut.min(document.len())).rev().find(|&cut| document.is_char_boundary(cut)).unwrap_or(0);
        let mutated = format!("{}{piece}{}", &document[..cut], &document[cut..]);
        for text in [&document, &mutated] {
            if let Some((groups, _)) = plain_groups(text) {
                prop_assert_eq!(groups, parsed_groups(text).unwrap());
            }
        }
        let is_plain = !document.contains('\\') && !texts.is_empty();
        prop_assert_eq!(plain_groups(&document).is_some(), is_plain);
    }
}

proptest! {
    #[test]
    fn lines_are_read_back_as_written(texts in prop::collection::vec("(?s).{1,12}|[ab]", 0..6), mantissa in any::<i64>(), first in 1..3_u32) {
        let written: Vec<Line> = texts.iter().zip(first..).map(|(text, line_no)| line(line_no, text, mantissa)).collect();
        let document = write(written.iter().cloned());
        prop_assert_eq!(lines(&document).unwrap(), written);
        let plain: serde_json::Value = serde_json::from_str(&document).unwrap();
        prop_assert_eq!(serde_json::to_string(&plain).unwrap(), document);
    }
}
