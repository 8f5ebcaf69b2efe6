//! The nearest known name to one that is not known: the cure in a message about a misspelling.

/// More edits than this make another word rather than a misspelling of one.
const MAX_EDITS: usize = 2;

/// Names longer than this are not compared: no known name is near them, and the comparison is quadratic.
const MAX_NAME_BYTES: usize = 64;

/// The one of `known` that `name` most likely means: equal but for case, `-` and `_`, else the first with
/// the fewest edits, at most two and fewer than half of the name.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    let folded = fold(name);
    let limit = MAX_EDITS.min(folded.chars().count().saturating_sub(1) / 2);
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&folded, &fold(candidate)), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Lower case without separators, so that `taskType` and `Task-Type` are `tasktype`.
fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["id", "task_type", "task_id", "status"];

    #[test]
    fn a_misspelling_finds_its_name() {
        assert_eq!(nearest("taskType", KNOWN), Some("task_type"));
        assert_eq!(nearest("tsak_id", KNOWN), Some("task_id"));
        assert_eq!(nearest("stats", KNOWN), Some("status"));
        assert_eq!(nearest("ID", KNOWN), Some("id"));
    }

    #[test]
    fn another_word_finds_nothing() {
        assert_eq!(nearest("colour", KNOWN), None);
        assert_eq!(nearest("x", KNOWN), None);
        assert_eq!(nearest("", KNOWN), None);
        assert_eq!(nearest(&"x".repeat(100), KNOWN), None);
    }
}
