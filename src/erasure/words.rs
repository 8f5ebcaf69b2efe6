//! The numbers of an account and of its apps, as they stand in texts: in reports, sentences, names of files and lines that came.
//!
//! A number is a run of digits that is no part of a longer one. Numbers of apps with fewer than [`LONG`] digits are not looked for: they
//! would be found in times and counts, nor those that other accounts have, too. A number of an account with fewer is found where the text says that it is one: after `account` or
//! `uin`, or at the head of a statement's id. Ids of the customer's records are looked for as whole words.

use std::collections::BTreeMap;

use super::pseudonym::Pseudonyms;

/// Digits from which on a number is known by itself.
const LONG: usize = 5;

/// What a query looks for at most.
const NEEDLES_MAX: usize = 64;

/// What stands in the place of a number where its pseudonym has no place.
pub const ERASED: &str = "erased";

/// The numbers to look for, each with its pseudonym.
#[derive(Clone, Debug)]
pub struct Words {
    uin: String,
    numbers: BTreeMap<String, String>,
    /// Ids of records, each with what stands in its place.
    ids: BTreeMap<String, String>,
}

/// How a text is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    /// It stays JSON.
    Json,
}

/// What a number becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Becomes {
    Pseudonym,
    Erased,
}

impl Words {
    /// The words of an account.
    pub fn of(names: &Pseudonyms) -> Self {
        let mut numbers: BTreeMap<String, String> = names
            .apps
            .iter()
            .map(|(app, pseudonym)| (app.to_string(), pseudonym.to_string()))
            .filter(|(app, _)| app.len() >= LONG)
            .collect();
        for shared in &names.shared_apps {
            numbers.remove(&shared.to_string());
        }
        let uin = names.erased_uin.to_string();
        numbers.insert(uin.clone(), names.uin.to_string());
        Self {
            uin,
            numbers,
            ids: BTreeMap::new(),
        }
    }

    /// The same, with ids of records that are replaced wherever they stand.
    #[must_use]
    pub fn with_ids(self, ids: BTreeMap<String, String>) -> Self {
        Self { ids, ..self }
    }

    /// What a query looks for, to read no row in vain; none where rows cannot be chosen so.
    pub fn needles(&self) -> Option<Vec<&str>> {
        let is_plain = |id: &String| {
            id.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte))
        };
        let are_few = self.numbers.len() + self.ids.len() <= NEEDLES_MAX;
        let may_be_chosen = self.uin.len() >= LONG && are_few && self.ids.keys().all(is_plain);
        may_be_chosen.then(|| self.numbers.keys().chain(self.ids.keys()).map(String::as_str).collect())
    }

    /// Whether bytes have one of the numbers.
    pub fn mentions(&self, bytes: &[u8]) -> bool {
        runs(bytes).any(|run| self.found(bytes, run).is_some())
    }

    /// A text with pseudonyms in the place of numbers; none where it has none of them.
    pub fn pseudonymized(&self, text: &str) -> Option<String> {
        self.replaced(text, Form::Plain, Becomes::Pseudonym)
    }

    /// The same of JSON.
    pub fn pseudonymized_json(&self, text: &str) -> Option<String> {
        self.replaced(text, Form::Json, Becomes::Pseudonym)
    }

    /// A text with [`ERASED`] in the place of numbers; none where it has none of them.
    pub fn erased(&self, text: &str) -> Option<String> {
        self.replaced(text, Form::Plain, Becomes::Erased)
    }

    /// The same of JSON: a number becomes a text.
    pub fn erased_json(&self, text: &str) -> Option<String> {
        self.replaced(text, Form::Json, Becomes::Erased)
    }

    fn replaced(&self, text: &str, form: Form, becomes: Becomes) -> Option<String> {
        let without_ids = self.without_ids(text, form);
        let text = without_ids.as_deref().unwrap_or(text);
        let bytes = text.as_bytes();
        let (mut out, mut done, mut quotes) = (String::new(), 0, Quotes::default());
        for run in runs(bytes) {
            let Some(pseudonym) = self.found(bytes, run) else {
                continue;
            };
            let is_number = form == Form::Json && !quotes.are_open_at(bytes, run.0);
            if is_number && is_of_decimal(bytes, run) {
                continue;
            }
            out.push_str(&text[done..run.0]);
            match becomes {
                Becomes::Pseudonym => out.push_str(pseudonym),
                Becomes::Erased if is_number => out.push_str(&format!("\"{ERASED}\"")),
                Becomes::Erased => out.push_str(ERASED),
            }
            done = run.1;
        }
        if done == 0 {
            return without_ids;
        }
        out.push_str(&text[done..]);
        Some(out)
    }

    fn without_ids(&self, text: &str, form: Form) -> Option<String> {
        let mut found = None;
        for (id, instead) in &self.ids {
            let quoted = serde_json::Value::from(id.as_str()).to_string();
            let written = match form {
                Form::Plain => id.as_str(),
                Form::Json => &quoted[1..quoted.len() - 1],
            };
            let now: &str = found.as_deref().unwrap_or(text);
            let other = replaced_whole(now, written, instead, id.len() >= LONG);
            found = other.or(found);
        }
        found
    }

    /// The pseudonym of the number at a run of digits, if it is one of the account's.
    fn found(&self, bytes: &[u8], (start, end): (usize, usize)) -> Option<&str> {
        let digits = std::str::from_utf8(&bytes[start..end]).ok()?;
        let pseudonym = self.numbers.get(digits)?;
        let is_meant = digits.len() >= LONG || is_called_account(&bytes[..start]) || begins_statement(&bytes[end..]);
        is_meant.then_some(pseudonym)
    }
}

/// A text with other words in the place of whole ones, which no letter, digit, `-` or `_` continues. Short ones are known between quotes alone.
/// None where there is none of them.
fn replaced_whole(text: &str, word: &str, instead: &str, is_long: bool) -> Option<String> {
    let goes_on = |sign: char| sign.is_alphanumeric() || sign == '-' || sign == '_';
    let (mut out, mut done) = (String::new(), 0);
    for (at, _) in text.match_indices(word).filter(|_| !word.is_empty()) {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        let is_whole = !before.is_some_and(goes_on) && !after.is_some_and(goes_on);
        let is_quoted = before == Some('"') && after == Some('"');
        if at >= done && (is_long && is_whole || is_quoted) {
            out.push_str(&text[done..at]);
            out.push_str(instead);
            done = at + word.len();
        }
    }
    (done > 0).then(|| out + &text[done..])
}

/// Runs of digits: where each begins and ends.
fn runs(bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(u8::is_ascii_digit)?;
        let length = bytes[start..].iter().position(|byte| !byte.is_ascii_digit());
        at = length.map_or(bytes.len(), |length| start + length);
        Some((start, at))
    })
}

/// Whether a text ends in a word that says that an account's number follows.
fn is_called_account(before: &[u8]) -> bool {
    let is_between = |byte: &u8| matches!(byte, b' ' | b':' | b'=' | b'"' | b'\\' | b'/');
    let end = before.iter().rposition(|byte| !is_between(byte)).map_or(0, |at| at + 1);
    let word = &before[..end];
    end < before.len()
        && ["account", "uin"].iter().any(|name| {
            let from = word.len().saturating_sub(name.len());
            word[from..].eq_ignore_ascii_case(name.as_bytes())
        })
}

/// Whether a text goes on like `-20241101-20241201`.
fn begins_statement(after: &[u8]) -> bool {
    let is_day = |bytes: &[u8]| bytes[0] == b'-' && bytes[1..].iter().all(u8::is_ascii_digit);
    after.len() >= 18 && is_day(&after[..9]) && is_day(&after[9..18])
}

/// Whether digits are a part of a number with more than digits.
fn is_of_decimal(bytes: &[u8], (start, end): (usize, usize)) -> bool {
    let before = start.checked_sub(1).map(|at| bytes[at]);
    let after = bytes.get(end);
    matches!(before, Some(b'.' | b'-' | b'+' | b'e' | b'E')) || matches!(after, Some(b'.' | b'e' | b'E'))
}

/// Whether a place of JSON lies within a text. Places are asked for in order.
#[derive(Default)]
struct Quotes {
    at: usize,
    are_open: bool,
}

impl Quotes {
    fn are_open_at(&mut self, bytes: &[u8], place: usize) -> bool {
        while self.at < place {
            match bytes[self.at] {
                b'\\' if self.are_open => self.at += 1,
                b'"' => self.are_open = !self.are_open,
                _ => {}
            }
            self.at += 1;
        }
        self.are_open
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn words(uin: u64) -> Words {
        Words::of(&Pseudonyms {
            erased_uin: uin,
            uin: 1_111_111_111_111_111,
            apps: [(1, 2_222_222_222_222_221), (1_300_000_001, 2_222_222_222_222_222)].into(),
            shared_apps: BTreeSet::new(),
        })
    }

    #[test]
    fn a_number_is_found_where_no_digit_stands_beside_it() {
        let words = words(100_000_000_007);
        assert_eq!(
            words.erased("account 100000000007, app 1300000001, 1 line").as_deref(),
            Some("account erased, app erased, 1 line")
        );
        assert_eq!(
            words
                .pseudonymized("100000000007-20241101-20241201 of usage-100000000007.csv")
                .as_deref(),
            Some("1111111111111111-20241101-20241201 of usage-1111111111111111.csv")
        );
        for other in ["1000000000070", "2100000000007", "app 1", "13000000011", ""] {
            assert_eq!(words.erased(other), None, "{other}");
            assert!(!words.mentions(other.as_bytes()), "{other}");
        }
        assert!(words.mentions(b"\xff,100000000007,"));
    }

    #[test]
    fn json_stays_json() {
        let words = words(100_000_000_007);
        let json = r#"{"uin":100000000007,"said":"account \"100000000007\"","ms":100000000007.5,"apps":[1300000001,-1300000001]}"#;
        let erased = words.erased_json(json).unwrap();
        assert_eq!(
            erased,
            r#"{"uin":"erased","said":"account \"erased\"","ms":100000000007.5,"apps":["erased",-1300000001]}"#
        );
        let renamed: serde_json::Value = serde_json::from_str(&words.pseudonymized_json(json).unwrap()).unwrap();
        assert_eq!(renamed["uin"], 1_111_111_111_111_111_u64);
        assert!(serde_json::from_str::<serde_json::Value>(&erased).is_ok());
    }

    #[test]
    fn a_short_number_is_found_where_the_text_says_that_it_is_an_account() {
        let words = words(7);
        assert_eq!(
            words.erased("7 records of account 7").as_deref(),
            Some("7 records of account erased")
        );
        assert_eq!(
            words.erased_json(r#"{"uin":"7","of":{"uin":7},"rows":7}"#).as_deref(),
            Some(r#"{"uin":"erased","of":{"uin":"erased"},"rows":7}"#)
        );
        assert_eq!(
            words.erased("7-20241101-20241201").as_deref(),
            Some("erased-20241101-20241201")
        );
        assert_eq!(words.erased("minute 7: 7"), None);
    }

    #[test]
    fn ids_are_replaced_where_they_are_whole() {
        let words = words(7).with_ids(
            [("work\"1", "x"), ("abc", "y")]
                .map(|(id, to)| (id.to_owned(), to.to_owned()))
                .into(),
        );
        assert_eq!(words.pseudonymized("void work\"1 of s").as_deref(), Some("void x of s"));
        assert_eq!(words.pseudonymized("void work\"12 of abc"), None);
        assert_eq!(
            words
                .erased_json(r#"{"id":"work\"1","of":"abc","is":"no abc"}"#)
                .as_deref(),
            Some(r#"{"id":"x","of":"y","is":"no abc"}"#)
        );
    }
}
