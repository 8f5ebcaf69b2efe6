//! What is wrong with a rate-card file: where, what, and how to put it right.

use std::fmt;

/// One mistake in a rate-card file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file as the caller named it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The offender and the rule that it breaks.
    pub what: String,
    /// What to write instead.
    pub cure: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.file, self.line, self.what, self.cure)
    }
}

/// The findings of one file, collected while it is read.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<Finding>,
}

impl<'a> Findings<'a> {
    /// No findings yet for `text`, which came from `file`.
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            text,
            found: Vec::new(),
        }
    }

    /// Adds a finding for the line that holds the byte `at`.
    pub(super) fn add(&mut self, at: usize, what: impl Into<String>, cure: impl Into<String>) {
        let file = self.file.to_owned();
        self.found.push(Finding {
            file,
            line: line_of(self.text, at),
            what: what.into(),
            cure: cure.into(),
        });
    }

    /// The text of the file between two byte positions.
    pub(super) fn source(&self, span: std::ops::Range<usize>) -> &'a str {
        self.text.get(span).unwrap_or_default()
    }

    /// How many there are so far: equal before and after a step means that the step found nothing.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// All of them, by line, each once.
    pub(super) fn into_sorted(mut self) -> Vec<Finding> {
        self.found.sort();
        self.found.dedup();
        self.found
    }
}

/// The line, counted from 1, that holds the byte `at`.
fn line_of(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    before.split(|&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_past_the_end_is_on_the_last_line() {
        assert_eq!(line_of("a\nb\n", 0), 1);
        assert_eq!(line_of("a\nb\n", 2), 2);
        assert_eq!(line_of("a\nb", 99), 2);
    }

    #[test]
    fn a_finding_reads_file_line_what_cure() {
        let mut findings = Findings::new("cards/x.toml", "one\ntwo");
        findings.add(4, "`two` is wrong", "write `one`");
        let found = findings.into_sorted();
        assert_eq!(found[0].to_string(), "cards/x.toml:2: `two` is wrong; write `one`");
    }
}
