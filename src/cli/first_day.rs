//! `first-day`: where the books begin, and moving it back.

use anyhow::Result;
use chrono::NaiveDate;

use super::args::Args;
use super::run::report;
use crate::context::Books;
use crate::context::first_day::{first_day, move_back};

pub(super) async fn run(args: &Args, books: &Books, day: Option<NaiveDate>, reason: Option<&str>) -> Result<()> {
    let Some(day) = day else {
        let first = first_day(books).await?;
        report(args, &serde_json::json!({ "first_day": first }), || {
            format!("the first billing day is {first} (UTC); usage before it goes to quarantine\n")
        });
        return Ok(());
    };
    let before = move_back(books, day, reason.expect("clap asks for a reason with a day")).await?;
    report(args, &serde_json::json!({ "first_day": day, "before": before }), || {
        format!(
            "the first billing day is now {day} (UTC); it was {before}. Run `tallybook quarantine retry` for lines that were \
             refused as before_first_day\n"
        )
    });
    Ok(())
}
