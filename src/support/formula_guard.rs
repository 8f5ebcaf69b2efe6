//! The formula guard, stated once: text that a spreadsheet would run as a formula gets an apostrophe before it.

/// Whether a spreadsheet would run a text of a CSV cell.
pub fn runs_as_formula(text: &str) -> bool {
    matches!(text.bytes().next(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'))
}

/// A cell that may be text or a number, as it can be written into a CSV: numbers stay, however they begin.
pub fn harmless(cell: &str) -> String {
    if runs_as_formula(cell) && !is_number(cell) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

/// Whether a cell of ours is a number, grouped or not.
pub fn is_number(cell: &str) -> bool {
    let digits = cell.trim_start_matches('-');
    !cell.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',')
}
