//! The backup after a night, where settings name a folder for it. It has the night's own report, and other runs may go on meanwhile.

use std::path::Path;

use super::{Night, needs_person, record_again};
use crate::backup::create::back_up_again;
use crate::context::Books;
use crate::support::error::Result;

/// Backs up, and says in the night's report what came of it. What is wrong with a backup is no reason to undo a night, nor to run it again:
/// it needs a person, and is among the runs.
pub async fn back_up_after(books: &Books, folder: &Path, night: &mut Night) -> Result<()> {
    let wrong = match back_up_again(books, folder).await {
        Ok(done) => {
            let wrong = needs_person::of_backup(&done);
            night.backup = Some(done);
            wrong
        }
        Err(error) => vec![needs_person::failed_backup(folder, &error)],
    };
    if wrong.is_empty() {
        return Ok(());
    }
    night.needs_person.extend(wrong);
    record_again(books, night).await
}
