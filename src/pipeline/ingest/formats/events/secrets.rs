//! Secrets in events: keys of buckets and of signatures, what follows the `?` of a URL, and who signs in there. They are blanked before
//! anything else is done with an event, so that no record, sentence or file can have one.

use std::ops::Range;

use super::encoded::{Encoded, in_base64, in_percent};
use crate::support::json::tree::Tree;
use crate::support::secret_name::is_secret_name;

/// What stands in the place of a secret.
pub(super) const BLANK: &str = "***";

/// How deep JSON may stand in texts of JSON and still be looked into by its members; beyond, a text is searched as it stands.
const TEXTS_IN_TEXTS_MAX: u32 = 4;

/// How often a text is searched again for what a blank brought to light; beyond, nothing of it is kept.
const SEARCHES_MAX: u32 = 4;

/// Blanks the secrets in a value and in the texts in it that are JSON themselves; whether there were any.
pub(super) fn blank(tree: &mut Tree) -> bool {
    in_value("", tree, TEXTS_IN_TEXTS_MAX)
}

/// A text with its secrets blanked, JSON or not.
pub(super) fn blank_text(text: &str) -> String {
    in_text(text, TEXTS_IN_TEXTS_MAX).unwrap_or_else(|| text.to_owned())
}

fn in_value(name: &str, value: &mut Tree, levels: u32) -> bool {
    match value {
        Tree::Null | Tree::Bool(_) | Tree::Number(_) => false,
        Tree::Text(text) => replace(text, |text| in_text(text, levels)),
        Tree::Array(items) => {
            let mut any = false;
            for item in items {
                any |= in_value(name, item, levels);
            }
            any
        }
        Tree::Object(members) => {
            let mut any = false;
            for (member, value) in members {
                any |= if is_secret(name, member) {
                    blank_whole(value)
                } else {
                    in_value(member, value, levels)
                };
                any |= replace(member, in_plain);
            }
            any
        }
    }
}

fn replace(text: &mut String, blanked: impl FnOnce(&str) -> Option<String>) -> bool {
    let found = blanked(text);
    let any = found.is_some();
    if let Some(blanked) = found {
        *text = blanked;
    }
    any
}

fn blank_whole(value: &mut Tree) -> bool {
    let has_none = match value {
        Tree::Null | Tree::Bool(_) => true,
        Tree::Number(_) => false,
        Tree::Text(text) => text.is_empty() || text == BLANK,
        Tree::Array(items) => items.is_empty(),
        Tree::Object(members) => members.is_empty(),
    };
    if !has_none {
        *value = Tree::Text(BLANK.to_owned());
    }
    !has_none
}

/// A text with its secrets blanked, if it has any. A blank may bring another one to light: behind base64 that ended with a slash stands a
/// URL where none was. So the outermost text is searched until there is no more in it.
fn in_text(text: &str, levels: u32) -> Option<String> {
    let mut blanked = searched(text, levels)?;
    if levels < TEXTS_IN_TEXTS_MAX {
        return Some(blanked);
    }
    for _ in 0..SEARCHES_MAX {
        match searched(&blanked, levels) {
            Some(again) => blanked = again,
            None => return Some(blanked),
        }
    }
    Some(BLANK.to_owned())
}

/// A text in which the secrets that are seen at once are blanked, if it has any.
fn searched(text: &str, levels: u32) -> Option<String> {
    if let Some(deeper) = levels.checked_sub(1)
        && matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[' | b'"'))
        && let Ok(mut tree) = Tree::read(text)
    {
        return in_value("", &mut tree, deeper).then(|| tree.written());
    }
    let plain = in_plain(text);
    let encoded = in_encoded(plain.as_deref().unwrap_or(text), levels);
    encoded.or(plain)
}

/// A text in which the secrets in what is encoded for URLs or in base64 are blanked.
fn in_encoded(text: &str, levels: u32) -> Option<String> {
    let deeper = levels.checked_sub(1)?;
    let rewritten = |text: &str, parts: Vec<Encoded>| {
        let blanked = |part: Encoded| Some((part.place.clone(), part.write(&in_text(&part.says, deeper)?)));
        rewrite(text, parts.into_iter().filter_map(blanked))
    };
    let percent = rewritten(text, in_percent(text));
    let text = percent.as_deref().unwrap_or(text);
    rewritten(text, in_base64(text)).or(percent)
}

/// A text with other parts in the place of some; none where there are none.
fn rewrite(text: &str, parts: impl Iterator<Item = (Range<usize>, String)>) -> Option<String> {
    let mut out = String::new();
    let mut from = 0;
    for (place, part) in parts {
        out.push_str(&text[from..place.start]);
        out.push_str(&part);
        from = place.end;
    }
    (from > 0).then(|| out + &text[from..])
}

fn in_plain(text: &str) -> Option<String> {
    let _mark = memchr::memchr2(b':', b'=', text.as_bytes())?;
    let named = in_named_values(text);
    let in_urls = in_urls(named.as_deref().unwrap_or(text));
    in_urls.or(named)
}

/// Whether the member of that name is a secret; `parent` is the name of the object that it is in.
fn is_secret(parent: &str, name: &str) -> bool {
    let is_of_drm = || parent.to_ascii_lowercase().ends_with("drm");
    is_secret_name(name) || (matches!(name, "Key" | "Vector") && is_of_drm())
}

/// A text in which what stands behind the name of a secret and a colon or `=` is blanked.
fn in_named_values(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let mut cuts = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !is_word(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_word(bytes[at]) {
            at += 1;
        }
        if is_secret_name(&text[start..at])
            && let Some(value) = value_after(bytes, at)
        {
            at = value.end;
            cuts.push(value);
        }
    }
    cut(text, cuts)
}

/// Where the value of a name that ends at `at` stands: between quotes, which may be escaped, or up to the next mark.
fn value_after(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let skip = |mut at: usize, marks: &[u8]| {
        while bytes.get(at).is_some_and(|byte| marks.contains(byte)) {
            at += 1;
        }
        at
    };
    let at = skip(at, b"\\\"' \t");
    if !matches!(bytes.get(at), Some(b':' | b'=')) {
        return None;
    }
    let at = skip(at + 1, b" \t\r\n[{");
    let open = skip(at, b"\\");
    if let Some(quote @ (b'"' | b'\'')) = bytes.get(open) {
        return Some(open + 1..end_of_quoted(bytes, open + 1, *quote, open - at));
    }
    let is_mark = |byte: u8| byte.is_ascii_whitespace() || b",}]&;\"'".contains(&byte);
    let end = position(bytes, at, bytes.len(), is_mark);
    // What is named first in a header is only the kind of the secret.
    let is_kind = [&b"bearer"[..], b"basic", b"digest"]
        .iter()
        .any(|kind| bytes[at..end].eq_ignore_ascii_case(kind));
    if is_kind && bytes.get(end) == Some(&b' ') {
        return Some(at..position(bytes, end + 1, bytes.len(), is_mark));
    }
    Some(at..end)
}

/// Where a value ends that was opened by a quote behind `escapes` backslashes: at the next such quote.
fn end_of_quoted(bytes: &[u8], from: usize, quote: u8, escapes: usize) -> usize {
    let mut slashes = 0;
    for (at, &byte) in bytes.iter().enumerate().skip(from) {
        if byte == quote && slashes <= escapes {
            return at - slashes;
        }
        slashes = if byte == b'\\' { slashes + 1 } else { 0 };
    }
    bytes.len()
}

/// A text in which the users, passwords, queries and fragments of URLs are blanked.
fn in_urls(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut cuts = Vec::new();
    let mut next = next_url(bytes, 0);
    // A text that begins with a URL is one to its end; in another text a URL ends with a quote or a line at the latest.
    let is_whole = next.is_some_and(|(_, authority)| is_scheme(&bytes[..authority]));
    while let Some((_, authority)) = next {
        let ends = |byte: u8| !is_whole && matches!(byte, b'"' | b'<' | b'>' | b'\n' | b'\r');
        let end = position(bytes, authority, bytes.len(), |byte| {
            b"/?#\\ \t".contains(&byte) || ends(byte)
        });
        cuts.extend(user_of(bytes, authority..end));
        let following = next_url(bytes, authority);
        let before_following = following.map_or(bytes.len(), |(start, _)| start.max(end));
        let query = position(bytes, end, before_following, |byte| b"?#".contains(&byte) || ends(byte));
        next = following;
        if query < before_following && matches!(bytes[query], b'?' | b'#') {
            let mut end = position(bytes, query + 1, bytes.len(), ends);
            while query + 1 < end && end < bytes.len() && bytes[end - 1] == b'\\' {
                end -= 1;
            }
            cuts.push(query + 1..end);
            next = next_url(bytes, end);
        }
    }
    cut(text, cuts)
}

/// The first byte in a part of a text that is one of those wanted; its end, where there is none.
fn position(bytes: &[u8], from: usize, to: usize, is_wanted: impl Fn(u8) -> bool) -> usize {
    let found = bytes[from..to].iter().position(|&byte| is_wanted(byte));
    found.map_or(to, |offset| from + offset)
}

/// Who signs in, in what stands before the path of a URL. A password whose end was cut off stands where a port would.
fn user_of(bytes: &[u8], authority: Range<usize>) -> Option<Range<usize>> {
    let text = &bytes[authority.clone()];
    if let Some(at) = memchr::memrchr(b'@', text) {
        return Some(authority.start..authority.start + at);
    }
    let colon = memchr::memchr(b':', text)?;
    let is_port = text[colon + 1..].iter().all(u8::is_ascii_digit);
    (text[0] != b'[' && !is_port).then_some(authority)
}

/// Whether this is a scheme and what follows it, and nothing before.
fn is_scheme(bytes: &[u8]) -> bool {
    let is_of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.:/\\".contains(byte);
    bytes.iter().all(is_of_scheme)
}

/// The next `://` behind a letter or digit, from `from` on: where it stands, and where it ends. Its slashes may be escaped.
fn next_url(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    memchr::memchr_iter(b':', &bytes[from..]).find_map(|offset| {
        let colon = from + offset;
        let is_behind_scheme = colon > 0 && bytes[colon - 1].is_ascii_alphanumeric();
        let mut at = colon + 1;
        for _ in 0..2 {
            while bytes.get(at) == Some(&b'\\') {
                at += 1;
            }
            if bytes.get(at) != Some(&b'/') {
                return None;
            }
            at += 1;
        }
        is_behind_scheme.then_some((colon, at))
    })
}

/// The text with [`BLANK`] in the place of each part; none where nothing changes.
fn cut(text: &str, mut parts: Vec<Range<usize>>) -> Option<String> {
    parts.retain(|part| !part.is_empty() && &text[part.clone()] != BLANK);
    if parts.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for part in parts {
        out.push_str(&text[from..part.start]);
        out.push_str(BLANK);
        from = part.end;
    }
    out.push_str(&text[from..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blanked(json: &str) -> String {
        let mut tree = Tree::read(json).unwrap();
        blank(&mut tree);
        let written = tree.written();
        assert!(!blank(&mut tree), "{written}");
        written
    }

    #[test]
    fn members_that_are_secrets_are_blanked_whatever_they_hold() {
        for name in [
            "S3SecretId",
            "S3SecretKey",
            "NotifyKey",
            "notify_key",
            "SecretKey",
            "Password",
            "sessionToken",
        ] {
            assert_eq!(
                blanked(&format!(r#"{{"{name}":"abc"}}"#)),
                format!(r#"{{"{name}":"***"}}"#)
            );
            assert_eq!(
                blanked(&format!(r#"{{"{name}":12}}"#)),
                format!(r#"{{"{name}":"***"}}"#)
            );
            assert_eq!(
                blanked(&format!(r#"{{"{name}":["a"]}}"#)),
                format!(r#"{{"{name}":"***"}}"#)
            );
            for none in ["null", "\"\"", "[]", "{}"] {
                let json = format!(r#"{{"{name}":{none}}}"#);
                assert_eq!(blanked(&json), json);
            }
        }
        for name in ["Definition", "Key", "Sign", "Timestamp", "TaskId", "KeyPTSList"] {
            let json = format!(r#"{{"{name}":"abc"}}"#);
            assert_eq!(blanked(&json), json);
        }
        assert_eq!(
            blanked(r#"{"SimpleAesDrm":{"Uri":"https://k/x?y","Key":"abc","Vector":"def"}}"#),
            r#"{"SimpleAesDrm":{"Uri":"https://k/x?***","Key":"***","Vector":"***"}}"#
        );
    }

    #[test]
    fn urls_keep_their_host_and_path_alone() {
        for (url, expected) in [
            ("https://media.example.com/a.mp4", "https://media.example.com/a.mp4"),
            (
                "https://media.example.com/a.mp4?token=abc",
                "https://media.example.com/a.mp4?***",
            ),
            (
                "https://media.example.com/a b?t=a b \\\" c",
                "https://media.example.com/a b?***",
            ),
            ("ftp://user:pa@ss@host:21/x#frag?y", "ftp://***@host:21/x#***"),
            ("https:\\/\\/u:p@h\\/a?b=c\\/d", "https:\\/\\/***@h\\/a?***"),
            (
                "see https://a/b?x=1, or <https://u:p@c/d> of 12:30",
                "see https://a/b?***<https://***@c/d> of 12:30",
            ),
            ("https://a/b, https://u:p@c/d", "https://a/b, https://***@c/d"),
            (
                "http://host:8080/a, http://[::1]:80/",
                "http://host:8080/a, http://[::1]:80/",
            ),
            ("https://user:secr", "https://***"),
            ("ps://x:https://u:p@h/a?b\"c", "ps://***//***@h/a?***"),
            ("12:30: nothing", "12:30: nothing"),
            ("://?", "://?"),
        ] {
            assert_eq!(blank_text(url), expected);
            assert_eq!(blank_text(expected), expected);
        }
    }

    #[test]
    fn texts_that_are_json_are_looked_into() {
        let inner = r#"{"NotifyKey":"abc","Url":"https://a/b?c"}"#;
        let once = Tree::Text(inner.to_owned()).written();
        let twice = Tree::Text(once.clone()).written();
        let mut deep = twice.clone();
        for _ in 0..6 {
            deep = Tree::Text(deep).written();
        }
        for text in [once, twice, deep] {
            let found = blanked(&format!(r#"{{"ExtInfo":{text}}}"#));
            assert!(!found.contains("abc") && !found.contains("b?c"), "{found}");
        }
        // What has no secret stays as it is, blanks and all.
        let kept = r#"{"ExtInfo":"{ \"a\": 1 }"}"#;
        assert_eq!(blanked(kept), kept);
    }

    #[test]
    fn a_text_that_is_cut_off_is_searched_as_it_stands() {
        for (text, expected) in [
            (r#"{"S3SecretKey":"a\/b\"c","x":"#, r#"{"S3SecretKey":"***","x":"#),
            (r#"{\"S3SecretKey\":\"a\\\"b\",\"x"#, r#"{\"S3SecretKey\":\"***\",\"x"#),
            (r#"{"NotifyKey" : "abc"#, r#"{"NotifyKey" : "***"#),
            (r#"{"SecretId":["abc"]"#, r#"{"SecretId":["***"]"#),
            ("secret_key=abc&x=1", "secret_key=***&x=1"),
            (
                r#"{"Url":"https://u:p@a/b?x y","z"#,
                r#"{"Url":"https://***@a/b?***","z"#,
            ),
        ] {
            assert_eq!(blank_text(text), expected);
            assert_eq!(blank_text(expected), expected);
        }
    }

    #[test]
    fn what_is_encoded_is_looked_into() {
        let encode = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
        let event = r#"{"NotifyKey":"hunter2","Url":"https://u:hunter2@a/b?c=hunter2"}"#;
        for text in [
            "https%3A%2F%2Fu%3Ahunter2%40h%2Fa%3Fsign%3Dhunter2".to_owned(),
            "back to https%3a%2f%2fh%2fa%3fsign%3dhunter2, then on".to_owned(),
            encode(event),
            encode(&encode(event)),
            format!("{{\"msgBody\":\"{}", encode(event)),
            format!("{{\"ExtInfo\":\"{}\"}}", encode("secret_key=hunter2 of a man")),
            encode("%68ttps://h/a%3Fsecret%3Dhunter2 and so on"),
        ] {
            let found = blank_text(&text);
            assert_ne!(found, text);
            assert_eq!(blank_text(&found), found);
            let mut deep = found.clone();
            for _ in 0..3 {
                assert!(
                    !deep.contains("hunter2") && !deep.contains(&encode("hunter2")[..8]),
                    "{text}: {deep}"
                );
                let opened: Vec<String> = in_base64(&deep)
                    .into_iter()
                    .chain(in_percent(&deep))
                    .map(|part| part.says)
                    .collect();
                deep = opened.concat();
            }
        }
        for kept in [
            "/a%3Ab%20c.mp4",
            "50% of 20%",
            "aGVsbG8gd29ybGQsIGhlbGxv",
            "2600010353-WorkflowTask-3b2f0c",
        ] {
            assert_eq!(blank_text(kept), kept);
        }
    }

    #[test]
    fn what_a_blank_brings_to_light_is_blanked_too() {
        // The base64 says {"token":"abc"}, and took the slash with it that kept the rest from being a URL.
        let once = blank_text("eyJ0b2tlbiI6ImFiYyJ9/://?a");
        assert_eq!(once, "eyJ0b2tlbiI6IioqKiJ9://?***");
        assert_eq!(blank_text(&once), once);
    }

    proptest! {
        #[test]
        fn any_text_is_blanked_once_and_for_all(text in "(a|%3A|%3D|%2F|%|eyJ0b2tlbiI6ImFiYyJ9|b|1|:|/|\\?|@|\"|://|b://|\\*| |secret|key|token=){0,24}|[a-z:/?#@\"\\\\=&<> é{}\\[\\]]{0,40}|.{0,20}(://|secret:).{0,20}") {
            let once = blank_text(&text);
            prop_assert_eq!(blank_text(&once), once);
        }
    }
}
