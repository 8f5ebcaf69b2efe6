//! Characters that no one sees. An identifier with one looks like another identifier, and would be billed beside it.

/// What a text has that no one sees, and where; none where all of it can be seen.
pub fn unseen(text: &str) -> Option<(String, &'static str)> {
    let at_ends = |c: char| text.starts_with(c) || text.ends_with(c);
    let white = text.chars().find(|c| c.is_whitespace() && at_ends(*c));
    let odd = || text.chars().find(|c| is_unseen(*c));
    let found = white.or_else(odd)?;
    let place = if text.starts_with(found) {
        "at its start"
    } else if text.ends_with(found) {
        "at its end"
    } else {
        "inside"
    };
    Some((name(found), place))
}

/// Formatting characters, fillers, line separators, and what is no character at all. A blank inside is seen.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{34F}'
            | '\u{61C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{FFFE}'..='\u{FFFF}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    ) || u32::from(c) & 0xFFFE == 0xFFFE
}

fn name(c: char) -> String {
    let name = match c {
        ' ' => return "a space".to_owned(),
        '\u{FEFF}' => "a byte order mark",
        '\u{200B}' => "a zero-width space",
        '\u{200C}' | '\u{200D}' | '\u{2060}' => "a zero-width joiner",
        '\u{AD}' => "a soft hyphen",
        '\u{A0}' => "a no-break space",
        '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{61C}' => {
            "a text direction mark"
        }
        c if c.is_whitespace() => "whitespace",
        _ => "a non-printing character",
    };
    format!("{name} (U+{:04X})", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_one_sees_is_named_with_its_place() {
        for (text, what, place) in [
            ("\u{feff}t-1", "a byte order mark (U+FEFF)", "at its start"),
            ("t\u{feff}-1", "a byte order mark (U+FEFF)", "inside"),
            ("t-1\u{200b}", "a zero-width space (U+200B)", "at its end"),
            ("t-1 ", "a space", "at its end"),
            (" t-1", "a space", "at its start"),
            ("t-1\u{a0}", "a no-break space (U+00A0)", "at its end"),
            ("t-1\u{3000}", "whitespace (U+3000)", "at its end"),
            ("t\u{ad}-1", "a soft hyphen (U+00AD)", "inside"),
            ("t\u{2060}1", "a zero-width joiner (U+2060)", "inside"),
            ("\u{202e}1-t", "a text direction mark (U+202E)", "at its start"),
            ("t\u{fffe}1", "a non-printing character (U+FFFE)", "inside"),
            ("t\u{1fffe}1", "a non-printing character (U+1FFFE)", "inside"),
            ("t\u{2028}1", "whitespace (U+2028)", "inside"),
            ("t\u{e0041}1", "a non-printing character (U+E0041)", "inside"),
        ] {
            assert_eq!(unseen(text), Some((what.to_owned(), place)), "{text:?}");
        }
        for text in ["t 1", "", "任务-1", "é", "😀", "t\u{301}", "a\u{a0}b"] {
            assert_eq!(unseen(text), None, "{text:?}");
        }
    }
}
