//! Tables for the terminal: columns as wide as their widest cell, numbers to the right.

use crate::support::formula_guard::{harmless, is_number};

/// Rows of text under a header.
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, without trailing spaces.
    pub fn text(&self) -> String {
        let header: Vec<String> = self.header.iter().map(|&h| h.to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&header).chain(&self.rows).collect();
        let widths: Vec<usize> = (0..header.len())
            .map(|column| {
                all.iter()
                    .filter_map(|row| row.get(column))
                    .map(|c| c.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let numeric: Vec<bool> = (0..header.len())
            .map(|column| {
                let mut cells = self
                    .rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .filter(|cell| !cell.is_empty());
                cells.all(|cell| is_number(cell))
            })
            .collect();
        let mut text = String::new();
        for row in all {
            let cells = row.iter().zip(&widths).zip(&numeric).map(|((cell, &width), &numeric)| {
                if numeric {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// The table as CSV (RFC 4180, LF).
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let written = writer.write_record(&self.header).and_then(|()| {
            self.rows
                .iter()
                .try_for_each(|row| writer.write_record(row.iter().map(|cell| harmless(cell))))
        });
        written.expect("writing to memory, all rows as long as the header");
        String::from_utf8(writer.into_inner().expect("writing to memory")).expect("cells are text")
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// A number with its thousands apart, and its noun in the singular or plural: `1 record`, `2,000 records`.
pub fn counted(number: impl TryInto<i64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(i64::MAX);
    let number_text = grouped(number);
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("1 {noun}"),
        Some(stem) if !noun.ends_with("ay") => format!("{number_text} {stem}ies"),
        _ if noun.ends_with("ch") => format!("{number_text} {noun}es"),
        _ => format!("{number_text} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let texts: Vec<String> = [0, 7, 999, 1000, -1_234_567].into_iter().map(grouped).collect();
        assert_eq!(texts, ["0", "7", "999", "1,000", "-1,234,567"]);
    }

    #[test]
    fn one_is_singular_and_every_other_number_plural() {
        let texts = [
            (0, "record"),
            (1, "record"),
            (2_000, "record"),
            (2, "batch"),
            (3, "entry"),
            (4, "day"),
        ];
        let texts = texts.map(|(number, noun)| counted(number, noun));
        assert_eq!(
            texts,
            [
                "0 records",
                "1 record",
                "2,000 records",
                "2 batches",
                "3 entries",
                "4 days"
            ]
        );
    }

    #[test]
    fn a_table_lines_up_and_its_csv_runs_no_formula() {
        let mut table = Table::new(&["name", "count"]);
        table.row(["=HYPERLINK(1)".to_owned(), "-5".to_owned()]);
        table.row(["b".to_owned(), "12,000".to_owned()]);
        insta::assert_snapshot!(table.text(), @r"
        name            count
        =HYPERLINK(1)      -5
        b              12,000
        ");
        assert_eq!(table.csv(), "name,count\n'=HYPERLINK(1),-5\nb,\"12,000\"\n");
    }
}
