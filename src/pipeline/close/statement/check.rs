//! Proving statements: everything in one is computed again, and what differs is named.

use std::fmt;

use super::document::{self, DocumentError, Line, v1};
use super::{Foot, Statement, statement_id};
use crate::pipeline::rate::Kind;
use crate::values::money::{AMOUNT_DECIMALS, plain};

/// Something in a statement that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The statement.
    pub statement_id: String,
    /// What differs: `total`, `amount of line 3`.
    pub what: String,
    /// As stored.
    pub stored: String,
    /// As computed again, or why it could not be.
    pub computed: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            statement_id,
            what,
            stored,
            computed,
        } = self;
        write!(
            out,
            "statement {statement_id}: {what} is stored as `{stored}`, but comes to `{computed}`"
        )
    }
}

impl Statement {
    /// Computes name, line numbers, amounts, sums, total and digest again; what differs, nothing when all is well.
    pub fn verify(&self) -> Vec<Difference> {
        let mut proof = Proof {
            statement: self,
            differences: Vec::new(),
        };
        proof.compare(
            "statement_id",
            &self.statement_id,
            &statement_id(self.uin, &self.period),
        );
        match self.read_lines() {
            // Whether they may be gone is for the ledger to say.
            Err(DocumentError::Expired { .. }) => return proof.differences,
            Ok(lines) => {
                proof.numbers(&lines);
                proof.amounts(&lines);
                proof.foot(&lines);
                proof.head();
            }
            Err(error) => proof.compare("document", "unreadable lines", &error.to_string()),
        }
        let computed = self.compute_digest().unwrap_or_else(|error| error.to_string());
        proof.compare("digest", &self.digest, &computed);
        proof.differences
    }
}

/// Checks that each statement of one account names the digest of the one before; the first names none.
/// They are given in the order in which they were closed.
pub fn verify_chain(statements: &[Statement]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut before: Option<&Statement> = None;
    for statement in statements {
        let mut proof = Proof {
            statement,
            differences: Vec::new(),
        };
        let stored = statement.previous_digest.as_deref().unwrap_or_default();
        proof.compare("previous_digest", stored, before.map_or("", |before| &before.digest));
        if let Some(before) = before {
            proof.compare("uin", &statement.uin.to_string(), &before.uin.to_string());
        }
        differences.append(&mut proof.differences);
        before = Some(statement);
    }
    differences
}

struct Proof<'a> {
    statement: &'a Statement,
    differences: Vec<Difference>,
}

impl Proof<'_> {
    fn compare(&mut self, what: &str, stored: &str, computed: &str) {
        if stored != computed {
            self.differences.push(Difference {
                statement_id: self.statement.statement_id.clone(),
                what: what.to_owned(),
                stored: stored.to_owned(),
                computed: computed.to_owned(),
            });
        }
    }

    /// What the document says beside the lines, against what the ledger shows of the statement without it.
    fn head(&mut self) {
        let document = self.statement.document.as_deref().unwrap_or_default();
        if v1::is_of_this_version(document) {
            return;
        }
        match document::head(document) {
            Ok(Some(written)) => {
                let shown = self.statement.head();
                for ((key, written), (_, shown)) in written.fields().into_iter().zip(shown.fields()) {
                    self.compare(&format!("{key} beside the document"), shown, written);
                }
            }
            Ok(None) => self.compare("document", "nothing beside the lines", "a document of a statement"),
            Err(error) => self.compare("document", "unreadable", &error.to_string()),
        }
    }

    fn numbers(&mut self, lines: &[Line]) {
        self.compare(
            "number of lines",
            &self.statement.lines.to_string(),
            &lines.len().to_string(),
        );
        for (line, number) in lines.iter().zip(1_u32..) {
            self.compare(
                &format!("number of line {number}"),
                &line.line_no.to_string(),
                &number.to_string(),
            );
        }
    }

    fn amounts(&mut self, lines: &[Line]) {
        for line in lines {
            let what = || format!("amount of line {}", line.line_no);
            let stored = plain(line.amount, AMOUNT_DECIMALS);
            match line.priced {
                Some(priced) => match priced.amount() {
                    Ok(amount) if amount == line.amount => {}
                    Ok(amount) => self.compare(&what(), &stored, &plain(amount, AMOUNT_DECIMALS)),
                    Err(error) => self.compare(&what(), &stored, &error.to_string()),
                },
                None if line.kind == Kind::Rounding => {}
                None => self.compare(&what(), &stored, "no quantity and price"),
            }
        }
    }

    fn foot(&mut self, lines: &[Line]) {
        let statement = self.statement;
        let foot = match Foot::of(lines.iter().map(|line| (line.kind, line.amount)), statement.currency) {
            Ok(foot) => foot,
            Err(error) => return self.compare("total", &statement.total_text(), &error.to_string()),
        };
        let text = |amount| plain(amount, AMOUNT_DECIMALS);
        self.compare("usage_amount", &text(statement.usage_amount), &text(foot.usage_amount));
        self.compare(
            "adjustment_amount",
            &text(statement.adjustment_amount),
            &text(foot.adjustment_amount),
        );
        self.compare("rounding", &text(statement.rounding), &text(foot.rounding));
        self.compare(
            "total",
            &statement.total_text(),
            &plain(foot.total, statement.currency.minor_units()),
        );
        let stored: Vec<_> = lines
            .iter()
            .filter(|line| line.kind == Kind::Rounding)
            .map(|line| format!("line {}: {}", line.line_no, text(line.amount)))
            .collect();
        let due = if foot.rounding.is_zero() {
            String::new()
        } else {
            format!("line {}: {}", lines.len(), text(foot.rounding))
        };
        self.compare("rounding line", &stored.join(", "), &due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::close::statement::samples::{charge, close};
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    fn statement() -> Statement {
        close(7, "CNY", &[charge(Kind::Usage, "0.533333", "0.0325")], None).unwrap()
    }

    fn named(statement: &Statement) -> Vec<String> {
        statement
            .verify()
            .into_iter()
            .map(|difference| difference.what)
            .collect()
    }

    fn edit(of: &mut Statement, change: impl Fn(&str) -> String) {
        of.document = of.document.as_deref().map(change);
    }

    #[test]
    fn a_statement_as_it_was_closed_has_no_difference() {
        assert_eq!(statement().verify(), []);
    }

    #[test]
    fn each_changed_part_is_named() {
        let cent = Decimal::new(1, 2);
        let changed = |change: fn(&mut Statement)| {
            let mut statement = statement();
            change(&mut statement);
            named(&statement)
        };
        assert_eq!(changed(|of| of.uin = 8), ["statement_id", "uin beside the document"]);
        assert_eq!(changed(|of| of.lines = 1), ["number of lines"]);
        assert_eq!(
            changed(|of| of.total = Decimal::ONE),
            ["total", "total beside the document"]
        );
        assert_eq!(
            changed(|of| of.usage_amount = Decimal::ONE),
            ["usage_amount", "usage_amount beside the document"]
        );
        assert_eq!(
            changed(|of| of.zone = chrono_tz::Tz::Asia__Tokyo),
            ["zone beside the document"]
        );
        assert_eq!(
            changed(|of| of.previous_digest = Some("beef".to_owned())),
            ["previous_digest beside the document"]
        );
        assert_eq!(
            changed(|of| edit(of, |text| text.replace("0.0325", "0.0425"))),
            ["amount of line 1", "digest"]
        );
        assert_eq!(
            changed(|of| edit(of, |text| text.replace("\"first_line\":2", "\"first_line\":3"))),
            ["number of line 2", "rounding line", "digest"]
        );
        assert_eq!(
            changed(|of| edit(of, |text| text.replace("-guangzhou", "-beijing"))),
            ["digest"]
        );
        assert_eq!(changed(|of| edit(of, |_| String::new())), ["document", "digest"]);
        let mut statement = statement();
        statement.rounding += cent;
        let shown = statement.verify()[0].to_string();
        assert_eq!(
            shown,
            "statement 7-20241101-20241201: rounding is stored as `0.0126666775`, but comes to `0.0026666775`"
        );
    }

    #[test]
    fn the_lines_of_a_settlement_are_no_statement() {
        let mut statement = statement();
        let lines = statement.document.clone().unwrap();
        statement.document = Some(document::write(None, &document::lines(&lines).unwrap()));
        assert_eq!(named(&statement), ["document", "digest"]);
    }

    proptest! {
        #[test]
        fn a_changed_byte_of_the_document_is_found(at in any::<prop::sample::Index>(), byte in b' '..=b'~') {
            let mut statement = statement();
            let mut bytes = statement.document.take().unwrap().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            statement.document = String::from_utf8(bytes).ok();
            prop_assert_ne!(statement.verify(), []);
        }
    }

    #[test]
    fn a_chain_names_the_digest_of_the_statement_before() {
        let first = statement();
        let next = close(7, "CNY", &[charge(Kind::Usage, "1", "1")], Some(&first.digest)).unwrap();
        assert_eq!(verify_chain(&[first.clone(), next.clone()]), []);
        assert_eq!(verify_chain(std::slice::from_ref(&next))[0].what, "previous_digest");
        assert_eq!(verify_chain(&[next, first])[1].what, "previous_digest");
    }
}
