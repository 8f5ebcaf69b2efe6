//! A database of a test's own in each server that the environment names: `TALLYBOOK_TEST_POSTGRES`, `TALLYBOOK_TEST_MYSQL`.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::mysql::MySqlDatabaseError;
use sqlx::{Connection as _, MySqlConnection, PgConnection};
use tallybook::catalog::source::kinds::table::Table;
use tallybook::sources::table::{self, TableSource};
use tallybook::storage::ledger::Engine;
use tokio::runtime::Runtime;

use crate::ledgers::run_sql;
use crate::left_out::named_by;

/// Runs a future in the one runtime of these tests: a connection works in that in which it was made.
pub fn run<T>(future: impl IntoFuture<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    });
    RUNTIME.block_on(future.into_future())
}

/// A database that is dropped at the end.
pub struct Database {
    pub engine: Engine,
    /// The server's URL with this database.
    url: String,
    administrators_url: String,
    name: String,
    /// The folder of the file with the password, if the server wants one.
    dir: tempfile::TempDir,
}

/// One database in each server. They are no ledgers: the suite that runs again on another ledger leaves them out.
pub fn databases() -> Vec<Database> {
    if std::env::var_os("TALLYBOOK_TEST_LEDGER").is_some() {
        return Vec::new();
    }
    let servers = [
        (Engine::Postgres, "TALLYBOOK_TEST_POSTGRES"),
        (Engine::MySql, "TALLYBOOK_TEST_MYSQL"),
    ];
    let there = servers.into_iter().filter_map(|(engine, variable)| {
        let what = format!(
            "a table of {} as a source, on a server where tests may make databases: its URL",
            engine.name()
        );
        Some(Database::at(engine, named_by(variable, &what)?))
    });
    there.collect()
}

impl Database {
    /// A database in the server of this URL.
    pub fn at(engine: Engine, administrators_url: String) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("tallybook_test_{}_source_{number}", std::process::id());
        run_sql(administrators_url.clone(), format!("CREATE DATABASE {name}"));
        let (server, _) = administrators_url.rsplit_once('/').unwrap();
        Self {
            engine,
            url: format!("{server}/{name}"),
            administrators_url,
            name,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn is_postgres(&self) -> bool {
        self.engine == Engine::Postgres
    }

    /// One of two texts of SQL.
    pub fn either<'t>(&self, postgres: &'t str, mysql: &'t str) -> &'t str {
        if self.is_postgres() { postgres } else { mysql }
    }

    pub fn sql(&self, sql: &str) {
        run_sql(self.url.clone(), sql.to_owned());
    }

    /// A table with the columns of a cursor and a key, and what else is asked for.
    pub fn table(&self, name: &str, cursor: &str, columns: &str) {
        self.sql(&format!(
            "CREATE TABLE {name} (seen {cursor}, id varchar(64) NOT NULL, {columns})"
        ));
    }

    /// The URL as a definition may have it, and the place of the password.
    fn reader(&self) -> (String, String) {
        let (scheme, rest) = self.url.split_once("://").unwrap();
        let (user, place) = rest.rsplit_once('@').unwrap();
        let Some((user, password)) = user.split_once(':') else {
            return (self.url.clone(), String::new());
        };
        let file = self.dir.path().join("password");
        std::fs::write(&file, password).unwrap();
        (
            format!("{scheme}://{user}@{place}"),
            format!("password_file = '{}'\n", file.display()),
        )
    }

    /// Its URL for another user.
    pub fn url_of(&self, user: &str) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap();
        let (_, place) = rest.rsplit_once('@').unwrap();
        format!("{scheme}://{user}@{place}")
    }

    /// The name of the database in its server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A definition's text: `rest` is what it says besides where the database is.
    pub fn toml(&self, rest: &str) -> String {
        let (url, password) = self.reader();
        format!("url = '{url}'\n{password}{rest}")
    }

    pub fn definition(&self, rest: &str) -> Table {
        let table: Table = toml::from_str(&self.toml(rest)).unwrap();
        table.check(self.engine).unwrap();
        table
    }

    pub fn open(&self, rest: &str, from: &str) -> TableSource {
        table::open(self.engine, &self.definition(rest), from, None, None).unwrap()
    }

    /// Ends every connection to this database.
    pub fn cut_connections(&self) {
        if self.is_postgres() {
            let sql = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
                self.name
            );
            run_sql(self.administrators_url.clone(), sql);
            return;
        }
        let list = format!(
            "SELECT CONCAT('KILL ', id) FROM information_schema.processlist WHERE db = '{}'",
            self.name
        );
        run(async {
            let mut connection = MySqlConnection::connect(&self.administrators_url).await.unwrap();
            let kills = sqlx::query_scalar(sqlx::AssertSqlSafe(list));
            let kills: Vec<String> = kills.fetch_all(&mut connection).await.unwrap();
            for kill in kills {
                let killed = sqlx::raw_sql(sqlx::AssertSqlSafe(kill)).execute(&mut connection).await;
                // 1094: it ended by itself meanwhile.
                let is_gone = |error: &sqlx::Error| {
                    let error = error.as_database_error();
                    error
                        .and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>())
                        .is_some_and(|it| it.number() == 1094)
                };
                assert!(killed.as_ref().err().is_none_or(is_gone), "{killed:?}");
            }
        });
    }

    /// Runs `act` while a transaction of another session has done `before` and has not ended; then it commits.
    pub fn while_uncommitted(&self, before: &str, act: impl FnOnce()) {
        let begun = sqlx::AssertSqlSafe(format!("BEGIN; {before}"));
        if self.is_postgres() {
            let mut connection = run(PgConnection::connect(&self.url)).unwrap();
            run(sqlx::raw_sql(begun).execute(&mut connection)).unwrap();
            act();
            run(sqlx::raw_sql("COMMIT").execute(&mut connection)).unwrap();
        } else {
            let mut connection = run(MySqlConnection::connect(&self.url)).unwrap();
            run(sqlx::raw_sql(begun).execute(&mut connection)).unwrap();
            act();
            run(sqlx::raw_sql("COMMIT").execute(&mut connection)).unwrap();
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The server drops it with those of ended runs.
            return;
        }
        self.cut_connections();
        let force = self.either(" WITH (FORCE)", "");
        run_sql(
            self.administrators_url.clone(),
            format!("DROP DATABASE {}{force}", self.name),
        );
    }
}
