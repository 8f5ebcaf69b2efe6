//! The ledger's URL: which engine it names, whether it is well typed, its password from the environment, and how it is shown
//! without one.

use super::Engine;
use crate::support::error::{Error, Result};

/// What a URL may say after `?`. An option that is not known could be a misspelt `sslmode`, and the connection would be
/// without what it asks for; and the driver would log its value, which could be a password.
const POSTGRES_OPTIONS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

const MYSQL_OPTIONS: [&str; 10] = [
    "ssl-mode",
    "sslmode",
    "ssl-ca",
    "sslca",
    "ssl-cert",
    "sslcert",
    "ssl-key",
    "sslkey",
    "socket",
    "statement-cache-capacity",
];

/// The engine that a URL names, when the URL is well typed.
pub fn engine_of(url: &str) -> Result<Engine> {
    let engine = match url.split_once("://").map(|(scheme, _)| scheme) {
        // Its path may have any sign, and the driver names what it does not know.
        Some("sqlite") => return Ok(Engine::Sqlite),
        None if url.starts_with("sqlite:") => return Ok(Engine::Sqlite),
        Some("postgres" | "postgresql") => Engine::Postgres,
        Some("mysql" | "mariadb") => Engine::MySql,
        _ => {
            return Err(wrong(
                url,
                "must be postgres://USER@HOST/DATABASE, mysql://USER@HOST/DATABASE or sqlite://FILE; omit it to use the ledger in \
                 the data folder",
            ));
        }
    };
    fault(engine, url).map_or(Ok(engine), |what| Err(wrong(url, &what)))
}

/// The host that a driver read from a URL, as it is connected to: the number of an IPv6 address has brackets in a URL alone.
pub fn without_brackets(host: &str) -> Option<String> {
    let number = host.strip_prefix('[')?.strip_suffix(']')?;
    Some(number.to_owned())
}

/// What the driver says about a URL that it cannot read.
pub fn unreadable(url: &str, error: &sqlx::Error) -> Error {
    wrong(url, &format!("{error}; {PERCENT}"))
}

const PERCENT: &str = "write @ : / ? # % in a user or password as %40 %3A %2F %3F %23 %25, or set the password with \
    TALLYBOOK_LEDGER_PASSWORD";

/// What is wrong with a URL that names this engine: a part that is missing or cut, or an option that is not known.
pub fn fault(engine: Engine, url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (_authority, after) = rest.split_at(end);
    // Then the password had one of these signs, and a part of it would be taken for a host or a database, and be shown as one.
    if after.contains(['@', '#']) {
        return Some(PERCENT.to_owned());
    }
    let (path, options) = after.split_once('?').unwrap_or((after, ""));
    // Servers have a database for who names none, which is not meant to hold anything.
    if path.trim_start_matches('/').is_empty() && !options.split('&').any(|option| option.starts_with("dbname=")) {
        return Some("add the database after the host: HOST/DATABASE".to_owned());
    }
    let mut named = options.split('&').filter(|option| !option.is_empty());
    named.find_map(|option| unknown_option(engine, option.split('=').next().unwrap_or_default()))
}

fn unknown_option(engine: Engine, name: &str) -> Option<String> {
    let known: &[&str] = match engine {
        Engine::Postgres => &POSTGRES_OPTIONS,
        _ => &MYSQL_OPTIONS,
    };
    let is_server_setting = engine == Engine::Postgres && name.starts_with("options[");
    if is_server_setting || known.contains(&name) {
        return None;
    }
    let meant = crate::support::nearest::nearest(name, known.iter().copied());
    let meant = meant
        .map(|meant| format!(" (did you mean `{meant}`?)"))
        .unwrap_or_default();
    let name = crate::support::quote::quoted(name);
    Some(format!(
        "unknown option {name}{meant}; known options are {}",
        known.join(", ")
    ))
}

fn wrong(url: &str, what: &str) -> Error {
    Error::Usage(format!("--ledger {}: {what}", without_password(url)))
}

/// A password that does not stand in the URL, so that no list of processes and no settings file shows it.
pub fn password_from_environment(engine_variable: &str) -> Option<String> {
    ["TALLYBOOK_LEDGER_PASSWORD", engine_variable]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Whether the URL itself has a password.
pub fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (before, options) = rest.split_once('?').unwrap_or((rest, ""));
    let user = before.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || options.split('&').any(|option| option.starts_with("password="))
}

/// The URL as it may be shown: without user, password and options. Where it is not certain which part is the password, only
/// the scheme.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "...".to_owned();
    };
    let Some((user, place)) = rest.rsplit_once('@') else {
        return format!("{scheme}://{}", rest.split(['?', '#']).next().unwrap_or(rest));
    };
    if user.contains(['/', '?', '#']) {
        return format!("{scheme}://...");
    }
    format!("{scheme}://...@{}", place.split(['?', '#']).next().unwrap_or(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_engine() {
        assert_eq!(engine_of("postgres://h/d").unwrap(), Engine::Postgres);
        assert_eq!(engine_of("postgresql://h/d").unwrap(), Engine::Postgres);
        assert_eq!(engine_of("mysql://h/d").unwrap(), Engine::MySql);
        assert_eq!(engine_of("mariadb://h/d").unwrap(), Engine::MySql);
        assert_eq!(engine_of("sqlite:///tmp/x").unwrap(), Engine::Sqlite);
        let refused = engine_of("oracle://u:secret@h/d?password=secret")
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("oracle://...@h/d") && !refused.contains("secret"),
            "{refused}"
        );
    }

    #[test]
    fn an_option_that_is_not_known_is_named_without_its_value() {
        for (url, named) in [
            (
                "postgres://u@h/d?sslmod=secret",
                "unknown option \"sslmod\" (did you mean `sslmode`?)",
            ),
            (
                "postgres://u@h/d?sslmode=require&passwd=secret",
                "unknown option \"passwd\"",
            ),
            ("mysql://u@h/d?password=secret", "unknown option \"password\""),
            ("mysql://u@h/", "add the database"),
            ("postgres://u@h?sslmode=require", "add the database"),
            (
                "mysql://u@h/d?ssl_mode=secret",
                "unknown option \"ssl_mode\" (did you mean `ssl-mode`?)",
            ),
        ] {
            let refused = engine_of(url).unwrap_err();
            assert_eq!(u8::from(refused.exit_code()), 2);
            let refused = refused.to_string();
            assert!(refused.contains(named) && !refused.contains("secret"), "{refused}");
        }
        assert!(engine_of("postgres://h/d?sslmode=require&options[search_path]=s").is_ok());
        assert!(engine_of("mysql://h/d?ssl-mode=REQUIRED").is_ok());
    }

    #[test]
    fn a_password_with_any_sign_is_never_shown() {
        for (url, shown) in [
            ("postgres://u:p@ss@h:5432/d?sslmode=require", "postgres://...@h:5432/d"),
            ("mysql://h/d?password=p", "mysql://h/d"),
            ("postgres://u:p?ss@h/d", "postgres://..."),
            ("postgres://u:p#ss@h/d", "postgres://..."),
            ("postgres://u:p/ss@h/d", "postgres://..."),
            ("postgres://u@h/d?password=p@ss", "postgres://..."),
            ("postgres:u:p@h/d", "..."),
            ("pass", "..."),
        ] {
            assert_eq!(without_password(url), shown, "{url}");
        }
    }

    #[test]
    fn a_password_with_signs_that_cut_the_url_is_refused_with_the_cure() {
        for url in [
            "postgres://u:se?cret@h/d",
            "postgres://u:se/cret@h/d",
            "mysql://u:5/secret@h/d",
            "mysql://u:se#cret@h/d",
        ] {
            let refused = engine_of(url).unwrap_err().to_string();
            assert!(refused.contains("TALLYBOOK_LEDGER_PASSWORD"), "{refused}");
            assert!(!refused.contains("cret"), "{refused}");
        }
    }

    #[test]
    fn the_password_of_a_url_goes_before_that_of_the_environment() {
        assert!(has_password("postgres://u:p@h/d"));
        assert!(has_password("postgres://u@h/d?sslmode=require&password=p"));
        assert!(!has_password("postgres://u@h:5432/d?sslmode=require"));
    }
}
