//! No secret is in any file that is written, or in anything that is said: each kind of source has secrets wherever they may stand, all its
//! commands run with debug logs, and every file is searched for each secret's bytes, plain, percent-encoded and in base64.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tallybook::storage::raw::segment::read_columns;

use crate::crashes::books::{dump, files};
use crate::crashes::play::card;
use crate::crashes::process::program;

const NOW: &str = "2026-11-20T00:00:00Z";

const SAMPLES: &str = include_str!("../../data/events/samples.ndjson");

/// Secrets of events, one for each place, with signs that encodings change.
const PLANTED: [&str; 12] = [
    "pl4nted/S3id+1",
    "pl4nted/S3key+2=",
    "pl4nted notify&key3",
    "pl4ntedUrlPassw0rd4",
    "pl4ntedSigned5query",
    "pl4ntedAmz6token",
    "pl4nted7access_key",
    "pl4nted8Bearer.value",
    "pl4nted9cookie",
    "pl4nted10inBase64",
    "pl4nted11inPercent",
    "pl4nted12plainText",
];

/// Puts each of them where an event may have it.
fn planted(line: usize) -> Value {
    let [
        s3_id,
        s3_key,
        notify,
        password,
        query,
        amz,
        access,
        bearer,
        cookie,
        in_base64,
        in_percent,
        plain,
    ] = PLANTED;
    let mut event: Value = serde_json::from_str(SAMPLES.lines().nth(line).unwrap()).unwrap();
    let url = format!("https://user:{password}@media.example.com/a.mp4?X-Amz-Signature={query}&t=1#{query}");
    let nested = json!({"NotifyKey": notify, "Url": url, "deep": json!({"secretkey": s3_key}).to_string()});
    let encoded = BASE64_STANDARD_NO_PAD.encode(json!({"access_key": in_base64, "Url": url}).to_string());
    let percent = format!("https%3A%2F%2Fu%3A{in_percent}%40h%2Fa%3Fsig%3D{in_percent}");
    event["ExtInfo"] = nested.to_string().into();
    event["SessionContext"] = format!("order 7 {percent} {encoded} secret_key={plain}; end").into();
    event["TaskNotifyConfig"] = json!({
        "NotifyType": "URL", "NotifyUrl": url, "NotifyKey": notify, "access_key": access,
        "Headers": {"Authorization": format!("Bearer {bearer}"), "Set-Cookie": cookie, "X-Amz-Security-Token": amz},
    });
    let s3 = json!({"S3Bucket": "b", "S3Region": "r", "S3Object": "/o", "S3SecretId": s3_id, "S3SecretKey": s3_key});
    for task in ["WorkflowTaskEvent", "ScheduleTaskEvent", "EditMediaTaskEvent"] {
        if event[task].is_object() {
            event[task]["Message"] = format!("cannot read {url}").into();
            event[task]["OutputStorage"] = json!({"Type": "AWS-S3", "S3OutputStorage": s3});
        }
    }
    event
}

/// Events that are billed, refused, skipped and broken, each with all of the secrets.
pub fn events() -> String {
    let mut unknown = planted(0);
    unknown["WorkflowTaskEvent"]["MediaProcessResultSet"][0]["TranscodeTask"]["Input"]["Definition"] = 4_242.into();
    unknown["WorkflowTaskEvent"]["TaskId"] = "2600-another".into();
    let live = json!({"NotificationType": "ProcessEof", "NotifyKey": PLANTED[2]});
    let whole = planted(0).to_string();
    let end = (0..whole.len() - 40).rfind(|end| whole.is_char_boundary(*end)).unwrap();
    let cut = &whole[..end];
    let packed = json!({"msgBody": BASE64_STANDARD_NO_PAD.encode(&whole)});
    format!("{whole}\n{unknown}\n{live}\n{cut}\n{packed}\nsecret={}\n", PLANTED[11])
}

/// A source with its secrets.
pub struct Case {
    pub definition: String,
    pub env: Vec<(&'static str, String)>,
    pub secrets: Vec<String>,
}

/// A place with the card and the definition.
fn place(definition: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    std::fs::create_dir_all(path.join("cards/c")).unwrap();
    card(path, "0.5", false);
    std::fs::write(path.join("tallybook.toml"), format!("[source.mps]\n{definition}\n")).unwrap();
    dir
}

/// The same where the source is away, which is told by each.
pub const AWAY: &[&[&str]] = &[
    &["--json", "pull"],
    &["source", "test", "mps"],
    &["--json", "source", "show", "mps"],
    &["--json", "status"],
];

/// What a person or a timer runs, and what then tells of the source.
pub const COMMANDS: &[&[&str]] = &[
    &["source", "check"],
    &["source", "import"],
    &["source", "test", "mps"],
    &["pull"],
    &["--json", "pull"],
    &["--json", "nightly"],
    &["nightly"],
    &["--json", "source", "show", "mps"],
    &["source", "show", "mps"],
    &["--json", "source", "list"],
    &["--json", "status"],
    &["status"],
    &["--json", "quarantine", "list"],
    &["verify"],
];

/// Runs all commands, and fails where a secret is in a file or in what they say. What they said.
pub fn leaves_no_secret(case: &Case, commands: &[&[&str]], before: impl Fn(&Path)) -> String {
    let dir = place(&case.definition);
    let path = dir.path();
    before(path);
    let mut said = String::new();
    for (number, args) in commands.iter().enumerate() {
        let mut command = program(path, NOW, args);
        for (name, value) in &case.env {
            command.env(name, value);
        }
        let out = File::create(path.join(format!("said-{number}"))).unwrap();
        let errors = out.try_clone().unwrap();
        command
            .env("RUST_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors);
        let status = command.status().unwrap();
        let text = std::fs::read_to_string(path.join(format!("said-{number}"))).unwrap();
        assert!(
            matches!(status.code(), Some(0..=5)),
            "{args:?} ended with {status}: {text}"
        );
        said += &text;
    }
    let secrets = case.secrets.iter().map(String::as_str).chain(PLANTED);
    let forms: Vec<(&str, Vec<Vec<u8>>)> = secrets.map(|secret| (secret, forms(secret))).collect();
    // Of a server's ledger there is no file.
    std::fs::write(path.join("ledger.dump"), dump(path)).unwrap();
    let found = find(path, &forms);
    assert!(found.is_empty(), "{found:#?}");
    said
}

/// The bytes of a secret in each way in which it could be written.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![
        secret.as_bytes().to_vec(),
        serde_json::to_string(secret).unwrap().trim_matches('"').into(),
    ];
    let (mut upper, mut lower) = (String::new(), String::new());
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            upper.push(byte.into());
            lower.push(byte.into());
        } else {
            write!(upper, "%{byte:02X}").unwrap();
            write!(lower, "%{byte:02x}").unwrap();
        }
    }
    forms.extend([upper.into_bytes(), lower.into_bytes()]);
    // In base64 a text looks otherwise at each of three places, and its first and last signs depend on what stands beside it.
    for engine in [&BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let written = engine.encode(format!("{}{secret}", "x".repeat(before)));
            let from = (before * 8).div_ceil(6);
            let to = (before + secret.len()) * 8 / 6;
            forms.push(written[from..to].into());
        }
    }
    forms
}

/// The files in which a secret is found, with the secret.
fn find(path: &Path, forms: &[(&str, Vec<Vec<u8>>)]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let all: BTreeMap<PathBuf, PathBuf> = files(path);
    for (name, file) in all {
        let mut bytes = std::fs::read(&file).unwrap();
        if file.extension().is_some_and(|extension| extension == "parquet") {
            // Its pages are compressed.
            let frame = read_columns(&file, &[]).unwrap();
            for name in frame.get_column_names() {
                let column = frame.column(name).unwrap();
                for row in 0..frame.height() {
                    bytes.extend_from_slice(format!("{}\n", column.get(row).unwrap()).as_bytes());
                }
            }
        }
        for (secret, forms) in forms {
            if forms.iter().any(|form| memchr::memmem::find(&bytes, form).is_some()) {
                found.push((name.clone(), (*secret).to_owned()));
            }
        }
    }
    found
}

/// A folder of files that hold secrets, outside of the books.
struct Keys(tempfile::TempDir);

impl Keys {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A file with a secret, as an editor may leave it.
    fn file(&self, name: &str, secret: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, format!("\u{feff}{secret}\r\n")).unwrap();
        format!("{:?}", path.display().to_string())
    }
}

const EVENTS: &str = "format = \"mps-events\"\nuin = 7\nappid = 1\nfrom = \"2020-01-01T00:00:00Z\"";

#[test]
fn files_of_events_leave_no_secret_anywhere() {
    let keys = Keys::new();
    let case = Case {
        definition: format!(
            "format = \"mps-events\"\nuin = 7\nappid = 1\nnotify_keys_file = {}",
            keys.file("notify", "the-notify-K3y/+\r\nthe-second-notify-K3y")
        ),
        env: Vec::new(),
        secrets: vec!["the-notify-K3y/+".to_owned(), "the-second-notify-K3y".to_owned()],
    };
    let said = leaves_no_secret(&case, COMMANDS, |path| drop_events(path, "mps", &events()));
    assert!(said.contains("bad_signature"), "{said}");
    let unsigned = Case {
        definition: "format = \"mps-events\"\nuin = 7\nappid = 1".to_owned(),
        secrets: Vec::new(),
        ..case
    };
    let said = leaves_no_secret(&unsigned, COMMANDS, |path| drop_events(path, "mps", &events()));
    assert!(said.contains("unknown_template") && said.contains("4242"), "{said}");
    // A file that cannot be read at all stays where it is, with what is in it: nothing else has it.
}

fn drop_events(path: &Path, source: &str, text: &str) {
    let folder = path.join("books/drop").join(source);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("events.ndjson"), text).unwrap();
}

#[test]
fn a_folder_of_events_leaves_no_secret_anywhere() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("events.ndjson"), events()).unwrap();
    // One that cannot be read is told, and not kept.
    std::fs::write(root.path().join("bad.ndjson.gz"), events()).unwrap();
    let case = Case {
        definition: format!(
            "kind = \"folder\"\npath = {:?}\n{EVENTS}",
            root.path().display().to_string()
        ),
        env: Vec::new(),
        secrets: Vec::new(),
    };
    let said = leaves_no_secret(&case, COMMANDS, |_| ());
    assert!(
        said.contains("unknown_template") && said.contains("bad.ndjson.gz"),
        "{said}"
    );
}

#[cfg(feature = "objects")]
mod buckets {
    use tallybook::storage::objects::Cloud;

    use super::super::objects::servers::{TestBucket, server};
    use super::{AWAY, COMMANDS, Case, EVENTS, events, leaves_no_secret};
    use crate::world::run;

    fn of(cloud: Cloud) {
        let Some(endpoint) = server(cloud) else { return };
        let bucket = TestBucket::at(cloud, &endpoint);
        run(async {
            bucket.make().await;
            bucket.put("events.ndjson", events()).await;
        });
        let with_token = |bucket: &TestBucket| TestBucket {
            token: Some("the/token+of=Hours&9".to_owned()),
            ..bucket.clone()
        };
        let right = match cloud {
            Cloud::S3 => bucket.clone(),
            Cloud::Cos => with_token(&bucket),
        };
        for (bucket, said) in [
            (right, "unknown_template"),
            (bucket.with_keys("AKIDnobody8", &bucket.secret), "check the secret id"),
            (
                bucket.with_keys(&bucket.id, "a/wrong+Secret=7"),
                "does not belong to the key id",
            ),
            (with_token(&bucket.through("http://127.0.0.1:9")), "does not answer"),
        ] {
            let keys = tempfile::tempdir().unwrap();
            let case = Case {
                definition: format!(
                    "{EVENTS}\n{}",
                    toml::to_string(&bucket.definition(keys.path())).unwrap()
                ),
                env: Vec::new(),
                secrets: [
                    Some(bucket.id.clone()),
                    Some(bucket.secret.clone()),
                    bucket.token.clone(),
                ]
                .into_iter()
                .flatten()
                .collect(),
            };
            let commands = if said == "unknown_template" { COMMANDS } else { AWAY };
            let told = leaves_no_secret(&case, commands, |_| ());
            assert!(told.contains(said), "{told}");
        }
    }

    #[test]
    fn a_bucket_of_s3_leaves_no_secret_anywhere() {
        of(Cloud::S3);
    }

    #[test]
    fn a_bucket_of_cos_leaves_no_secret_anywhere() {
        of(Cloud::Cos);
    }
}

const COLUMNS: &str = "[source.mps.columns]\nid = \"id\"\nuin = \"uin\"\nappid = \"appid\"\ntask_type = \"kind\"\nduration_ms = \"ms\"\nfinished_at = \"done\"";

/// Every kind that signs in somewhere, with its secret in a file and in the environment, where nobody answers.
#[test]
fn a_source_that_is_away_leaves_no_secret_anywhere() {
    const PASSWORD: &str = "a P4ss/w+rd=&%:@9";
    const ID: &str = "AKIDaway/+8";
    let keys = Keys::new();
    let from = "from = \"2026-11-01T00:00:00Z\"";
    let table = |kind: &str, password: &str| {
        format!(
            "kind = \"{kind}\"\nurl = \"{kind}://reader@127.0.0.1:9/usage\"\n{password}\ntable = \"t\"\ncursor = \"c\"\nkey = \"id\"\noverlap = \"10m\"\n{from}\n{COLUMNS}"
        )
    };
    let file = format!("password_file = {}", keys.file("password", PASSWORD));
    let env = "password_env = \"SOURCE_PASSWORD\"".to_owned();
    let mut definitions = vec![
        table("postgres", &file),
        table("mysql", &file),
        table("postgres", &env),
        table("mysql", &env),
    ];
    if cfg!(feature = "mongodb") {
        for password in [&file, &env] {
            definitions.push(format!(
                "kind = \"mongodb\"\nurl = \"mongodb://reader@127.0.0.1:9/?serverSelectionTimeoutMS=200\"\n{password}\ndatabase = \"d\"\n\
                 collection = \"c\"\noverlap = \"10m\"\n{from}\n{COLUMNS}"
            ));
        }
    }
    if cfg!(feature = "amqp") {
        for password in [&file, &env] {
            definitions.push(format!(
                "kind = \"amqp\"\nurl = \"amqp://127.0.0.1:9\"\nqueue = \"q\"\nuser = \"reader\"\n{password}"
            ));
        }
    }
    if cfg!(feature = "cmq") {
        let id = keys.file("id", ID);
        let key = keys.file("key", PASSWORD);
        definitions.push(format!(
            "kind = \"cmq\"\nendpoint = \"http://127.0.0.1:9\"\nqueue = \"q\"\nsecret_id_file = {id}\nsecret_key_file = {key}\nwarn_age_s = 600"
        ));
        definitions.push(
            "kind = \"cmq\"\nendpoint = \"http://127.0.0.1:9\"\nqueue = \"q\"\nsecret_id_env = \"SOURCE_ID\"\nsecret_key_env = \"SOURCE_PASSWORD\"\n\
             token_env = \"SOURCE_TOKEN\"\nwarn_age_s = 600"
                .to_owned(),
        );
    }
    if cfg!(feature = "nats") {
        for password in [&file, &env] {
            definitions.push(format!(
                "kind = \"nats\"\nurl = \"nats://127.0.0.1:9\"\nstream = \"s\"\nconsumer = \"c\"\nuser = \"reader\"\n{password}"
            ));
        }
    }
    if cfg!(feature = "kafka") {
        for (password, mechanism) in [(&file, "PLAIN"), (&env, "SCRAM-SHA-512")] {
            definitions.push(format!(
                "kind = \"kafka\"\nbrokers = [\"127.0.0.1:9\"]\ntopic = \"t\"\n{from}\nuser = \"reader\"\nmechanism = \"{mechanism}\"\n{password}"
            ));
        }
    }
    for definition in definitions {
        let case = Case {
            definition: definition.clone(),
            env: vec![
                ("SOURCE_PASSWORD", PASSWORD.to_owned()),
                ("SOURCE_ID", ID.to_owned()),
                ("SOURCE_TOKEN", "the/token+of=Hours&9".to_owned()),
            ],
            secrets: vec![PASSWORD.to_owned(), ID.to_owned(), "the/token+of=Hours&9".to_owned()],
        };
        let said = leaves_no_secret(&case, AWAY, |_| ());
        assert!(said.contains("unavailable"), "{definition}: {said}");
    }
}

/// A definition that has a secret in it is refused, and nothing of it is kept or said.
#[test]
fn a_secret_in_a_definition_is_refused_and_leaves_nothing() {
    const SECRET: &str = "a-Liter4l/S3cret+9";
    for definition in [
        format!("kind = \"postgres\"\nurl = \"postgres://reader:{SECRET}@db.example/usage\"\ntable = \"t\""),
        format!("kind = \"s3\"\nbucket = \"usage\"\nbucket_region = \"x\"\nsecret_key = \"{SECRET}\""),
        format!(
            "kind = \"s3\"\nbucket = \"usage\"\nbucket_region = \"x\"\nendpoint = \"https://h/?X-Amz-Security-Token={SECRET}\""
        ),
        format!("format = \"mps-events\"\nuin = 7\nnotify_keys = [\"{SECRET}\"]"),
        format!("kind = \"cmq\"\nendpoint = \"https://h\"\nqueue = \"q\"\nAuthorization = \"{SECRET}\""),
        format!("kind = \"amqp\"\nurl = \"amqp://reader:{SECRET}@h\"\nqueue = \"q\""),
        format!("kind = \"kafka\"\nbrokers = [\"reader:{SECRET}@h:9092\"]\ntopic = \"t\""),
        format!("kind = \"kafka\"\nbrokers = [\"h:9092\"]\ntopic = \"t\"\nsasl_password = \"{SECRET}\""),
    ] {
        let dir = place(&definition);
        let path = dir.path();
        for (number, args) in [["source", "check"], ["source", "import"], ["source", "list"]]
            .iter()
            .enumerate()
        {
            let out = File::create(path.join(format!("said-{number}"))).unwrap();
            let mut command = program(path, NOW, args);
            let errors = out.try_clone().unwrap();
            command
                .env("RUST_LOG", "debug")
                .stdin(Stdio::null())
                .stdout(out)
                .stderr(errors);
            command.status().unwrap();
        }
        std::fs::remove_file(path.join("tallybook.toml")).unwrap();
        std::fs::create_dir_all(path.join("books")).unwrap();
        let found = find(path, &[(SECRET, forms(SECRET))]);
        assert!(found.is_empty(), "{definition}: {found:?}");
    }
}
