//! A document under pseudonyms: the same in every value but the numbers of the account and of its apps.

use super::format::{Document, Text};
use super::{DocumentError, read, v1};

/// What stands in the place of what. The lines keep their order: pseudonyms of apps have the order of the apps.
pub struct Renaming<'r> {
    /// The account's number from now on.
    pub uin: String,
    /// The app of a line; none where it is not known.
    pub app: &'r dyn Fn(&str) -> Option<String>,
    /// The id of a statement, or of a settlement, which stays. Notes have no numbers of accounts.
    pub id: &'r dyn Fn(&str) -> String,
}

impl Renaming<'_> {
    pub(super) fn rename_app(&self, app: &mut Text, row: usize) -> Result<(), DocumentError> {
        if app.is_empty() {
            return Ok(());
        }
        let renamed = (self.app)(app).ok_or_else(|| DocumentError::Cell {
            row,
            column: "appid",
            text: app.to_string(),
        })?;
        *app = renamed.into();
        Ok(())
    }

    pub(super) fn rename_id(&self, id: &mut Text) {
        if !id.is_empty() {
            *id = (self.id)(id).into();
        }
    }
}

/// A document of any version with other numbers. `previous_digest` is what it names as the digest of the statement before, where it names
/// one.
///
/// # Errors
/// A document that does not read, and an app that has no other number.
pub fn renamed(document: &str, renaming: &Renaming, previous_digest: Option<&str>) -> Result<String, DocumentError> {
    if v1::is_of_this_version(document) {
        return v1::renamed(document, renaming);
    }
    let mut parsed: Document = read::parsed(document)?;
    if let Some(head) = &mut parsed.statement {
        renaming.rename_id(&mut head.statement_id);
        head.uin = renaming.uin.clone().into();
        if !head.previous_digest.is_empty() {
            head.previous_digest = previous_digest.unwrap_or_default().to_owned().into();
        }
    }
    let mut row = 0;
    for group in &mut parsed.groups {
        renaming.rename_app(&mut group.appid, row + 1)?;
        for line in &mut group.lines {
            row += 1;
            renaming.rename_id(&mut line.more.corrects_statement);
        }
    }
    Ok(serde_json::to_string(&parsed).expect("strings and numbers have a JSON text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::close::statement::document::lines;
    use crate::pipeline::close::statement::renamed_statement;
    use crate::pipeline::close::statement::samples::{charge, close};
    use crate::pipeline::rate::{Corrects, Kind};

    fn id(id: &str) -> String {
        renamed_statement(id, 7, 1_111_111_111_111_111)
    }

    fn app(app: &str) -> Option<String> {
        (app == "1300000001").then(|| "2222222222222222".to_owned())
    }

    fn renaming() -> Renaming<'static> {
        Renaming {
            uin: "1111111111111111".to_owned(),
            app: &app,
            id: &id,
        }
    }

    #[test]
    fn a_document_under_pseudonyms_is_the_one_that_closing_under_them_would_have_made() {
        let lines_under = |uin: &str, app| {
            let mut back = charge(Kind::Adjustment, "-3", "0.8335");
            let id = format!("{uin}-20241001-20241101");
            back.corrects = Some(Corrects {
                statement_id: Box::leak(id.into_boxed_str()),
                line_no: 4,
            });
            [charge(Kind::Usage, "1", "0.0005"), back].map(|mut charge| {
                charge.appid = Some(app);
                charge
            })
        };
        let first = close(7, "CNY", &lines_under("7", 1_300_000_001), Some("beef")).unwrap();
        let other = close(
            1_111_111_111_111_111,
            "CNY",
            &lines_under("1111111111111111", 2_222_222_222_222_222),
            Some("cafe"),
        )
        .unwrap();
        let made = renamed(first.text().unwrap(), &renaming(), Some("cafe")).unwrap();
        assert_eq!(made, other.text().unwrap());
        let old = |of: &crate::pipeline::close::statement::Statement| v1::text(&lines(of.text().unwrap()).unwrap());
        assert_eq!(renamed(&old(&first), &renaming(), Some("cafe")).unwrap(), old(&other));
    }

    #[test]
    fn lines_of_packages_and_multipliers_keep_all_their_values_under_pseudonyms() {
        let lines_under = |app| {
            let mut packed = charge(Kind::Usage, "1.5", "0.0005");
            packed.packages = Some(2);
            packed.amount = rust_decimal::Decimal::new(1, 3);
            let mut included = charge(Kind::Included, "1", "0");
            included.multiplier = Some(rust_decimal::Decimal::new(15, 1));
            included.usage_quantity = Some(rust_decimal::Decimal::new(666_667, 6));
            let mut adjusted = charge(Kind::Adjustment, "0", "0");
            adjusted.corrects_kind = Some(Kind::Included);
            [packed, included, adjusted].map(|mut charge| {
                charge.appid = Some(app);
                charge
            })
        };
        let first = close(7, "CNY", &lines_under(1_300_000_001), None).unwrap();
        let other = close(1_111_111_111_111_111, "CNY", &lines_under(2_222_222_222_222_222), None).unwrap();
        let made = renamed(first.text().unwrap(), &renaming(), None).unwrap();
        assert_eq!(made, other.text().unwrap());
        assert!(
            made.contains(r#""packages":2"#) && made.contains(r#""corrects_kind":"included""#),
            "{made}"
        );
    }

    #[test]
    fn an_app_without_a_pseudonym_is_refused() {
        let mut charge = charge(Kind::Usage, "1", "0.0005");
        charge.appid = Some(5);
        let statement = close(7, "CNY", &[charge], None).unwrap();
        assert!(renamed(statement.text().unwrap(), &renaming(), None).is_err());
    }
}
