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
            r#"","a\"b\n\u001fé"#,
            "\u{7f}",
            r#"","-5","-0.000005","-0.0005","12.5","-0.0000000005","a\"b\n\u001fé"#,
            "\u{7f}",
            r#"","1","a\"b\n\u001fé"#,
            "\u{7f}",
            r#"","1","2024-11-05"],["2","","rounding","","","","","","","","","","","0.0000000005","","","","",""]]"#
        )
    );
}

#[test]
fn what_does_not_read_as_its_column_is_named() {
    let document = write([line(1, "x", 5)].into_iter());
    for (from, to, column) in [
        ("\"1\"", "\"one\"", "line_no"),
        ("adjustment", "gift", "kind"),
        ("2024-01-01", "2024-13-01", "card_version"),
        ("12.5", "1e1", "discount_percent"),
    ] {
        let error = lines(&document.replacen(from, to, 1)).unwrap_err();
        assert!(
            matches!(&error, DocumentError::Cell { row: 1, column: at, .. } if *at == column),
            "{error}"
        );
    }
    for document in [
        "",
        "{}",
        "[[]]",
        "[[1]]",
        &document.replace("\"2024-11-05\"]", "\"2024-11-05\",\"\"]"),
    ] {
        assert!(
            matches!(lines(document), Err(DocumentError::Shape { .. })),
            "{document}"
        );
    }
}

/// What JSON says the strings are.
fn parsed(document: &str) -> Option<Vec<Cells<'_>>> {
    serde_json::from_str(document).ok()
}

#[test]
fn what_is_written_without_an_escape_is_read_without_a_parser() {
    let document = write([line(1, "x, y é", 5), line(2, "", -5)].into_iter());
    assert_eq!(plain_cells(&document), parsed(&document));
    assert_eq!(plain_cells(&document).unwrap().len(), 2);
    for (from, to) in [
        ("[[", "[ ["),
        ("x", "\\u0078"),
        ("x", "\n"),
        ("\"]", "\",\"\"]"),
        ("]]", "]]]"),
        ("\"]", "\""),
    ] {
        assert_eq!(plain_cells(&document.replace(from, to)), None, "{to}");
    }
    assert_eq!(plain_cells("[]"), None);
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
            if let Some(rows) = plain_cells(text) {
                prop_assert_eq!(Some(rows), parsed(text));
            }
        }
        let is_plain = !document.contains('\\') && !texts.is_empty();
        prop_assert_eq!(plain_cells(&document).is_some(), is_plain);
    }
}

proptest! {
    #[test]
    fn lines_are_read_back_as_written(text in "(?s).{1,12}", mantissa in any::<i64>(), count in 0_u32..4) {
        let written: Vec<Line> = (1..=count).map(|line_no| line(line_no, &text, mantissa)).collect();
        let document = write(written.iter().cloned());
        prop_assert_eq!(lines(&document).unwrap(), written);
        let plain: serde_json::Value = serde_json::from_str(&document).unwrap();
        prop_assert_eq!(serde_json::to_string(&plain).unwrap(), document);
    }
}
