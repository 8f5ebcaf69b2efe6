use super::format::Head;
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
            packages: None,
        }),
        multiplier: None,
        usage_quantity: None,
        corrects_kind: None,
        amount: Decimal::new(mantissa, 10),
        corrects: Some((text.into(), line_no)),
        note: text.into(),
        slice: line_no,
        span_start: "2024-11-05".parse().ok(),
    }
}

/// A usual line: no discount, no tier, nothing that it corrects.
fn usual(line_no: u32, sku: &'static str) -> Line<'static> {
    Line {
        kind: Kind::Usage,
        sku: sku.into(),
        priced: Some(Priced {
            quantity: Decimal::new(15, 1),
            unit_price: Decimal::new(2, 1),
            discount_percent: Decimal::ZERO,
            packages: None,
        }),
        amount: Decimal::new(3, 1),
        corrects: None,
        note: "".into(),
        slice: 0,
        span_start: None,
        ..line(line_no, "x", 1)
    }
}

fn head_of<'a>(text: &'a str, previous_digest: &'a str) -> Head<'a> {
    Head {
        statement_id: text.into(),
        uin: "7".into(),
        period_start: "2024-11-01".into(),
        period_end: "2024-12-01".into(),
        zone: "Asia/Shanghai".into(),
        currency: "CNY".into(),
        closed_at: "2024-12-20T01:02:03+00:00".into(),
        usage_amount: "0.0000000000".into(),
        adjustment_amount: "-0.0000000005".into(),
        rounding: "0.0000000005".into(),
        total: "0.00".into(),
        previous_digest: previous_digest.into(),
    }
}

#[test]
fn a_document_is_compact_json_with_its_keys_in_a_fixed_order() {
    let text = "a\"b\n\u{1f}é\u{7f}";
    let lines = [line(1, text, -5), Line::rounding(2, Decimal::new(5, 10), String::new())];
    let escaped = "a\\\"b\\n\\u001fé\u{7f}";
    let expected = concat!(
        r#"{"version":2,"statement":{"statement_id":"7-20241101-20241201","uin":"7","period_start":"2024-11-01","#,
        r#""period_end":"2024-12-01","zone":"Asia/Shanghai","currency":"CNY","closed_at":"2024-12-20T01:02:03+00:00","#,
        r#""usage_amount":"0.0000000000","adjustment_amount":"-0.0000000005","rounding":"0.0000000005","total":"0.00","#,
        r#""previous_digest":"beef"},"columns":["sku","meter","unit","records","quantity","unit_price","amount"],"groups":["#,
        r#"{"first_line":1,"kind":"adjustment","appid":"18446744073709551615","card":"TEXT","card_version":"2024-01-01","#,
        r#""region":"TEXT","lines":[["TEXT","TEXT","TEXT",-5,"-0.000005","-0.0005","-0.0000000005",{"discount_percent":"12.5","#,
        r#""slice":1,"corrects_statement":"TEXT","corrects_line":1,"span_start":"2024-11-05","note":"TEXT"}]]},"#,
        r#"{"first_line":2,"kind":"rounding","lines":[[null,null,null,null,null,null,"0.0000000005"]]}]}"#,
    );
    let head = head_of("7-20241101-20241201", "beef");
    assert_eq!(write(Some(head), &lines), expected.replace("TEXT", escaped));
}

#[test]
fn what_a_line_does_not_have_is_left_out_and_what_lines_share_stands_once() {
    let elsewhere = Line {
        region: "y".into(),
        ..usual(3, "C")
    };
    let second_tier = Line {
        slice: 1,
        ..usual(5, "C")
    };
    let lines = [usual(1, "A"), usual(2, "B"), elsewhere, usual(4, "C"), second_tier];
    let document = write(None, &lines);
    let shared = |first_line: u32, region: &str| {
        format!(
            r#"{{"first_line":{first_line},"kind":"usage","appid":"18446744073709551615","card":"x","card_version":"2024-01-01","region":"{region}","lines":["#
        )
    };
    let own = |sku: &str, more: &str| format!(r#"["{sku}","x","x",1,"1.500000","0.2","0.3000000000"{more}]"#);
    assert_eq!(
        document,
        format!(
            r#"{{"version":2,"columns":["sku","meter","unit","records","quantity","unit_price","amount"],"groups":[{}{},{}]}},{}{}]}},{}{},{}]}}]}}"#,
            shared(1, "x"),
            own("A", ""),
            own("B", ""),
            shared(3, "y"),
            own("C", ""),
            shared(4, "x"),
            own("C", ""),
            own("C", r#",{"slice":1}"#),
        )
    );
    assert_eq!(super::lines(&document).unwrap(), lines);
    assert_eq!(head(&document).unwrap(), None);
    let rows = rows(&document).unwrap();
    assert_eq!(
        rows[4].join(","),
        "5,18446744073709551615,usage,x,2024-01-01,x,C,x,x,1,1.500000,0.2,0,0.3000000000,,,,1,,,,,"
    );
}

#[test]
fn packages_and_multipliers_stand_by_name_and_in_the_note_that_people_read() {
    let of_packages = Line {
        priced: usual(1, "A").priced.map(|priced| Priced {
            packages: Some(2),
            ..priced
        }),
        amount: Decimal::new(4, 1),
        ..usual(1, "A")
    };
    let multiplied = Line {
        multiplier: Some(Decimal::new(15, 1)),
        usage_quantity: Some(Decimal::ONE),
        note: "why".into(),
        ..usual(2, "B")
    };
    let included = Line {
        kind: Kind::Adjustment,
        corrects_kind: Some(Kind::Included),
        ..usual(3, "C")
    };
    let lines = [of_packages, multiplied, included];
    let document = write(None, &lines);
    for own in [
        r#"["A","x","x",1,"1.500000","0.2","0.4000000000",{"packages":2}]"#,
        r#"["B","x","x",1,"1.500000","0.2","0.3000000000",{"multiplier":"1.5","usage_quantity":"1.000000","note":"why"}]"#,
        r#"["C","x","x",1,"1.500000","0.2","0.3000000000",{"corrects_kind":"included"}]"#,
    ] {
        assert!(document.contains(own), "{document}");
    }
    assert_eq!(super::lines(&document).unwrap(), lines);
    for line in &lines {
        assert_eq!(line.priced.unwrap().amount().unwrap(), line.amount);
    }
    let notes: Vec<_> = rows(&document).unwrap().iter().map(|row| row[16].to_string()).collect();
    assert_eq!(notes, ["packages 2", "multiplier 1.5; usage 1.000000; why", ""]);
    assert!(super::lines(&document.replace("\"multiplier\":\"1.5\"", "\"multiplier\":\"x\"")).is_err());
    assert!(super::lines(&document.replace("\"corrects_kind\":\"included\"", "\"corrects_kind\":\"gift\"")).is_err());
}

#[test]
fn what_does_not_read_as_its_key_is_named() {
    let document = write(None, &[line(1, "x", 5)]);
    for (from, to, column) in [
        ("\"kind\":\"adjustment\"", "\"kind\":\"gift\"", "kind"),
        ("18446744073709551615", "18446744073709551616", "appid"),
        ("2024-01-01", "2024-13-01", "card_version"),
        ("12.5", "1e1", "discount_percent"),
        ("\"0.0000000005\"", "null", "amount"),
        ("\"0.0005\"", "null", "unit_price"),
        ("\"corrects_statement\":\"x\",", "", "corrects_statement"),
    ] {
        let error = lines(&document.replacen(from, to, 1)).unwrap_err();
        assert!(
            matches!(&error, DocumentError::Cell { row: 1, column: at, .. } if *at == column),
            "{error}"
        );
    }
    let two = write(None, &[line(1, "x", 5), line(2, "x", 5)]);
    let error = lines(&two.replacen("\"first_line\":1", "\"first_line\":4294967295", 1)).unwrap_err();
    assert!(matches!(error, DocumentError::Cell { row: 2, .. }), "{error}");
}

#[test]
fn a_key_that_this_release_does_not_know_is_refused_by_its_name_and_never_dropped() {
    let document = write(Some(head_of("7", "")), &[line(1, "A", 5)]);
    for (beside, unknown) in [
        ("\"note\"", "pack"),
        ("\"note\"", "credit"),
        ("\"kind\"", "contract"),
        ("\"total\"", "number"),
        ("\"groups\"", "days"),
    ] {
        let later = document.replacen(beside, &format!("\"{unknown}\":\"3\",{beside}"), 1);
        let error = lines(&later).unwrap_err().to_string();
        assert!(error.contains(unknown) && error.contains("a later release"), "{error}");
    }
    let other_columns = document.replace("\"records\",\"quantity\"", "\"quantity\",\"records\"");
    let error = lines(&other_columns).unwrap_err().to_string();
    assert!(error.contains("`columns` are not sku, meter, unit, records"), "{error}");
}

#[test]
fn a_document_of_a_later_version_is_refused_by_its_version() {
    for document in [r#"{"version":3,"sheets":[]}"#, r#"{ "lines": [], "version": 3 }"#] {
        assert_eq!(lines(document).unwrap_err(), DocumentError::Version { version: 3 });
    }
}

#[test]
fn what_is_no_document_is_refused() {
    let document = write(None, &[line(1, "x", 5)]);
    for text in [
        "",
        "{}",
        "[[]]",
        "[[1]]",
        r#"[["1","","","","","","","",[[]]]]"#,
        &document[..document.len() - 1],
        &document.replace("\"version\":2", "\"version\": 2"),
        &document.replace(",5,", ",5.0,"),
        &document.replace(",5,", ",\"5\","),
        &document.replace(",5,", ",5,5,"),
        &document.replace("\"slice\":1", "\"slice\":1,\"slice\":1"),
        &document.replace("}]]}]}", "},{}]]}]}"),
        &document.replace("\"lines\":[[", "\"lines\":[[],["),
        &format!("{document}{document}"),
    ] {
        assert!(matches!(lines(text), Err(DocumentError::Shape { .. })), "{text}");
    }
}

/// A document of version 1 as it was written.
const OF_VERSION_1: &str = concat!(
    r#"[["1","18446744073709551615","usage","x","2024-01-01","x","x","x","#,
    r#"[["A","1","1.500000","0.2","0.3000000000"],["B","1","1.500000","0.2","0.3000000000"]]],"#,
    r#"["3","18446744073709551615","adjustment","a\"b","2024-01-01","a\"b","a\"b","a\"b","#,
    r#"[["a\"b","-5","-0.000005","-0.0005","-0.0000000005","3","12.5","a\"b","3","a\"b","2024-11-05"]]],"#,
    r#"["4","","rounding","","","","","",[["","","","","0.0000000005"]]]]"#,
);

#[test]
fn a_document_of_version_1_reads_as_the_same_lines() {
    let written = [
        usual(1, "A"),
        usual(2, "B"),
        line(3, "a\"b", -5),
        Line::rounding(4, Decimal::new(5, 10), String::new()),
    ];
    assert_eq!(lines(OF_VERSION_1).unwrap(), written);
    assert_eq!(v1::text(&written), OF_VERSION_1);
    let rows = rows(OF_VERSION_1).unwrap();
    assert_eq!(rows, super::rows(&write(None, &written)).unwrap());
    for (from, to, column) in [
        ("[[\"1\"", "[[\"one\"", "first_line"),
        ("\"-5\"", "\"x\"", "records"),
        ("\"3\",\"12.5\"", "\"x\",\"12.5\"", "slice"),
    ] {
        let error = lines(&OF_VERSION_1.replacen(from, to, 1)).unwrap_err();
        assert!(
            matches!(&error, DocumentError::Cell { column: at, .. } if *at == column),
            "{error}"
        );
    }
    let too_many = OF_VERSION_1.replace("\"2024-11-05\"]", "\"2024-11-05\",\"\"]");
    assert!(matches!(lines(&too_many), Err(DocumentError::Shape { .. })));
}

/// Digits of a value that has room for 10 decimals; a close refuses amounts from 7.9e18 on.
const LARGEST: i64 = 900_000_000_000_000_000;

/// Any line: of each kind, with and without what a line may lack.
fn any_line() -> impl Strategy<Value = Line<'static>> {
    let text = || prop_oneof![Just(String::new()), "(?s).{1,6}", "[ab]"];
    let day = || {
        prop::option::of((1_i64..40_000).prop_map(|days| NaiveDate::default() + chrono::Days::new(days.unsigned_abs())))
    };
    let decimal =
        |scale: u32| (-LARGEST..=LARGEST, 0..=scale).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale));
    let packages = prop::option::weighted(0.3, any::<i64>());
    let priced =
        (decimal(6), decimal(12), 0_i64..=10_000, packages).prop_map(|(quantity, unit_price, discount, packages)| {
            Priced {
                quantity,
                unit_price,
                discount_percent: Decimal::new(discount, 2),
                packages,
            }
        });
    let shared = (
        prop::option::of(any::<u64>()),
        prop::sample::select(Kind::ALL.to_vec()),
        text(),
        day(),
        text(),
    );
    let own = (
        text(),
        text(),
        text(),
        prop::option::of(any::<i64>()),
        prop::option::of(priced),
        decimal(10),
    );
    let later = (
        prop::option::of(("[a-z]{1,3}", any::<u32>())),
        text(),
        any::<u32>(),
        day(),
    );
    let counted = (
        prop::option::of(decimal(4)),
        prop::option::of(decimal(6)),
        prop::option::of(prop::sample::select(Kind::ALL.to_vec())),
    );
    (shared, own, later, counted).prop_map(|(shared, own, later, counted)| Line {
        line_no: 0,
        appid: shared.0,
        kind: shared.1,
        card: shared.2.into(),
        card_version: shared.3,
        region: shared.4.into(),
        sku: own.0.into(),
        meter: own.1.into(),
        unit: own.2.into(),
        records: own.3,
        priced: own.4,
        amount: own.5,
        corrects: later.0.map(|(statement, line_no)| (statement.into(), line_no)),
        note: later.1.into(),
        slice: later.2,
        span_start: later.3,
        multiplier: counted.0,
        usage_quantity: counted.1,
        corrects_kind: counted.2,
    })
}

/// The line without what version 1 had no place for.
fn of_version_1(line: Line<'static>) -> Line<'static> {
    Line {
        priced: line.priced.map(|priced| Priced {
            packages: None,
            ..priced
        }),
        multiplier: None,
        usage_quantity: None,
        corrects_kind: None,
        ..line
    }
}

/// Some lines, of which some stand one after another in the same group.
fn any_lines() -> impl Strategy<Value = Vec<Line<'static>>> {
    let repeated = prop::collection::vec((any_line(), 1..4_usize), 0..6);
    (repeated, 1..3_u32).prop_map(|(repeated, first)| {
        let lines = repeated.into_iter().flat_map(|(line, times)| vec![line; times]);
        lines
            .zip(first..)
            .map(|(line, line_no)| Line { line_no, ..line })
            .collect()
    })
}

proptest! {
    #[test]
    fn any_statement_is_read_back_as_written_and_written_again_to_the_byte(
        written in any_lines(), text in "(?s).{1,6}", previous in "[0-9a-f]{0,4}",
    ) {
        let beside = head_of(&text, &previous);
        let document = write(Some(beside.clone()), &written);
        let read = lines(&document).unwrap();
        prop_assert_eq!(head(&document).unwrap(), Some(beside));
        prop_assert_eq!(write(head(&document).unwrap(), &read), &*document);
        prop_assert_eq!(read, written);
    }

    #[test]
    fn the_bytes_are_what_any_json_library_makes_of_the_same_values(written in any_lines()) {
        let document = write(None, &written);
        let read: serde_json::Value = serde_json::from_str(&document).unwrap();
        // Its order of keys is its own; the bytes are as many.
        prop_assert_eq!(serde_json::to_string(&read).unwrap().len(), document.len());
    }

    #[test]
    fn lines_in_version_1_are_read_back_as_they_were_written(written in any_lines()) {
        let written: Vec<_> = written.into_iter().map(of_version_1).collect();
        let document = v1::text(&written);
        prop_assert_eq!(lines(&document).unwrap(), written);
    }
}
