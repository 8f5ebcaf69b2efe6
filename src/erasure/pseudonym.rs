//! Pseudonyms: random numbers in the place of an account's and of its apps'. Nothing leads from one to the other.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::support::error::{Error, Result};
use crate::support::random::random;

/// The numbers of an account and of its apps, and what stands in their place.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Pseudonyms {
    /// The true number of the account.
    pub erased_uin: u64,
    /// What stands in its place.
    pub uin: u64,
    /// The same of its apps. They are in the same order: lines of a statement are in the order of apps, and take the slices of a tier in that
    /// order.
    pub apps: BTreeMap<u64, u64>,
    /// Those of its apps that other accounts have, too: a text that says one may be of those.
    pub shared_apps: BTreeSet<u64>,
}

/// Pseudonyms have 16 digits: more than numbers of accounts and apps have, and few enough for readers that hold 53 bits.
const FIRST: u64 = 1_000_000_000_000_000;
const LAST: u64 = (1 << 53) - 1;

impl Pseudonyms {
    /// Chooses pseudonyms at random that no account has, and none of these apps. `shared`: the apps that other accounts have, too.
    ///
    /// # Errors
    /// Where the system has no random numbers.
    pub fn choose(uin: u64, apps: &BTreeSet<u64>, shared: &BTreeSet<u64>, taken: &HashSet<u64>) -> Result<Self> {
        let mut chosen = BTreeSet::new();
        while chosen.len() < apps.len() {
            let number = random_number()?;
            if !apps.contains(&number) {
                chosen.insert(number);
            }
        }
        let pseudonym = loop {
            let number = random_number()?;
            if number != uin && !taken.contains(&number) {
                break number;
            }
        };
        Ok(Self {
            erased_uin: uin,
            uin: pseudonym,
            apps: apps.iter().copied().zip(chosen).collect(),
            shared_apps: shared.clone(),
        })
    }

    /// Those of its apps that no other account has.
    pub fn own_apps(&self) -> BTreeSet<u64> {
        let own = self.apps.keys().filter(|app| !self.shared_apps.contains(app));
        own.copied().collect()
    }

    /// Fails where apps have pseudonyms in another order: statements would be rated otherwise under them.
    ///
    /// # Errors
    /// [`Error::Unbalanced`] for that.
    pub fn check_order(&self) -> Result<()> {
        if self.apps.values().is_sorted_by(|one, next| one < next) {
            return Ok(());
        }
        Err(Error::Unbalanced(
            "pseudonyms are not in the order of the applications".to_owned(),
        ))
    }
}

fn random_number() -> Result<u64> {
    // Numbers beyond the last whole span would make the first ones of it likelier.
    let span = LAST - FIRST + 1;
    let fair = u64::MAX - u64::MAX % span;
    loop {
        let number = u64::from_le_bytes(random()?);
        if number < fair {
            return Ok(FIRST + number % span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_have_sixteen_digits_and_keep_the_order_of_apps() {
        let apps: BTreeSet<u64> = [1, 5, 1_300_000_001, 1_300_000_002].into();
        let names = Pseudonyms::choose(7, &apps, &[1].into(), &HashSet::from([7, 8])).unwrap();
        let values: Vec<u64> = names.apps.values().copied().collect();
        assert!(values.is_sorted_by(|one, other| one < other));
        assert_eq!(names.apps.keys().copied().collect::<BTreeSet<_>>(), apps);
        for number in values.into_iter().chain([names.uin]) {
            assert!(number.to_string().len() == 16 && number < 1 << 53, "{number}");
        }
        assert_eq!(names.erased_uin, 7);
        assert_eq!(names.own_apps(), [5, 1_300_000_001, 1_300_000_002].into());
        assert_ne!(
            Pseudonyms::choose(7, &apps, &[1].into(), &HashSet::new()).unwrap(),
            names
        );
    }
}
