//! Statements and settlements under a pseudonym. The digest with which a statement was closed stays in its row, and in the chain; a second
//! one is made of the document as it is now.

use crate::context::Books;
use crate::erasure::pseudonym::Pseudonyms;
use crate::pipeline::close::statement::document::{Renaming, renamed};
use crate::pipeline::close::statement::{Statement, renamed_statement, statement_id};
use crate::pipeline::close::store::{add_second_digest, statements_of};
use crate::storage::ledger::{Tx, Value, rewrite_rows};
use crate::support::error::{Error, Result};

/// The digests of a statement: as it was closed, and as it is now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SecondDigest {
    pub first: String,
    /// None where its lines had gone before.
    pub second: Option<String>,
}

/// Renames an account's statements, documents and settlements. Returns the digests, oldest first.
pub async fn rename(books: &Books, tx: &mut Tx, names: &Pseudonyms) -> Result<Vec<SecondDigest>> {
    let app = |app: &str| {
        let number: u64 = app.parse().ok()?;
        let pseudonym = names.apps.get(&number).copied();
        pseudonym
            .or_else(|| (number == 0).then_some(0))
            .map(|app| app.to_string())
    };
    let id = |id: &str| renamed_statement(id, names.erased_uin, names.uin);
    let renaming = Renaming {
        uin: names.uin.to_string(),
        app: &app,
        id: &id,
    };
    let (mut digests, mut before): (Vec<SecondDigest>, Option<String>) = (Vec::new(), None);
    for statement in statements_of(&books.ledger, names.erased_uin).await? {
        let first = statement.digest.clone();
        let statement = under_pseudonym(statement, names, &renaming, before.as_deref())?;
        let second = match &statement.document {
            Some(_) => Some(statement.compute_digest().map_err(unreadable)?),
            None => None,
        };
        rewrite(tx, &statement, names).await?;
        add_second_digest(tx, &statement, second.as_deref()).await?;
        before = Some(second.clone().unwrap_or_else(|| first.clone()));
        digests.push(SecondDigest { first, second });
    }
    let uin: [Value; 1] = [names.erased_uin.to_string().into()];
    rewrite_rows(tx, "settlement", "uin = ?", &uin, |row| {
        let body = row.text("body")?.unwrap_or_default();
        let body = renamed(body, &renaming, None).map_err(unreadable)?;
        row.set("body", body)?;
        row.set("uin", names.uin.to_string())
    })
    .await?;
    Ok(digests)
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Unbalanced(format!(
        "a statement of the account cannot be written under its pseudonym: {error}"
    ))
}

/// The statement as it would have been closed under the pseudonym, after a statement with the digest `before`.
fn under_pseudonym(
    statement: Statement,
    names: &Pseudonyms,
    renaming: &Renaming<'_>,
    before: Option<&str>,
) -> Result<Statement> {
    let document = statement.document.as_deref();
    let document = document.map(|document| renamed(document, renaming, before));
    Ok(Statement {
        statement_id: statement_id(names.uin, &statement.period),
        uin: names.uin,
        document: document.transpose().map_err(unreadable)?,
        previous_digest: before.map(str::to_owned),
        ..statement
    })
}

async fn rewrite(tx: &mut Tx, statement: &Statement, names: &Pseudonyms) -> Result<()> {
    let this: [Value; 2] = [
        names.erased_uin.to_string().into(),
        statement.period.start.to_string().into(),
    ];
    let mut document = Value::NullInteger;
    rewrite_rows(tx, "statement", "uin = ? AND period_start = ?", &this, |row| {
        document = row.value("document")?.clone();
        row.set("uin", statement.uin.to_string())?;
        row.set("statement_id", statement.statement_id.clone())
    })
    .await?;
    if let Some(body) = &statement.document {
        rewrite_rows(tx, "document", "document = ?", &[document], |row| {
            row.set("body", body.clone())
        })
        .await?;
    }
    Ok(())
}
