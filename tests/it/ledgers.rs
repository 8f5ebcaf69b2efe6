//! Where the ledgers of the tests are: in the folder of the books, or in a database server.
//!
//! `TALLYBOOK_TEST_LEDGER` says which (`sqlite`, `postgres`, `mysql`), `TALLYBOOK_TEST_POSTGRES` and `TALLYBOOK_TEST_MYSQL` say
//! where the servers are; `TALLYBOOK_TEST_MYSQLD` says that the latter is MySQL itself. A place (the folder that holds `books`) has a
//! ledger of its own: a schema in PostgreSQL, a database in MySQL. Making one costs more than a test, so those of places that are gone are
//! used again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection, SqliteConnection};
use tallybook::storage::ledger::{Engine, Ledger, Value};

/// The engine of this run.
pub fn engine() -> Engine {
    match std::env::var("TALLYBOOK_TEST_LEDGER").as_deref() {
        Ok("postgres") => Engine::Postgres,
        Ok("mysql") => Engine::MySql,
        Ok("sqlite") | Err(_) => Engine::Sqlite,
        Ok(other) => panic!("TALLYBOOK_TEST_LEDGER={other}: it is sqlite, postgres or mysql"),
    }
}

/// For tests about the file of the embedded ledger.
pub fn is_embedded() -> bool {
    engine() == Engine::Sqlite
}

/// The variable that names a program which starts a server of MySQL's own.
const MYSQLD: &str = "TALLYBOOK_TEST_MYSQLD";

/// The program that starts a server of MySQL's own; without it, the server that speaks MySQL's protocol is MariaDB.
pub fn mysqld() -> Option<PathBuf> {
    std::env::var_os(MYSQLD).map(PathBuf::from)
}

/// Whether it is MySQL itself and no `MariaDB`.
pub fn is_mysql_itself() -> bool {
    engine() == Engine::MySql && mysqld().is_some()
}

/// The name of the file beside the books that names their ledger.
const NAME_FILE: &str = "ledger.name";

/// The name of the file beside the books that has the URL of a ledger in a server of the test's own.
pub const URL_FILE: &str = "ledger.url";

/// Ledgers in the server, with the places that use them.
static LEDGERS: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);

/// The URL of a place's ledger; none for the embedded one.
pub fn url(path: &Path) -> Option<String> {
    if is_embedded() {
        return None;
    }
    if let Ok(url) = std::fs::read_to_string(path.join(URL_FILE)) {
        return Some(url);
    }
    let file = path.join(NAME_FILE);
    let name = std::fs::read_to_string(&file).unwrap_or_else(|_| {
        let name = new_ledger(path);
        std::fs::write(&file, &name).unwrap();
        name
    });
    Some(url_of(&name))
}

/// Gives the copy of a place a ledger of its own, with the same rows.
pub fn copy(from: &Path, to: &Path) {
    if is_embedded() || !from.join(NAME_FILE).exists() {
        return;
    }
    let source = std::fs::read_to_string(from.join(NAME_FILE)).unwrap();
    let target = new_ledger(to);
    std::fs::write(to.join(NAME_FILE), &target).unwrap();
    let tables = tables();
    let mut sql = without_foreign_keys().to_owned();
    for table in ["counter", "lease"] {
        sql.push_str(&format!("DELETE FROM {target}.{table};"));
    }
    for table in tables {
        sql.push_str(&format!("INSERT INTO {target}.{table} SELECT * FROM {source}.{table};"));
    }
    administer(&in_one_transaction(&sql));
}

/// SQL of the test's own, on a place's ledger and without its foreign keys. Literal values only.
pub fn execute(path: &Path, sql: &str) {
    let url = url(path).unwrap_or_else(|| Ledger::embedded_url(&path.join("books")));
    let sql = match engine() {
        Engine::Sqlite => format!("PRAGMA foreign_keys = OFF; {sql}"),
        _ => format!("{}{sql}", without_foreign_keys()),
    };
    run_sql(url, sql);
}

/// A value as SQL.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Integer(value) => value.to_string(),
        Value::Text(text) if engine() == Engine::MySql => {
            format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
        }
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Amount(amount) => amount.to_string(),
        Value::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            match engine() {
                Engine::Postgres => format!("'\\x{hex}'"),
                _ => format!("X'{hex}'"),
            }
        }
        Value::NullInteger | Value::NullText => "NULL".to_owned(),
    }
}

/// The server's URL, as the environment gives it.
pub fn server() -> String {
    let name = match engine() {
        Engine::MySql => "TALLYBOOK_TEST_MYSQL",
        _ => "TALLYBOOK_TEST_POSTGRES",
    };
    std::env::var(name).unwrap_or_else(|_| panic!("{name} says where the server is"))
}

/// The database in PostgreSQL that has the schemas of this run, and the beginning of names in MySQL.
fn run_name() -> String {
    format!("tallybook_test_{}", std::process::id())
}

/// The server's URL with another database.
pub fn server_with(database: &str) -> String {
    let server = server();
    let (before, _) = server.rsplit_once('/').expect("a URL ends with its database");
    format!("{before}/{database}")
}

fn url_of(name: &str) -> String {
    match engine() {
        Engine::Postgres => format!(
            "{}?sslmode=disable&options[search_path]={name}",
            server_with(&run_name())
        ),
        _ => server_with(name),
    }
}

/// The URL of a ledger without tables, one for a run, beside the one that the place has.
pub fn without_tables(place: &Path) -> String {
    if is_embedded() {
        return format!("sqlite://{}?mode=rwc", place.join("empty.sqlite").display());
    }
    // It makes the database that has this run's schemas.
    url(place);
    let name = match engine() {
        Engine::Postgres => "without_tables".to_owned(),
        _ => format!("{}_without_tables", run_name()),
    };
    administer(&match engine() {
        Engine::Postgres => format!("CREATE SCHEMA {name}"),
        _ => format!("CREATE DATABASE {name}"),
    });
    url_of(&name)
}

/// An empty ledger for a place.
fn new_ledger(path: &Path) -> String {
    let mut ledgers = LEDGERS.lock().unwrap_or_else(PoisonError::into_inner);
    if ledgers.is_none() {
        drop_ledgers_of_ended_runs();
        if engine() == Engine::Postgres {
            run_sql(server(), format!("CREATE DATABASE {}", run_name()));
        }
    }
    let ledgers = ledgers.get_or_insert_default();
    let unused = ledgers.iter().find(|(_, path)| !path.exists());
    let name = unused.map_or_else(
        || match engine() {
            Engine::Postgres => format!("ledger_{}", ledgers.len()),
            _ => format!("{}_{}", run_name(), ledgers.len()),
        },
        |(name, _)| name.clone(),
    );
    if ledgers.insert(name.clone(), path.to_owned()).is_some() {
        empty(&name);
    } else {
        make(&name);
    }
    name
}

fn make(name: &str) {
    administer(&match engine() {
        Engine::Postgres => format!("CREATE SCHEMA {name}"),
        _ => format!("CREATE DATABASE {name}"),
    });
    let url = url_of(name);
    apart(async move {
        Ledger::open(&url, 60).await.unwrap().close().await;
    });
}

fn empty(name: &str) {
    let mut sql = without_foreign_keys().to_owned();
    for table in tables() {
        if !["counter", "lease"].contains(&table.as_str()) {
            sql.push_str(&format!("DELETE FROM {name}.{table};"));
        }
    }
    sql.push_str(&format!(
        "UPDATE {name}.counter SET value = 0;\
         UPDATE {name}.lease SET owner = '', process = 0, place = '', token = 0, heartbeat_at = 0;"
    ));
    administer(&in_one_transaction(&sql));
}

/// What runs that ended, or were killed, left in the server.
pub fn drop_ledgers_of_ended_runs() {
    let list = match engine() {
        Engine::Postgres => "SELECT CAST(datname AS TEXT) FROM pg_database",
        _ => "SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata",
    };
    for name in names(server(), list) {
        let process = name
            .strip_prefix("tallybook_test_")
            .and_then(|rest| rest.split('_').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            run_sql(server(), format!("DROP DATABASE {name}"));
        }
    }
}

/// The tables of any ledger.
fn tables() -> Vec<String> {
    static TABLES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    if tables.is_empty() {
        let name = match engine() {
            Engine::Postgres => "ledger_0".to_owned(),
            _ => format!("{}_0", run_name()),
        };
        let url = url_of(&name);
        *tables = apart(async move {
            let ledger = Ledger::open(&url, 60).await.unwrap();
            let tables = ledger.tables().await.unwrap();
            ledger.close().await;
            tables
        });
    }
    tables.clone()
}

fn without_foreign_keys() -> &'static str {
    match engine() {
        Engine::Postgres => "SET session_replication_role = replica;",
        _ => "SET foreign_key_checks = 0;",
    }
}

fn in_one_transaction(sql: &str) -> String {
    format!("BEGIN;{sql}COMMIT;")
}

fn administer(sql: &str) {
    let url = match engine() {
        Engine::Postgres => server_with(&run_name()),
        _ => server(),
    };
    run_sql(url, sql.to_owned());
}

fn names(url: String, sql: &'static str) -> Vec<String> {
    apart(async move {
        if engine() == Engine::Postgres {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
        } else {
            let mut connection = MySqlConnection::connect(&url).await.unwrap();
            sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
        }
    })
}

/// Runs SQL over a connection of its own.
pub fn run_sql(url: String, sql: String) {
    apart(async move {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match url.split(':').next().unwrap() {
            "postgres" => {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                connection.execute(sql).await.unwrap();
                connection.close().await.unwrap();
            }
            "mysql" => {
                let mut connection = MySqlConnection::connect(&url).await.unwrap();
                connection.execute(sql).await.unwrap();
                connection.close().await.unwrap();
            }
            _ => {
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                connection.execute(sql).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    });
}

/// In a thread and a runtime of its own: the caller may be within one.
fn apart<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(future)
        });
        thread.join().unwrap()
    })
}
