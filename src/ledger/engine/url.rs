//! The ledger's URL: which engine it names, its password from the environment, and how it is shown without one.

use super::Engine;
use crate::error::{Error, Result};

/// The engine that a URL names.
pub fn engine_of(url: &str) -> Result<Engine> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Engine::Sqlite),
        Some("postgres" | "postgresql") => Ok(Engine::Postgres),
        Some("mysql" | "mariadb") => Ok(Engine::MySql),
        _ => Err(Error::Usage(format!(
            "--ledger {}: it is postgres://USER@HOST/DATABASE, mysql://USER@HOST/DATABASE or sqlite://FILE; leave it out for the \
             ledger in the data folder",
            without_password(url)
        ))),
    }
}

/// A password that does not stand in the URL, so that no list of processes and no settings file shows it.
pub fn password_from_environment(engine_variable: &str) -> Option<String> {
    ["TALLYBOOK_LEDGER_PASSWORD", engine_variable]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Whether the URL itself has a password.
pub fn has_password(url: &str) -> bool {
    let user = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    user.is_some_and(|(user, _)| user.contains(':'))
}

/// The URL as it may be shown: without user, password and parameters.
pub fn without_password(url: &str) -> String {
    let shown = url.split(['?', '#']).next().unwrap_or(url);
    match (shown.find("://"), shown.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => format!("{}://...{}", &shown[..scheme], &shown[at..]),
        _ => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_engine() {
        assert_eq!(engine_of("postgres://h/d").unwrap(), Engine::Postgres);
        assert_eq!(engine_of("postgresql://h/d").unwrap(), Engine::Postgres);
        assert_eq!(engine_of("mysql://h/d").unwrap(), Engine::MySql);
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
    fn a_password_with_any_sign_is_never_shown() {
        assert_eq!(
            without_password("postgres://u:p@ss@h:5432/d?sslmode=require"),
            "postgres://...@h:5432/d"
        );
        assert_eq!(without_password("mysql://h/d?password=p"), "mysql://h/d");
        assert_eq!(without_password("not a url"), "not a url");
    }
}
