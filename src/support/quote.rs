//! How a foreign value looks in a message: escaped, so that it cannot forge a line of a log, and cut,
//! so that it cannot fill one.

/// The bytes of a value that a message shows; enough to find it, too few to drown in.
pub const MAX_SHOWN_BYTES: usize = 80;

/// `value` in quotes, control characters escaped, at most [`MAX_SHOWN_BYTES`] of it and then `...`.
pub fn quoted(value: &str) -> String {
    let head = head(value);
    let ellipsis = if head.len() < value.len() { "..." } else { "" };
    format!("\"{}{ellipsis}\"", head.escape_debug())
}

/// `value` as it stands in the input (a JSON number, object, ...), escaped and cut like [`quoted`].
pub fn plain(value: &str) -> String {
    let head = head(value);
    let ellipsis = if head.len() < value.len() { "..." } else { "" };
    let mut text = String::with_capacity(head.len() + ellipsis.len());
    for c in head.chars() {
        if c.is_control() {
            text.extend(c.escape_debug());
        } else {
            text.push(c);
        }
    }
    text + ellipsis
}

fn head(value: &str) -> &str {
    &value[..value.floor_char_boundary(MAX_SHOWN_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_escaped_and_cut_between_characters() {
        assert_eq!(quoted("a\nb\"c"), r#""a\nb\"c""#);
        assert_eq!(plain("{\"a\":\n1}"), r#"{"a":\n1}"#);
        let long = "é".repeat(41);
        assert_eq!(quoted(&long), format!("\"{}...\"", "é".repeat(40)));
        let odd = format!("x{long}");
        assert_eq!(plain(&odd), format!("x{}...", "é".repeat(39)));
    }
}
