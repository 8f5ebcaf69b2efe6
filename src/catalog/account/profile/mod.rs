//! Who an account is to people: its name, the contact for its bills, the number of its contract, and labels. Each change is a version; a
//! version never changes. None of it has an effect on what is billed.

pub mod set;
pub mod store;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::support::error::{Error, Result};

/// Bytes of a name, contact, contract number or label's value: they are shown in tables.
pub const MAX_TEXT_BYTES: usize = 256;

/// Bytes of a label's key.
pub const MAX_KEY_BYTES: usize = 64;

/// Labels of one account: each is a row of the view for dashboards.
pub const MAX_LABELS: usize = 32;

/// A version of an account's profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// From 1; 0 where nothing was ever said.
    pub version: i64,
    /// When it was set, RFC 3339.
    pub set_at: Option<String>,
    pub name: Option<String>,
    /// To whom bills go: a person or a mailbox.
    pub contact: Option<String>,
    /// The number of the contract.
    pub contract: Option<String>,
    /// By key.
    pub labels: BTreeMap<String, String>,
}

/// What a person says about a profile. What is not said stays; an empty text takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub name: Option<String>,
    pub contact: Option<String>,
    pub contract: Option<String>,
    /// Labels that are set.
    pub labels: BTreeMap<String, String>,
    /// Labels that are taken away.
    pub unlabel: Vec<String>,
}

/// One part of a profile that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProfileChange {
    /// `name`, `contact`, `contract`, or `label` with its key.
    pub what: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

impl ProfileChange {
    /// Such as `name: none -> Acme`.
    pub fn sentence(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        format!("{}: {} -> {}", self.what, text(&self.old), text(&self.new))
    }
}

impl Said {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Finds texts that are too long or cannot be shown.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the first.
    pub fn check(&self) -> Result<()> {
        let texts = [
            ("name", &self.name),
            ("contact", &self.contact),
            ("contract", &self.contract),
        ];
        for (what, text) in texts {
            if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
                check_text(what, text)?;
            }
        }
        for (key, value) in &self.labels {
            check_key(key)?;
            check_text(&format!("label {key}"), value)?;
        }
        self.unlabel.iter().try_for_each(|key| check_key(key))?;
        if let Some(both) = self.unlabel.iter().find(|key| self.labels.contains_key(*key)) {
            return Err(Error::Usage(format!(
                "label {both} is set and taken away at once; do one of the two"
            )));
        }
        Ok(())
    }

    /// The profile with what was said, under the next version's number.
    ///
    /// # Errors
    /// [`Error::Usage`] where it has too many labels, or lacks one that is to be taken away.
    pub fn applied_to(&self, profile: &Profile, set_at: &str) -> Result<Profile> {
        let said = |new: &Option<String>, old: &Option<String>| match new {
            Some(new) => Some(new.clone()).filter(|new| !new.is_empty()),
            None => old.clone(),
        };
        let mut labels = profile.labels.clone();
        for key in &self.unlabel {
            if labels.remove(key).is_none() {
                let known: Vec<&str> = profile.labels.keys().map(String::as_str).collect();
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                return Err(Error::Usage(format!(
                    "the account has no label {key}; its labels: {known}"
                )));
            }
        }
        labels.extend(self.labels.clone());
        if MAX_LABELS < labels.len() {
            return Err(Error::Usage(format!(
                "an account has at most {MAX_LABELS} labels, and this would make {}",
                labels.len()
            )));
        }
        Ok(Profile {
            version: profile.version + 1,
            set_at: Some(set_at.to_owned()),
            name: said(&self.name, &profile.name),
            contact: said(&self.contact, &profile.contact),
            contract: said(&self.contract, &profile.contract),
            labels,
        })
    }
}

/// What is other in a later version: its texts, then its labels by key.
pub fn profile_changes(old: &Profile, new: &Profile) -> Vec<ProfileChange> {
    let mut parts = vec![
        ("name".to_owned(), old.name.clone(), new.name.clone()),
        ("contact".to_owned(), old.contact.clone(), new.contact.clone()),
        ("contract".to_owned(), old.contract.clone(), new.contract.clone()),
    ];
    let keys: std::collections::BTreeSet<&String> = old.labels.keys().chain(new.labels.keys()).collect();
    for key in keys {
        parts.push((
            format!("label {key}"),
            old.labels.get(key).cloned(),
            new.labels.get(key).cloned(),
        ));
    }
    let changed = parts.into_iter().filter(|(_, old, new)| old != new);
    changed
        .map(|(what, old, new)| ProfileChange { what, old, new })
        .collect()
}

/// `KEY=VALUE` of a label.
pub fn label(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as tier=gold; --unlabel KEY takes a label away".to_owned()),
    }
}

fn check_text(what: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.trim() != text || text.contains(char::is_control) {
        return Err(Error::Usage(format!(
            "{what} is {text:?}; write a text without control characters, and without white space at its ends"
        )));
    }
    if MAX_TEXT_BYTES < text.len() {
        return Err(Error::Usage(format!(
            "{what} has {} bytes; write at most {MAX_TEXT_BYTES}",
            text.len()
        )));
    }
    Ok(())
}

fn check_key(key: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if key.is_empty() || MAX_KEY_BYTES < key.len() || !key.bytes().all(plain) {
        return Err(Error::Usage(format!(
            "the label's key is {key:?}; write 1 to {MAX_KEY_BYTES} letters, digits, `-`, `_`, `.` or `/`"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn acme() -> Profile {
        Profile {
            version: 3,
            set_at: Some("2026-01-01T00:00:00Z".into()),
            name: Some("Acme".into()),
            contact: Some("bills@acme.test".into()),
            contract: None,
            labels: labels(&[("team", "video"), ("tier", "gold")]),
        }
    }

    #[test]
    fn what_is_not_said_stays_and_an_empty_text_takes_away() {
        let said = Said {
            name: Some("Acme Ltd".into()),
            contact: Some(String::new()),
            labels: labels(&[("tier", "silver"), ("since", "2026")]),
            unlabel: vec!["team".into()],
            ..Said::default()
        };
        let new = said.applied_to(&acme(), "2026-02-01T00:00:00Z").unwrap();
        let told: Vec<String> = profile_changes(&acme(), &new)
            .iter()
            .map(ProfileChange::sentence)
            .collect();
        assert_eq!(
            told,
            [
                "name: Acme -> Acme Ltd",
                "contact: bills@acme.test -> none",
                "label since: none -> 2026",
                "label team: video -> none",
                "label tier: gold -> silver",
            ]
        );
        assert_eq!((new.version, new.set_at.as_deref()), (4, Some("2026-02-01T00:00:00Z")));
    }

    #[test]
    fn saying_what_holds_changes_nothing() {
        let said = Said {
            name: Some("Acme".into()),
            labels: labels(&[("tier", "gold")]),
            ..Said::default()
        };
        let new = said.applied_to(&acme(), "2026-02-01T00:00:00Z").unwrap();
        assert_eq!(profile_changes(&acme(), &new), []);
    }

    #[test]
    fn texts_and_keys_have_limits() {
        let name = |name: &str| {
            Said {
                name: Some(name.into()),
                ..Said::default()
            }
            .check()
            .map_err(|error| error.to_string())
        };
        assert_eq!(name(&"n".repeat(256)), Ok(()));
        assert_eq!(
            name(&"n".repeat(257)),
            Err("name has 257 bytes; write at most 256".into())
        );
        for text in [" Acme", "Acme ", "A\ncme", "\u{7f}"] {
            assert!(name(text).unwrap_err().starts_with("name is "), "{text:?}");
        }
        let key = |key: &str| {
            Said {
                labels: labels(&[(key, "v")]),
                ..Said::default()
            }
            .check()
        };
        assert!(key(&"k".repeat(64)).is_ok());
        for text in ["", "a b", "é", &"k".repeat(65)] {
            assert!(key(text).is_err(), "{text:?}");
        }
        let empty = Said {
            labels: labels(&[("k", "")]),
            ..Said::default()
        };
        assert!(empty.check().is_err());
        let both = Said {
            labels: labels(&[("k", "v")]),
            unlabel: vec!["k".into()],
            ..Said::default()
        };
        assert!(both.check().is_err());
    }

    #[test]
    fn there_are_at_most_32_labels_and_one_that_is_not_there_is_not_taken_away() {
        let many = |count: usize| Said {
            labels: (0..count)
                .map(|number| (format!("k{number}"), "v".to_owned()))
                .collect(),
            ..Said::default()
        };
        let none = Profile::default();
        assert_eq!(many(32).applied_to(&none, "").unwrap().labels.len(), 32);
        assert!(many(33).applied_to(&none, "").is_err());
        let said = Said {
            unlabel: vec!["tear".into()],
            ..Said::default()
        };
        let error = said.applied_to(&acme(), "").unwrap_err().to_string();
        assert_eq!(error, "the account has no label tear; its labels: team, tier");
    }
}
