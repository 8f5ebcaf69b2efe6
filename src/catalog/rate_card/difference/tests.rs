use super::*;
use crate::catalog::rate_card::samples::{CN, INTL, SMALL, card};

/// What changed in the small card, a line each.
fn changed(edits: &[(&str, &str)]) -> Vec<String> {
    let mut text = SMALL.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    lines(&card(SMALL), &card(&text))
}

fn lines(old: &RateCard, new: &RateCard) -> Vec<String> {
    differences(old, new).iter().map(line).collect()
}

fn line(one: &Difference) -> String {
    let number = |number: Option<Decimal>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let group = one
        .region_group
        .as_deref()
        .map_or_else(String::new, |group| format!("@{group}"));
    let numbers = match one.from_quantity {
        None => String::new(),
        Some(from) => format!(
            " [{from}, {}) {} {}%",
            number(one.to_quantity),
            number(one.difference),
            number(one.percent)
        ),
    };
    format!(
        "{} {}{group}: {}{numbers}",
        one.part.name(),
        one.subject,
        one.sentence()
    )
}

#[test]
fn a_card_does_not_differ_from_itself() {
    for text in [CN, INTL, SMALL] {
        assert_eq!(lines(&card(text), &card(text)), Vec::<String>::new());
    }
}

#[test]
fn a_price_is_told_with_its_difference_and_percent() {
    assert_eq!(
        changed(&[(
            "\"V.HD\" = { unit_price = \"0.2\"",
            "\"V.HD\" = { unit_price = \"0.23\""
        )]),
        [
            "price V.HD@one: unit_price changed from 0.2 to 0.23 [0, -) 0.03 15%",
            "price V.HD@two: unit_price changed from 0.2 to 0.23 [0, -) 0.03 15%",
        ]
    );
    // 2/3 of a percent point is rounded half up: 1 to 0.9 is -10, 3 to 2 is -33.33.
    assert_eq!(
        changed(&[("one = \"1\", two = \"2\"", "one = \"0.9\", two = \"0.0067\"")]),
        [
            "price Shot@one: unit_price changed from 1 to 0.9 [0, -) -0.1 -10%",
            "price Shot@two: unit_price changed from 2 to 0.0067 [0, -) -1.9933 -99.67%",
        ]
    );
}

#[test]
fn a_price_of_nothing_has_no_percent() {
    let free = SMALL.replace("one = \"1\"", "one = \"0\"");
    assert_eq!(
        lines(&card(&free), &card(SMALL)),
        ["price Shot@one: unit_price changed from 0 to 1 [0, -) 1 -%"]
    );
}

#[test]
fn tiers_are_compared_slice_by_slice() {
    assert_eq!(
        changed(&[(
            "to = 100, unit_price = \"0.10\" },\n    { from = \"100\"",
            "to = 200, unit_price = \"0.10\" },\n    { from = \"200\""
        )])[0],
        "price V.SD@one: unit_price changed from 0.05 to 0.1 [100, 200) 0.05 100%"
    );
    let one_price = SMALL.replace(
        "origin = \"published\", counter = \"all\", tiers = [\n    { from = 0, to = 100, unit_price = \"0.10\" },\n    { from = \"100\", unit_price = \"0.05\" },\n]",
        "origin = \"published\", unit_price = \"0.1\"",
    );
    assert_eq!(
        lines(&card(SMALL), &card(&one_price))[..3],
        [
            "price V.SD@one: unit_price changed from 0.05 to 0.1 [100, -) 0.05 100%",
            "price V.SD@one: model changed from tiers to unit_price",
            "price V.SD@one: counter is gone: all",
        ]
    );
}

#[test]
fn models_packages_included_quantities_and_multipliers_are_told_by_key() {
    let found = |edits: &[(&str, &str)]| {
        let mut found = changed(edits);
        found.retain(|line| line.contains("@one"));
        found
    };
    let hd = "\"V.HD\" = { unit_price = \"0.2\"";
    assert_eq!(
        found(&[(
            hd,
            &format!("{hd}, package = \"90s\", per = \"day\", included = \"2.50\"")
        )]),
        [
            "price V.HD@one: unit_price changed from 0.2 to 0.2 [0, -) - -%",
            "price V.HD@one: model changed from unit_price to package",
            "price V.HD@one: package is new: 90s per day",
            "price V.HD@one: included is new: 2.5",
        ]
    );
    assert_eq!(
        found(&[
            (hd, &format!("{hd}, multiplier = \"1.75\"")),
            (
                "counter = \"all\", tiers",
                "counter = \"all\", model = \"volume\", tiers"
            ),
            ("two = \"2\" }", "two = \"2\" }, package = 1000, per = \"month\"")
        ]),
        [
            "price Shot@one: unit_price changed from 1 to 1 [0, -) - -%",
            "price Shot@one: model changed from unit_price to package",
            "price Shot@one: package is new: 1000 per month",
            "price V.HD@one: unit_price changed from 0.2 to 0.2 [0, -) - -%",
            "price V.HD@one: multiplier is new: 1.75",
            "price V.SD@one: model changed from tiers to volume",
        ]
    );
}

#[test]
fn a_new_price_is_told_with_what_its_amounts_depend_on() {
    let of = |edits: &[(&str, &str)]| {
        let text = edits
            .iter()
            .fold(SMALL.to_owned(), |text, (from, to)| text.replace(from, to));
        card(&text)
    };
    let not_sold = ("not_sold = [\"V.4K\"]", "not_sold = [\"V.HD\"]");
    let old = of(&[
        not_sold,
        ("\"V.HD\" = { unit_price = \"0.2\"", "\"V.4K\" = { unit_price = \"0.2\""),
    ]);
    let new = of(&[(
        "\"V.HD\" = { unit_price = \"0.2\"",
        "\"V.HD\" = { unit_price = \"0.2\", package = \"90s\", included = 5, counter = \"own\"",
    )]);
    let mut found = lines(&old, &new);
    found.retain(|line| line.contains("V.HD@one"));
    assert_eq!(
        found,
        [
            "price V.HD@one: unit_price is new: 0.2 [0, -) - -%",
            "price V.HD@one: package is new: 90s",
            "price V.HD@one: included is new: 5",
            "price V.HD@one: counter is new: own",
        ]
    );
    assert_eq!(summary(&old, &new, &differences(&old, &new)).price_terms, 0);
}

#[test]
fn new_and_withdrawn_skus_are_told_and_counted() {
    let old = card(SMALL);
    let new = card(
        &SMALL
            .replace("not_sold = [\"V.4K\"]", "not_sold = [\"V.HD\"]")
            .replace("\"V.HD\" = ", "\"V.4K\" = ")
            .replace("two = \"2\"", "two = \"not sold\""),
    );
    assert_eq!(
        lines(&old, &new),
        [
            "meter video V.{size}: not_sold is gone: V.4K",
            "meter video V.{size}: not_sold is new: V.HD",
            "price Shot@two: unit_price is gone: 2 [0, -) - -%",
            "price V.4K@one: unit_price is new: 0.2 [0, -) - -%",
            "price V.4K@two: unit_price is new: 0.2 [0, -) - -%",
            "price V.HD@one: unit_price is gone: 0.2 [0, -) - -%",
            "price V.HD@two: unit_price is gone: 0.2 [0, -) - -%",
        ]
    );
    let counts = summary(&old, &new, &differences(&old, &new));
    assert_eq!(
        counts,
        Summary {
            new_skus: 1,
            withdrawn_skus: 1,
            other_changes: 2,
            ..Summary::default()
        }
    );
}

#[test]
fn a_sku_may_be_dearer_in_one_group_and_cheaper_in_another() {
    let old = card(SMALL);
    let new = card(
        &SMALL
            .replace("one = \"1\", two = \"2\"", "one = \"2\", two = \"1\"")
            .replace("\"V.HD\" = { unit_price = \"0.2\"", "\"V.HD\" = { unit_price = \"0.1\""),
    );
    let counts = summary(&old, &new, &differences(&old, &new));
    assert_eq!(
        counts,
        Summary {
            lower_skus: 1,
            mixed_skus: 1,
            ..Summary::default()
        }
    );
}

#[test]
fn steps_rounding_units_and_minima_are_told_by_meter() {
    assert_eq!(
        changed(&[
            ("round_up_to = \"60s\"", "round_up_to = \"500ms\"\nminimum = \"10s\""),
            ("SD = 480, HD = 720, 4K", "SD = 540, HD = 720, 4K"),
            (
                "quantity = \"images\"\nunit = \"image\"",
                "quantity = \"images\"\nunit = { name = \"1000 images\", of = 1000 }"
            ),
        ]),
        [
            "meter video V.{size}: minimum is new: 10s",
            "meter video V.{size}: round_up_to changed from 60s to 500ms",
            "meter video V.{size}: dimension size step SD changed from up to 480 to up to 540",
            "meter shot Shot: unit changed from image to 1000 images (of 1000)",
            "price Shot@one: unit_price changed from 1 to 1 [0, -) - -%",
            "price Shot@one: unit changed from image to 1000 images (of 1000)",
            "price Shot@two: unit_price changed from 2 to 2 [0, -) - -%",
            "price Shot@two: unit changed from image to 1000 images (of 1000)",
        ]
    );
}

#[test]
fn dimensions_are_told_value_by_value_and_as_a_whole_where_they_are_new() {
    let typed = SMALL.replace(
        "task_type = \"Shot\"",
        "task_type = \"Shot\"\ndimensions.kind = [\"a\", \"b\"]",
    );
    let other = typed.replace("[\"a\", \"b\"]", "[\"b\", \"c\"]");
    let stepped = typed.replace("[\"a\", \"b\"]", "{ of = \"fps\", steps = { low = 30 } }");
    assert_eq!(
        lines(&card(SMALL), &card(&typed)),
        ["meter shot Shot: dimension kind is new: a, b"]
    );
    assert_eq!(
        lines(&card(&typed), &card(&other)),
        [
            "meter shot Shot: dimension kind value is gone: a",
            "meter shot Shot: dimension kind value is new: c"
        ]
    );
    assert_eq!(
        lines(&card(&typed), &card(&stepped)),
        [
            "meter shot Shot: dimension kind of changed from kind to fps",
            "meter shot Shot: dimension kind changed from a, b to low up to 30",
        ]
    );
}

#[test]
fn meters_that_are_added_gone_or_in_another_order_are_told() {
    let audio =
        "[[meter]]\nname = \"audio\"\ntask_type = \"Audio\"\nsku = \"Audio\"\nquantity = \"count\"\nunit = \"call\"\n";
    let price = "Audio = { unit_price = \"1\", origin = \"illustrative\" }\n";
    let first = SMALL
        .replacen("[[meter]]", &format!("{audio}[[meter]]"), 1)
        .replace("[prices]\n", &format!("[prices]\n{price}"));
    let last = SMALL.replace("[prices]\n", &format!("{audio}[prices]\n{price}"));
    // A meter in front of them moves none of the others.
    assert_eq!(
        lines(&card(SMALL), &card(&first))[..1],
        ["meter audio Audio: meter is new: place 1"]
    );
    assert_eq!(
        lines(&card(&first), &card(&last)),
        [
            "meter audio Audio: order changed from place 1 to place 3",
            "meter video V.{size}: order changed from place 2 to place 1",
            "meter shot Shot: order changed from place 3 to place 2",
        ]
    );
    assert_eq!(
        lines(&card(&last), &card(SMALL))[..1],
        ["meter audio Audio: meter is gone: place 3"]
    );
}

#[test]
fn regions_grace_and_other_top_level_keys_are_told_and_the_first_day_is_not() {
    let new = SMALL
        .replace("from = 2024-01-01", "from = 2024-07-01")
        .replace("grace = \"1d\"", "grace = \"5d\"")
        .replace(
            "one = [\"r1\"]\ntwo = [\"r2\"]",
            "one = [\"r1\", \"r2\"]\ntwo = [\"r3\"]",
        );
    let new = RateCard::parse(&new, "2024-07-01.toml").unwrap();
    assert_eq!(
        lines(&card(SMALL), &new),
        [
            "card : grace changed from 1d to 5d",
            "region r2: group changed from two to one",
            "region r3: group is new: two",
        ]
    );
}

#[test]
fn amounts_in_two_currencies_have_no_difference() {
    let found = changed(&[("currency = \"USD\"", "currency = \"EUR\"")]);
    assert_eq!(found[0], "card : currency changed from USD to EUR");
    assert_eq!(found[1], "price Shot@one: unit_price changed from 1 to 1 [0, -) - -%");
    assert_eq!(found.len(), 1 + 2 + 2 + 4);
}
