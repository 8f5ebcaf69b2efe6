//! A definition holds no secret: what looks like one is refused before anything is stored, and without being repeated.

use crate::support::secret_name::is_secret_name;

/// Parameters of URLs whose value would be a secret, beside those that have the name of one.
const SECRET_PARAMETERS: [&str; 2] = ["sign", "key"];

/// Refuses literal secrets, anywhere in the table, and those in URLs.
///
/// # Errors
/// A sentence that names the key and the cure, never the value.
pub fn check(table: &toml::Table) -> Result<(), String> {
    table.iter().try_for_each(|(key, value)| check_value(key, value))
}

fn check_value(key: &str, value: &toml::Value) -> Result<(), String> {
    if is_secret(key) {
        return Err(format!(
            "`{key}` is a secret, which a definition never holds; put it into a file or an environment variable, and name that: \
             `{key}_file` or `{key}_env`"
        ));
    }
    match value {
        toml::Value::Table(table) => check(table),
        toml::Value::Array(items) => items.iter().try_for_each(|item| check_value(key, item)),
        toml::Value::String(text) => check_url(key, text),
        _ => Ok(()),
    }
}

/// A key that ends in `_file` or `_env` says where a secret is.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    !key.ends_with("_file") && !key.ends_with("_env") && is_secret_name(&key)
}

fn check_url(key: &str, text: &str) -> Result<(), String> {
    let Some((_, rest)) = text.split_once("://") else {
        return Ok(());
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    if user.contains(':') {
        return Err(format!(
            "`{key}` has a password in its URL; remove it there, and name its place with `password_file` or `password_env`"
        ));
    }
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let names = query.split(['&', ';']).filter_map(|pair| pair.split_once('='));
    let is_secret = |name: &str| {
        is_secret_name(name)
            || SECRET_PARAMETERS
                .iter()
                .any(|parameter| name.eq_ignore_ascii_case(parameter))
    };
    match names.map(|(name, _)| name).find(|name| is_secret(name)) {
        Some(name) => Err(format!(
            "`{key}` has `{name}` in its URL, which looks like a secret; remove it there, and name the place of the secret with a \
             key that ends in `_file` or `_env`"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<String> {
        check(&toml::from_str(text).unwrap()).err()
    }

    #[test]
    fn a_literal_secret_is_refused_and_not_repeated() {
        for text in [
            "password = \"hunter2\"",
            "Password = \"hunter2\"",
            "db_password = \"hunter2\"",
            "secret_key = \"hunter2\"",
            "secret-key = \"hunter2\"",
            "secret_id = \"hunter2\"",
            "notify_keys = [\"hunter2\"]",
            "token = \"hunter2\"",
            "[deep.er]\naccess_key = \"hunter2\"",
            "url = \"postgres://reader:hunter2@db.example/usage\"",
            "urls = [\"amqp://guest:hunter2@127.0.0.1/%2f\"]",
            "endpoint = \"https://cos.example/?q=1&Signature=hunter2\"",
            "endpoint = \"https://cos.example/?access_key=hunter2\"",
            "endpoint = \"https://cos.example/?X-Amz-Security-Token=hunter2\"",
            "endpoint = \"https://cos.example/?q-ak=hunter2\"",
            "authorization = \"hunter2\"",
            "signature = \"hunter2\"",
        ] {
            let said = said(text).unwrap_or_else(|| panic!("{text} is taken"));
            assert!(!said.contains("hunter2"), "{said}");
            assert!(said.contains("_file` or `"), "{said}");
        }
    }

    #[test]
    fn places_of_secrets_and_plain_urls_are_taken() {
        for text in [
            "password_file = \"/etc/x\"",
            "secret_key_env = \"COS_KEY\"",
            "notify_keys_file = \"/etc/keys\"",
            "url = \"postgres://reader@db.example:5432/usage?sslmode=require\"",
            "key = \"id\"",
            "path = \"/srv/secret/usage\"",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }
}
