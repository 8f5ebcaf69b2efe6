//! An exported CSV file with an account under its pseudonym. All other rows stay, to the byte; the account's rows move to where its
//! pseudonym stands among the accounts.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;

use crate::erasure::pseudonym::Pseudonyms;
use crate::pipeline::close::statement::renamed_statement;
use crate::storage::durable_files::{DigestedFile, NewFile};
use crate::support::error::{AtPath as _, Error, Result};
use crate::values::digest::Hasher;

/// What is read of a file at a time.
const BLOCK_BYTES: usize = 1 << 18;

/// What a column is to a renaming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Statement,
    Account,
    App,
    Other,
}

impl Role {
    fn of(column: &str) -> Self {
        match column {
            "statement_id" | "corrects_statement" => Self::Statement,
            "uin" => Self::Account,
            "appid" => Self::App,
            _ => Self::Other,
        }
    }
}

/// The rows of a file, one after the other and as they stand in it.
struct Rows<R> {
    reader: R,
    row: Vec<u8>,
}

impl<R: BufRead> Rows<R> {
    fn of(reader: R) -> Self {
        Self {
            reader,
            row: Vec::new(),
        }
    }

    /// The next row with its line end. A line end between quotes ends no row.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.row.clear();
        loop {
            let read = self.reader.read_until(b'\n', &mut self.row)?;
            let is_quoted = memchr::memchr_iter(b'"', &self.row).count() % 2 == 1;
            if read == 0 || !is_quoted {
                return Ok((!self.row.is_empty()).then_some(&self.row));
            }
        }
    }
}

/// Where the fields of a row stand. A comma between quotes parts none.
fn fields(row: &[u8]) -> Vec<Range<usize>> {
    let end = row.strip_suffix(b"\n").map_or(row.len(), <[u8]>::len);
    let (mut found, mut start, mut is_quoted) = (Vec::new(), 0, false);
    for (at, byte) in row[..end].iter().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                found.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(start..end);
    found
}

/// What columns are, by the header.
struct Columns {
    roles: Vec<Role>,
    account: usize,
}

impl Columns {
    fn of(header: &[u8]) -> Option<Self> {
        let name = |field: Range<usize>| std::str::from_utf8(&header[field]).map_or(Role::Other, Role::of);
        let roles: Vec<Role> = fields(header).into_iter().map(name).collect();
        let account = roles.iter().position(|role| *role == Role::Account)?;
        Some(Self { roles, account })
    }

    fn account(&self, row: &[u8]) -> Option<u64> {
        let field = fields(row).into_iter().nth(self.account)?;
        std::str::from_utf8(&row[field]).ok()?.parse().ok()
    }

    /// A row of the account under its pseudonym; none where an application has none.
    fn renamed(&self, row: &[u8], names: &Pseudonyms) -> Option<Vec<u8>> {
        let mut renamed = Vec::with_capacity(row.len() + 32);
        for (at, field) in fields(row).into_iter().enumerate() {
            if at > 0 {
                renamed.push(b',');
            }
            let text = std::str::from_utf8(&row[field.clone()]).ok()?;
            match self.roles.get(at) {
                Some(Role::Statement) => renamed.extend(renamed_statement(text, names.erased_uin, names.uin).bytes()),
                Some(Role::Account) => renamed.extend(names.uin.to_string().bytes()),
                Some(Role::App) if !text.is_empty() => {
                    renamed.extend(names.apps.get(&text.parse().ok()?)?.to_string().bytes());
                }
                _ => renamed.extend_from_slice(&row[field]),
            }
        }
        if row.ends_with(b"\n") {
            renamed.push(b'\n');
        }
        Some(renamed)
    }
}

/// Writes a file anew; not synced. Returns the SHA-256 of the new file; none where the file has no row of the account, and nothing is
/// written. The account's rows and one row of another are in memory.
///
/// # Errors
/// [`Error::Damaged`] where the file is not the one of that digest; `cure` says what to do then.
pub fn rewrite_sheet(
    from: &Path,
    to: &Path,
    (digest, cure): (&str, &str),
    names: &Pseudonyms,
) -> Result<Option<String>> {
    let damaged = |what: &str| Error::damaged(from, format!("{what}; {cure}"));
    if !from.exists() {
        return Err(damaged("is missing"));
    }
    let open = || {
        Ok::<_, Error>(Rows::of(BufReader::with_capacity(
            BLOCK_BYTES,
            File::open(from).at(from)?,
        )))
    };
    let (mut rows, mut hasher, mut own) = (open()?, Hasher::default(), Vec::new());
    let header = rows.next().at(from)?.unwrap_or_default();
    hasher.update(header);
    let columns = Columns::of(header).ok_or_else(|| damaged("has no column `uin`"))?;
    while let Some(row) = rows.next().at(from)? {
        hasher.update(row);
        if columns.account(row) == Some(names.erased_uin) {
            let renamed = columns.renamed(row, names);
            own.push(renamed.ok_or_else(|| {
                Error::Unbalanced(format!("{} has an application that has no pseudonym", from.display()))
            })?);
        }
    }
    if hasher.hex() != digest {
        return Err(damaged("has changed since it was written"));
    }
    if own.is_empty() {
        return Ok(None);
    }
    let (file, written) = DigestedFile::of(NewFile::create_buffered(to)?);
    let mut out = BufWriter::with_capacity(BLOCK_BYTES, file);
    let mut rows = open()?;
    let mut own = Some(own);
    out.write_all(rows.next().at(from)?.unwrap_or_default()).at(to)?;
    while let Some(row) = rows.next().at(from)? {
        let account = columns
            .account(row)
            .ok_or_else(|| damaged("has a row without an account"))?;
        if account == names.erased_uin {
            continue;
        }
        if account > names.uin
            && let Some(own) = own.take()
        {
            out.write_all(&own.concat()).at(to)?;
        }
        out.write_all(row).at(to)?;
    }
    if let Some(own) = own {
        out.write_all(&own.concat()).at(to)?;
    }
    out.flush().at(to)?;
    Ok(Some(written.hex()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::values::digest::sha256_hex;
    use proptest::prelude::*;

    fn names(uin: u64) -> Pseudonyms {
        Pseudonyms {
            erased_uin: 7,
            uin,
            apps: BTreeMap::from([(70, 5000)]),
            shared_apps: [].into(),
        }
    }

    fn rewritten(text: &str, names: &Pseudonyms) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from.csv"), folder.path().join("to.csv"));
        std::fs::write(&from, text).unwrap();
        let digest = rewrite_sheet(&from, &to, (&sha256_hex(text.as_bytes()), "cure"), names).unwrap()?;
        let text = std::fs::read_to_string(&to).unwrap();
        assert_eq!(digest, sha256_hex(text.as_bytes()));
        Some(text)
    }

    #[test]
    fn the_account_stands_under_its_pseudonym_and_at_its_place() {
        let header = "statement_id,uin,appid,sku,corrects_statement,note\n";
        let of_3 = "3-20240101-20240201,3,70,\"a,7\",,7\n";
        let of_9 = "9-20240101-20240201,9,70,b,7-20230101-20230201,\"two\nlines, 7\"\n";
        let own = "7-20240101-20240201,7,70,\"7,\"\"7\",7-20231201-20240101,7\n7-20240101-20240201,7,,,,\n";
        let text = format!("{header}{of_3}{own}{of_9}");
        for (uin, order) in [(1, [2, 0, 1]), (8, [0, 2, 1]), (11, [0, 1, 2])] {
            let renamed = format!(
                "{uin}-20240101-20240201,{uin},5000,\"7,\"\"7\",{uin}-20231201-20240101,7\n{uin}-20240101-20240201,{uin},,,,\n"
            );
            let parts = [of_3, of_9, &renamed];
            let expected = order.map(|at| parts[at]).concat();
            assert_eq!(
                rewritten(&text, &names(uin)).unwrap(),
                header.to_owned() + &expected,
                "{uin}"
            );
        }
    }

    #[test]
    fn a_file_without_the_account_is_left_alone() {
        assert_eq!(rewritten("statement_id,uin\n17-x,17\n", &names(1)), None);
        assert_eq!(rewritten("statement_id,uin\n", &names(1)), None);
    }

    #[test]
    fn a_file_that_changed_and_an_application_without_a_pseudonym_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let refused = |text: &str, digest: &str| {
            std::fs::write(place("from.csv"), text).unwrap();
            let told = rewrite_sheet(&place("from.csv"), &place("to.csv"), (digest, "do this"), &names(1));
            assert!(!place("to.csv").exists());
            told.unwrap_err().to_string()
        };
        assert!(refused("uin\n7\n", "beef").contains("has changed since it was written; do this"));
        let text = "uin,appid\n7,71\n";
        assert!(refused(text, &sha256_hex(text.as_bytes())).contains("no pseudonym"));
        let missing = rewrite_sheet(&place("gone"), &place("to.csv"), ("", "do this"), &names(1)).unwrap_err();
        assert!(missing.to_string().contains("is missing; do this"));
    }

    proptest! {
        #[test]
        fn fields_are_those_that_another_reader_finds(cells in prop::collection::vec("[a7,\"\n ]{0,5}", 1..5)) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Necessary).from_writer(Vec::new());
            writer.write_record(&cells).unwrap();
            let text = writer.into_inner().unwrap();
            let mut rows = Rows::of(&text[..]);
            let row = rows.next().unwrap().unwrap().to_vec();
            prop_assert_eq!(&row, &text);
            let found: Vec<String> = fields(&row)
                .into_iter()
                .map(|field| {
                    let field = String::from_utf8(row[field].to_vec()).unwrap();
                    match field.strip_prefix('"').and_then(|field| field.strip_suffix('"')) {
                        Some(quoted) => quoted.replace("\"\"", "\""),
                        None => field,
                    }
                })
                .collect();
            prop_assert_eq!(found, cells);
        }
    }
}
