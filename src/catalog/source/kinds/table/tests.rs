//! What a definition of a table may say.

use super::*;

const GOOD: &str = r#"
url = "postgres://reader@db.example/usage?sslmode=verify-full"
password_file = "/etc/tallybook/mps-db.password"
table = "mps.usage"
cursor = "updated_at"
key = "id"
overlap = "10m"

[columns]
id = "task_output_id"
uin = "owner"
task_type = { value = "Transcode" }
parameters.codec = "codec"
"parameters.height" = { value = 720 }
duration_ms = "duration"
"#;

fn read(text: &str) -> Result<Table, String> {
    let table: Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    table.check(Engine::Postgres)?;
    Ok(table)
}

/// What is said of the good definition with one text changed.
fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    read(&GOOD.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn a_definition_is_read_and_its_members_stand_in_the_order_of_a_record() {
    let table = read(GOOD).unwrap();
    let fields: Vec<&str> = table.columns.iter().map(|member| member.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "id",
            "uin",
            "task_type",
            "parameters.codec",
            "parameters.height",
            "duration_ms"
        ]
    );
    assert_eq!(table.page_rows, PAGE_ROWS);
    assert_eq!(table.place(), "postgres://...@db.example/usage");
    // As it is kept, it is read again to the same.
    let kept = serde_json::to_string(&table).unwrap();
    assert_eq!(serde_json::from_str::<Table>(&kept).unwrap(), table);
}

#[test]
fn a_password_in_the_url_is_refused_and_never_repeated() {
    for url in [
        "postgres://reader:Zq9secret@db.example/usage",
        "postgres://reader@db.example/usage?password=Zq9secret",
        "postgres://reader:Zq9/secret@db.example/usage",
        "mysql://reader:Zq9secret@db.example/usage",
        "Zq9secret",
    ] {
        let said = refusal("postgres://reader@db.example/usage?sslmode=verify-full", url);
        assert!(said.contains("`url`") && !said.contains("secret"), "{said}");
    }
}

#[test]
fn what_is_wrong_with_a_definition_is_named_with_the_cure() {
    for (from, to, said) in [
        ("postgres://", "mysql://", "`url` must be postgres://USER@HOST/DATABASE"),
        (
            "sslmode",
            "sslmod",
            "unknown option \"sslmod\" (did you mean `sslmode`?)",
        ),
        ("/usage?sslmode=verify-full", "", "add the database"),
        ("reader@db.example/", "/", "names no host"),
        ("table = \"mps.usage\"", "", "`table` is missing, or `query`"),
        ("table = \"mps.usage\"", "table = \"a.b.c\"", "NAME or SCHEMA.NAME"),
        ("table = \"mps.usage\"", "table = \"mps.\"", "`table` is \"\""),
        (
            "table = \"mps.usage\"",
            "query = \"DELETE FROM x\"",
            "does not begin with SELECT",
        ),
        (
            "table = \"mps.usage\"",
            "query = \"SELECT 1; DROP TABLE x\"",
            "has a `;`",
        ),
        (
            "key = \"id\"",
            "key = \"id\"\nquery = \"SELECT 1\"",
            "both say what is read",
        ),
        ("key = \"id\"", "key = \"\"", "`key` is \"\""),
        (
            "key = \"id\"",
            "key = \"id\"\npage_rows = 0",
            "`page_rows` is 0; 1 to 100000",
        ),
        (
            "key = \"id\"",
            "key = \"id\"\npassword_env = \"P\"",
            "remove one of them",
        ),
        ("key = \"id\"", "key = \"id\"\ncolour = 1", "colour"),
        (
            "overlap = \"10m\"",
            "overlap = \"10\"",
            "`overlap` must be a time such as \"10m\"",
        ),
        ("overlap = \"10m\"", "overlap = -1", "`overlap` must be"),
        ("overlap = \"10m\"", "overlap = \"400d\"", "at most 366d"),
        ("overlap = \"10m\"", "", "overlap"),
        ("id = \"task_output_id\"", "", "`columns` has no `id`"),
        ("uin = \"owner\"", "uni = \"owner\"", "did you mean `uin`?"),
        ("uin = \"owner\"", "colour = \"owner\"", "named `parameters.NAME`"),
        ("uin = \"owner\"", "uin = 7", "\"uin\" must be the name of a column"),
        (
            "uin = \"owner\"",
            "uin = { value = 0.5 }",
            "\"uin\" must be the name of a column",
        ),
        ("uin = \"owner\"", "uin = \"\"", "uin is \"\""),
        (
            "uin = \"owner\"",
            "\"parameters.\" = \"x\"",
            "\"parameters.\" is no field",
        ),
        ("uin = \"owner\"", "\"parameters.codec\" = \"x\"", "is there twice"),
    ] {
        let refused = refusal(from, to);
        assert!(refused.contains(said), "{to}: {refused}");
    }
}

#[test]
fn an_overlap_is_a_time_or_a_whole_number() {
    for (text, overlap) in [
        ("\"90s\"", Some(90)),
        ("\"10m\"", Some(600)),
        ("\"2h\"", Some(7_200)),
        ("\"1d\"", Some(86_400)),
        ("1000", None),
    ] {
        let table = read(&GOOD.replace("\"10m\"", text)).unwrap();
        match (table.overlap, overlap) {
            (Overlap::Time { seconds, .. }, Some(expected)) => assert_eq!(seconds, expected),
            (Overlap::Integer(value), None) => assert_eq!(value, 1_000),
            (other, _) => panic!("{other:?}"),
        }
    }
}
