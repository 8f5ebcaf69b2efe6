//! A person's reader, made by the documented statements.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use tallybook::storage::ledger::{Engine, Ledger};

use super::files::folder;
use crate::ledgers;
use crate::world::Place;

/// Who reads a place's dashboards. The user goes when this goes.
pub struct Reader {
    name: String,
    /// The ledger's URL, with this user.
    pub url: String,
    /// The ledger's URL as the program has it.
    owner: String,
}

const PASSWORD: &str = "read/only-7";

static READERS: AtomicU32 = AtomicU32::new(0);

/// PostgreSQL takes one change of a database's rights at a time, and fails the other.
static RIGHTS: Mutex<()> = Mutex::new(());

fn change_rights(url: String, sql: String) {
    let _alone = RIGHTS.lock().unwrap_or_else(PoisonError::into_inner);
    ledgers::run_sql(url, sql);
}

impl Reader {
    /// Runs `reader.sql`. The embedded ledger has no users: there the file is opened for reading only.
    pub fn of(place: &Place) -> Self {
        let number = READERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("tallybook_reader_{}_{number}", std::process::id());
        let Some(owner) = ledgers::url(place.path()) else {
            let owner = Ledger::embedded_url(&place.data());
            let url = owner.replace("mode=rwc", "mode=ro");
            return Self { name, url, owner };
        };
        let (base, ledger) = owner.rsplit_once(['/', '=']).unwrap();
        let sql = statements()
            .replace("tallybook_reader", &name)
            .replace("CHANGE-ME", PASSWORD);
        let (sql, url) = match ledgers::engine() {
            Engine::Postgres => {
                let database = base.split(['/', '?']).nth(3).unwrap();
                let sql = sql
                    .replace("DATABASE tallybook ", &format!("DATABASE {database} "))
                    .replace("SCHEMA public", &format!("SCHEMA {ledger}"))
                    .replace("public.dash_", &format!("{ledger}.dash_"));
                // What it may not do is to be refused for want of rights.
                let options = "options[default_transaction_read_only]=off";
                (sql, format!("{}&{options}", with_user(&owner, &name)))
            }
            _ => (
                sql.replace("ON tallybook.", &format!("ON {ledger}.")),
                with_user(&owner, &name),
            ),
        };
        change_rights(owner.clone(), sql);
        Self { name, url, owner }
    }
}

impl Reader {
    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let name = &self.name;
        let sql = match ledgers::engine() {
            Engine::Sqlite => return,
            Engine::Postgres => format!("DROP OWNED BY {name}; DROP ROLE {name}"),
            Engine::MySql => format!("DROP USER '{name}'@'%'"),
        };
        change_rights(self.owner.clone(), sql);
    }
}

/// The documented statements of the engine under test.
fn statements() -> String {
    let server = match ledgers::engine() {
        Engine::Postgres => "postgres",
        _ => "mysql",
    };
    std::fs::read_to_string(folder().join(server).join("reader.sql")).unwrap()
}

fn with_user(url: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, server) = rest.split_once('@').unwrap_or(("", rest));
    format!("{scheme}://{name}:{}@{server}", PASSWORD.replace('/', "%2F"))
}
