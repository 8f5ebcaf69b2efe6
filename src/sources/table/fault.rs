//! What a database server says when it gives nothing: whether it is tried again or needs a person, and what to do.

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use crate::catalog::source::kinds::table::Table;
use crate::sources::fetch::FetchError;
use crate::support::quote::quoted;

/// What each code of PostgreSQL's means for who runs the source, by its first letters.
const POSTGRES: [(&str, Meaning); 18] = [
    ("42P01", Meaning::Table),
    ("3F000", Meaning::Table),
    ("42703", Meaning::Column),
    ("42501", Meaning::Grant),
    ("28", Meaning::User),
    ("3D", Meaning::Database),
    ("25006", Meaning::Query),
    ("42", Meaning::Query),
    ("0A", Meaning::Query),
    // Connections, resources, conflicts between transactions, locks, a server that stops or cancels.
    ("08", Meaning::Later),
    ("53", Meaning::Later),
    ("40", Meaning::Later),
    ("55P03", Meaning::Later),
    ("57", Meaning::Later),
    ("25P03", Meaning::Later),
    ("58", Meaning::Later),
    ("72", Meaning::Later),
    ("XX000", Meaning::Later),
];

/// The same of MySQL's and MariaDB's numbers.
fn of_mysql(number: u16) -> Option<Meaning> {
    Some(match number {
        1146 | 1051 => Meaning::Table,
        1054 => Meaning::Column,
        1142 | 1143 | 1370 => Meaning::Grant,
        1045 | 1698 | 1251 | 1862 | 3118 | 3159 | 4151 => Meaning::User,
        1044 | 1046 | 1049 => Meaning::Database,
        1064 | 1149 | 1248 | 1060 | 1242 | 1305 | 1792 => Meaning::Query,
        // Too many connections, locks and deadlocks, a server that stops or cuts, limits of time, a table that was changed meanwhile.
        1040
        | 1041
        | 1053
        | 1077..=1080
        | 1152..=1161
        | 1184
        | 1203
        | 1205
        | 1213
        | 1226
        | 1317
        | 1412
        | 1927
        | 1969
        | 2006
        | 2013
        | 3024
        | 4031 => Meaning::Later,
        _ => return None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Table,
    Column,
    Grant,
    User,
    Database,
    Query,
    Later,
}

/// What a failed question means. The sentence names the server without its user.
pub fn fault_of(definition: &Table, error: sqlx::Error) -> FetchError {
    let place = definition.place();
    match error {
        sqlx::Error::Database(error) => of_database(definition, &*error),
        sqlx::Error::Tls(error) => needs_person(&place, &error, TLS),
        sqlx::Error::Io(error) if error.to_string().contains("peer certificate") => needs_person(&place, &error, TLS),
        sqlx::Error::Io(error) => FetchError::Unavailable(format!(
            "{place}: {error}; check that the server is running, and that host and port in `url` are right"
        )),
        sqlx::Error::Protocol(what) => FetchError::Unavailable(format!("{place}: the connection was lost ({what})")),
        sqlx::Error::Configuration(what) if what.to_string().starts_with("RSA auth backend disabled") => needs_person(
            &place,
            &"the server accepts this user's password only over TLS",
            "remove the option `ssl-mode` from `url`, or set it to REQUIRED",
        ),
        other => needs_person(&place, &other, "check the options in `url`"),
    }
}

const TLS: &str = "name the authority's certificate in `url` (`sslmode=verify-full&sslrootcert=FILE`; MySQL: \
    `ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE`), or use `require` (`REQUIRED`), which encrypts but does not check who answers";

fn needs_person(place: &str, what: &dyn std::fmt::Display, cure: &str) -> FetchError {
    FetchError::NeedsPerson(format!("{place}: {what}; {cure}"))
}

fn of_database(definition: &Table, error: &dyn DatabaseError) -> FetchError {
    let (place, said) = (definition.place(), error.message());
    let meaning = if let Some(mysql) = error.try_downcast_ref::<MySqlDatabaseError>() {
        of_mysql(mysql.number())
    } else {
        let code = error.code().unwrap_or_default();
        let known = POSTGRES.iter().find(|(sign, _)| code.starts_with(sign));
        known.map(|(_, meaning)| *meaning)
    };
    let cure = match meaning {
        Some(Meaning::Later) => return FetchError::Unavailable(format!("{place}: {said}")),
        Some(Meaning::Table) => "correct `table` or `query`, or make the table",
        Some(Meaning::Column) => {
            "a column that the definition names is not there: correct `columns`, `cursor` or `key`"
        }
        Some(Meaning::Grant) => "GRANT SELECT on what is read to the user in `url`",
        Some(Meaning::User) => {
            "check the user in `url`, and the password where `password_file` or `password_env` has it"
        }
        Some(Meaning::Database) => "check the database in `url`, and that its user may use it",
        Some(Meaning::Query) => "correct `query`, which must be one SELECT that only reads",
        None => "the server refused to answer",
    };
    needs_person(&place, &said, cure)
}

/// A cursor that is no value of its type, such as `infinity`.
pub fn no_place(definition: &Table, value: &str) -> FetchError {
    FetchError::NeedsPerson(format!(
        "{}: the cursor {} of a row is {}, which is no place in an order of time; correct the row",
        definition.name(),
        definition.cursor,
        quoted(value)
    ))
}
