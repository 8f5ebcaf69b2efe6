//! Names of secrets: whether what a member, a key or a parameter of a URL is called says that its value must not be kept or shown.

/// Words before `key` that make it one that is kept secret.
const KEYS: [&str; 25] = [
    "signing",
    "notify",
    "secret",
    "access",
    "account",
    "api",
    "app",
    "private",
    "sign",
    "auth",
    "encrypt",
    "encryption",
    "decrypt",
    "decryption",
    "cipher",
    "aes",
    "hmac",
    "security",
    "session",
    "master",
    "client",
    "license",
    "stream",
    "play",
    "shared",
];

/// Words that name a secret wherever they stand in a name.
const WITHIN: [&str; 7] = [
    "secret",
    "passw",
    "passphrase",
    "credential",
    "cookie",
    "authorization",
    "privatekey",
];

/// Words that name a secret at the end of a name.
const AT_END: [&str; 3] = ["token", "pwd", "signature"];

/// Whole names of secrets that are too short to be looked for in longer ones.
const WHOLE: [&str; 9] = ["pass", "pw", "auth", "bearer", "jwt", "sig", "sk", "ak", "q-ak"];

/// Whether a name, in whatever case, says that what it names is secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.as_bytes();
    // Most names are looked at no further than this.
    let may_begin_at = |at: usize| matches!(name[at].to_ascii_lowercase(), b's' | b'p' | b'c' | b'a');
    let is_at = |at: usize| WITHIN.iter().any(|word| begins_with(&name[at..], word.as_bytes()));
    let begins_at = |at: usize| may_begin_at(at) && is_at(at);
    // Of several.
    let one = before(name, b"s").unwrap_or(name);
    let is_whole = || WHOLE.iter().any(|word| name.eq_ignore_ascii_case(word.as_bytes()));
    let is_end = |name: &[u8]| AT_END.iter().any(|end| before(name, end.as_bytes()).is_some()) || is_secret_key(name);
    (0..name.len()).any(begins_at) || is_end(name) || is_end(one) || is_key_id(name) || is_whole()
}

/// Whether a name is that of the public part of a pair of keys, such as `AccessKeyId`: it tells whose the other part is.
fn is_key_id(name: &[u8]) -> bool {
    before(name, b"id").is_some_and(|name| is_secret_key(without_marks(name)))
}

/// Whether a name is that of a key which is kept secret, such as `NotifyKey` or `access_key`.
fn is_secret_key(name: &[u8]) -> bool {
    let Some(kind) = before(name, b"key") else {
        return false;
    };
    let kind = without_marks(kind);
    KEYS.iter().any(|word| before(kind, word.as_bytes()).is_some())
}

/// A name without the marks between words at its end.
fn without_marks(mut name: &[u8]) -> &[u8] {
    while let [rest @ .., b'_' | b'-' | b'.'] = name {
        name = rest;
    }
    name
}

fn begins_with(name: &[u8], word: &[u8]) -> bool {
    name.get(..word.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(word))
}

/// What stands before the end of a name, if it ends so.
fn before<'n>(name: &'n [u8], end: &[u8]) -> Option<&'n [u8]> {
    let (before, found) = name.split_at_checked(name.len().checked_sub(end.len())?)?;
    found.eq_ignore_ascii_case(end).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_in_any_case_and_with_any_marks() {
        for name in [
            "secretkey",
            "S3SecretId",
            "NotifyKey",
            "notify_keys",
            "access_key",
            "accessKeyId",
            "access_key_id",
            "AWSAccessKeyId",
            "X-Amz-Security-Token",
            "X-Amz-Credential",
            "X-Amz-Signature",
            "q-signature",
            "q-ak",
            "Signature",
            "Authorization",
            "Proxy-Authorization",
            "Set-Cookie",
            "db.password",
            "Passwd",
            "PASS",
            "userPwd",
            "refresh_tokens",
            "api-key",
            "appKey",
            "MasterKey",
            "session_key",
            "privateKeyPem",
            "private_key",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "",
            "Key",
            "key",
            "KeyFrame",
            "ObjectKey",
            "S3Object",
            "Sign",
            "Timestamp",
            "TaskId",
            "SessionId",
            "SessionContext",
            "bypass",
            "Definition",
            "keyid",
            "author",
            "task",
            "peak",
            "cursor",
            "accounts",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
