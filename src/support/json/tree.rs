//! A JSON value as a tree that owns its texts, for documents that are looked into in many places and written again. Numbers stay as they
//! are written.

use std::fmt::Write as _;

use super::text::plain_run_end;
use super::{Fault, MAX_DEPTH, Scanner, SyntaxError, Value};

/// One value, with all that is in it. Members stand in the order of the document, and one name may be there twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    /// Its escapes resolved.
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// The value that the whole of `text` is.
    ///
    /// # Errors
    /// Where it is not JSON, or is nested deeper than [`MAX_DEPTH`].
    pub fn read(text: &str) -> Result<Self, SyntaxError> {
        let mut scanner = Scanner::new(text);
        let tree = scanner.tree(MAX_DEPTH)?;
        scanner.finish()?;
        Ok(tree)
    }

    /// Its JSON text, without white space.
    pub fn written(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// Appends its JSON text.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => write_text(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                write_members(members, out);
                out.push('}');
            }
        }
    }
}

/// Appends the members of an object, with commas between them.
pub fn write_members(members: &[(String, Tree)], out: &mut String) {
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(name, out);
        out.push(':');
        value.write(out);
    }
}

/// Appends a text in quotes, escaped as far as JSON asks for it.
pub fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    loop {
        let at = plain_run_end(text.as_bytes(), from);
        out.push_str(&text[from..at]);
        match text.as_bytes().get(at) {
            None => break,
            Some(b'"') => out.push_str("\\\""),
            Some(b'\\') => out.push_str("\\\\"),
            Some(b'\n') => out.push_str("\\n"),
            Some(b'\r') => out.push_str("\\r"),
            Some(b'\t') => out.push_str("\\t"),
            Some(other) => write!(out, "\\u{other:04x}").expect("a text takes all that is written"),
        }
        from = at + 1;
    }
    out.push('"');
}

impl Scanner<'_> {
    fn tree(&mut self, depth: u32) -> Result<Tree, SyntaxError> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.tree_of_object(depth),
            Some(b'[') => self.tree_of_array(depth),
            _ => match self.value_within(depth)? {
                Value::Null => Ok(Tree::Null),
                Value::Bool(truth) => Ok(Tree::Bool(truth)),
                Value::Number(number) => Ok(Tree::Number(number.to_owned())),
                Value::Text(text) => Ok(Tree::Text(text.value().into_owned())),
                Value::Object(_) | Value::Array(_) => Err(self.fault(Fault::NoValue)),
            },
        }
    }

    fn tree_of_object(&mut self, depth: u32) -> Result<Tree, SyntaxError> {
        let deeper = depth.checked_sub(1).ok_or(self.fault(Fault::TooDeep))?;
        self.open_object()?;
        let mut members = Vec::new();
        let mut key = self.first_key()?;
        while let Some(name) = key {
            members.push((name.value().into_owned(), self.tree(deeper)?));
            key = self.next_key()?;
        }
        Ok(Tree::Object(members))
    }

    fn tree_of_array(&mut self, depth: u32) -> Result<Tree, SyntaxError> {
        let deeper = depth.checked_sub(1).ok_or(self.fault(Fault::TooDeep))?;
        self.take(b'[', Fault::NoValue)?;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Tree::Array(items));
        }
        loop {
            items.push(self.tree(deeper)?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.expected(Fault::NoComma)),
            }
        }
        self.at += 1;
        Ok(Tree::Array(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::json::check;
    use proptest::prelude::*;

    #[test]
    fn a_tree_is_what_the_text_says_and_writes_it_again() {
        for (text, written) in [
            (" null ", "null"),
            ("[ ]", "[]"),
            ("{ }", "{}"),
            ("[1.50, -0, 1e400, true]", "[1.50,-0,1e400,true]"),
            (r#"{"a" : {"a":1,"a":2}}"#, r#"{"a":{"a":1,"a":2}}"#),
            (r#""\u00e9\ud83d\ude00\/\u0001\"\\""#, "\"é😀/\\u0001\\\"\\\\\""),
        ] {
            let tree = Tree::read(text).unwrap();
            assert_eq!(tree.written(), written);
            assert_eq!(Tree::read(written), Ok(tree));
        }
    }

    #[test]
    fn nesting_ends_where_the_scanner_ends_it() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Tree::read(&nested(32)).is_ok());
        assert_eq!(Tree::read(&nested(33)).unwrap_err().fault, Fault::TooDeep);
        assert_eq!(
            Tree::read(&"{\"a\":".repeat(100_000)).unwrap_err().fault,
            Fault::TooDeep
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_tree_exactly_where_it_is_json(text in "[\\[\\]{},:\"\\\\a0-9eE.u -]{0,40}") {
            let tree = Tree::read(&text);
            prop_assert_eq!(tree.as_ref().err().copied(), check(&text).err());
            if let Ok(tree) = tree {
                prop_assert_eq!(Tree::read(&tree.written()), Ok(tree));
            }
        }

        #[test]
        fn any_text_in_quotes_is_read_as_it_was(text: String) {
            let tree = Tree::Text(text);
            prop_assert_eq!(Tree::read(&tree.written()), Ok(tree));
        }
    }
}
