//! Settings of the clocks, the policy that bounds them, and the calendar of what is held.

use tallybook::context::keeping::Class;
use tallybook::inspect::retention::{Calendar, Held, calendar};
use tallybook::pipeline::retention::policy::exceed;
use tallybook::storage::ledger::audit_trail;

use crate::docs_reference::tallybook;
use crate::queue_data::{drop_event, edit, place as place_with_sources, set_state};
use crate::world::{Place, at, line, run};

fn calendar_at(place: &Place, now: &str) -> Calendar {
    run(async {
        let books = place.books(at(now)).await;
        let calendar = calendar(&books, 1000).await.unwrap();
        books.ledger.close().await;
        calendar
    })
}

fn class(calendar: &Calendar, class: Class) -> &Held {
    calendar.classes.iter().find(|held| held.class == class.text()).unwrap()
}

/// As `rows, oldest, next deletion`.
fn told(calendar: &Calendar, of: Class) -> String {
    let held = class(calendar, of);
    let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    format!(
        "{}, {}, {}",
        held.rows,
        text(held.oldest.clone()),
        text(held.next_deletion.map(|day| day.to_string()))
    )
}

/// Books with a record, its service log, a refused line and an event, all of the first days of 2026.
fn rich() -> Place {
    let place = place_with_sources();
    let with_log = line("a", 7, "2026-01-04T10:00:00Z", 60_000).replace("\"appid\":1", "\"appid\":1,\"task_id\":\"t\"");
    place.drop("a.ndjson", with_log + "no usage\n");
    drop_event(&place, "mps", "one.ndjson", &edit("task-1", "session-a"));
    place.night("2026-01-05T02:00:00Z");
    place
}

#[test]
fn the_calendar_says_of_each_class_what_is_oldest_and_what_goes_next() {
    let place = rich();
    let calendar = calendar_at(&place, "2026-01-05T12:00:00Z");
    assert_eq!(told(&calendar, Class::Raw), "2, 2026-01-04, 2026-07-04");
    // Two of the service log, and the event, which has its fields too.
    assert_eq!(told(&calendar, Class::Log), "3, 2026-01-04, 2026-02-04");
    assert_eq!(told(&calendar, Class::Queue), "1, 2026-01-05, 2026-07-05");
    assert_eq!(told(&calendar, Class::Quarantine), "1, 2026-01-05, 2026-02-05");
    assert_eq!(told(&calendar, Class::Originals), "2, 2026-01-05, 2026-02-05");
    assert!(class(&calendar, Class::Usage).next_deletion.is_none());
    assert_eq!(class(&calendar, Class::Usage).kept, "for ever");
    assert!(calendar.deletions.is_empty());
    set_state(&place, "2026-01-06T12:00:00Z", "mps", false);
    let calendar = calendar_at(&place, "2026-01-06T12:00:00Z");
    assert_eq!(told(&calendar, Class::Queue), "1, 2026-01-05, 2026-01-13");
}

#[test]
fn the_calendar_says_what_was_deleted_when_by_whom_and_what_proves_it() {
    let mut place = rich();
    place.settings().who = "li".to_owned();
    for day in ["2026-01-10", "2026-02-10", "2026-02-11", "2026-07-09", "2026-07-10"] {
        place.night(&format!("{day}T02:00:00Z"));
    }
    let calendar = calendar_at(&place, "2026-07-10T12:00:00Z");
    for of in [
        Class::Raw,
        Class::Log,
        Class::Queue,
        Class::Quarantine,
        Class::Originals,
    ] {
        assert_eq!(class(&calendar, of).rows, 0, "{of:?}");
        assert!(class(&calendar, of).deleted > 0, "{of:?}");
    }
    let raw: Vec<_> = calendar
        .deletions
        .iter()
        .filter(|it| it.deleted.class == "raw")
        .collect();
    assert_eq!(raw.len(), 2);
    for it in raw {
        assert_eq!(it.deleted.who.as_deref(), Some("li"));
        let proof = it.proof.as_ref().unwrap();
        assert_eq!((proof.records, proof.accounts), (1, 1));
    }
    assert!(
        calendar
            .deletions
            .iter()
            .all(|it| it.deleted.deleted_at.starts_with("2026-0"))
    );
    assert!(
        calendar
            .deletions
            .is_sorted_by(|a, b| a.deleted.deleted_at >= b.deleted.deleted_at)
    );
}

#[test]
fn the_calendar_says_what_is_held_longer_and_why() {
    let place = rich();
    // A record without a meter holds its day.
    let no_meter = line("x", 7, "2026-01-04T11:00:00Z", 60_000).replace("Transcode", "Nonesuch");
    place.drop("b.ndjson", no_meter);
    for day in ["2026-01-06", "2026-02-10", "2026-07-09", "2026-07-10"] {
        place.night(&format!("{day}T02:00:00Z"));
    }
    let calendar = calendar_at(&place, "2026-07-10T12:00:00Z");
    let raw = class(&calendar, Class::Raw);
    assert_eq!(
        (raw.rows, raw.oldest.as_deref()),
        (2, Some("2026-01-04")),
        "both of that day, and no other"
    );
    assert_eq!(
        raw.next_deletion,
        Some("2026-07-10".parse().unwrap()),
        "as soon as nothing holds it"
    );
    assert_eq!(raw.longer[0].what, "2026-01-04");
    assert!(raw.longer[0].why.contains("meter"), "{:?}", raw.longer);
}

#[test]
fn each_class_goes_by_the_clock_that_the_settings_say() {
    let mut place = rich();
    let settings = place.settings();
    settings.keep_raw_months = 3;
    settings.keep_log_months = 2;
    settings.policy.log_months = 2;
    settings.keep_original_months = 3;
    settings.policy.original_months = 3;
    let rows = |place: &Place, now: &str| {
        place.night(&format!("{now}T02:00:00Z"));
        let calendar = calendar_at(place, &format!("{now}T12:00:00Z"));
        [Class::Raw, Class::Log, Class::Queue, Class::Originals].map(|of| class(&calendar, of).rows)
    };
    assert_eq!(rows(&place, "2026-02-10"), [2, 3, 1, 2]);
    assert_eq!(rows(&place, "2026-03-04"), [2, 2, 1, 2]);
    assert_eq!(rows(&place, "2026-03-05"), [2, 0, 1, 2]);
    assert_eq!(rows(&place, "2026-04-04"), [1, 0, 1, 2]);
    assert_eq!(rows(&place, "2026-04-05"), [0, 0, 0, 2]);
    assert_eq!(rows(&place, "2026-04-06"), [0, 0, 0, 0]);
}

#[test]
fn nothing_is_kept_longer_than_the_policy_without_a_reason_in_the_audit_trail() {
    let mut place = rich();
    place.settings().keep_log_months = 2;
    let refused = place.try_night("2026-01-06T02:00:00Z").unwrap_err().to_string();
    assert!(
        refused.contains("keep_log_months keeps data for 2 months, and the policy allows 1 month")
            && refused.contains("tallybook retention exceed log --reason TEXT"),
        "{refused}"
    );
    let reason = |place: &Place| {
        run(async {
            let books = place.books(at("2026-01-06T03:00:00Z")).await;
            let given = exceed(&books, Class::Log, "a lawsuit needs it").await;
            books.ledger.close().await;
            given
        })
    };
    reason(&place).unwrap();
    place.night("2026-01-06T04:00:00Z");
    let calendar = calendar_at(&place, "2026-01-06T12:00:00Z");
    let longer = &class(&calendar, Class::Log).longer;
    assert!(
        longer.iter().any(|it| it.why.contains("a lawsuit needs it")),
        "{longer:?}"
    );
    // A reason for two months is none for three.
    place.settings().keep_log_months = 3;
    place.try_night("2026-01-07T02:00:00Z").unwrap_err();
    place.settings().keep_log_months = 1;
    place.night("2026-01-07T02:00:00Z");
    let no_need = reason(&place).unwrap_err().to_string();
    assert!(no_need.contains("no reason is needed"), "{no_need}");
    run(async {
        let books = place.books(at("2026-01-07T03:00:00Z")).await;
        let trail = audit_trail(&books.ledger).await.unwrap();
        assert_eq!(
            trail.iter().filter(|entry| entry.action == "retention exceed").count(),
            1
        );
        books.ledger.close().await;
    });
}

#[test]
fn a_policy_may_bound_what_is_otherwise_kept_for_ever() {
    let mut place = rich();
    place.settings().policy.usage_months = Some(24);
    let refused = place.try_night("2026-01-06T02:00:00Z").unwrap_err().to_string();
    assert!(
        refused.contains("keep_usage_months keeps data for ever, and the policy allows 24 months"),
        "{refused}"
    );
    place.settings().keep_usage_months = Some(24);
    place.night("2026-01-06T02:00:00Z");
}

#[test]
fn the_settings_refuse_a_clock_that_would_leave_raw_without_its_usage() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("tallybook.toml"),
        "keep_raw_months = 12\nkeep_usage_months = 12\n",
    )
    .unwrap();
    let refused = tallybook(dir.path(), &["status"]);
    assert!(
        refused.contains("keep_usage_months = 12: must be at least 13"),
        "{refused}"
    );
    std::fs::write(dir.path().join("tallybook.toml"), "policy = { raw_years = 1 }\n").unwrap();
    let refused = tallybook(dir.path(), &["status"]);
    assert!(refused.contains("unknown field `raw_years`"), "{refused}");
}
