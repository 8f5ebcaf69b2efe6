//! Completions of shells and manual pages, made from the arguments themselves.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::Args;
use super::print;
use crate::support::error::exit_code::ExitCode;

/// The program's name in scripts and pages, wherever it lies.
const NAME: &str = "tallybook";

/// Prints the script of a shell.
pub fn print_completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), NAME, &mut script);
    print::out_bytes(&script);
    ExitCode::Done
}

/// Writes a page for each command into a folder that is there, or prints the program's own.
pub fn write_pages(folder: Option<&Path>) -> Result<ExitCode> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        Man::new(Args::command()).render(&mut page)?;
        print::out_bytes(&page);
        return Ok(ExitCode::Done);
    };
    clap_mangen::generate_to(Args::command(), folder)
        .with_context(|| format!("writing manual pages into {}", folder.display()))?;
    Ok(ExitCode::Done)
}
