//! Settings: defaults, then a TOML file, then `TALLYBOOK_*` variables, then flags.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use chrono::NaiveDate;

use super::args::{Args, Command};
use super::environment::setting;
use super::source_settings::Sources;
use crate::backup::points::POINTS_MAX;
use crate::catalog::source::configured::{Configured, configured_in};
use crate::context::ChildReader;
use crate::context::find_books::{DEFAULT_DATA_DIR, made_beside};
use crate::context::keeping::Policy;
use crate::context::{Books, CLOCK_JUMP_DAYS, CLOCK_JUMP_DAYS_MAX, DROP_REST_S_MAX, Settings, UnknownAccounts};
use crate::pipeline::retention::row_retention::{KEEP_STATEMENT_MONTHS_MIN, KEEP_USAGE_MONTHS_MIN};
use crate::support::clock::Clock;
use crate::support::error::Error;
use crate::support::progress::Progress;

/// The settings file when none is named; it need not be there.
const DEFAULT_CONFIG: &str = "tallybook.toml";

/// The folder of sources when none is named; it need not be there.
const DEFAULT_SOURCES: &str = "sources";

/// The settings file.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "fields are named as the keys of the file are")]
struct File {
    data_dir: Option<PathBuf>,
    ledger: Option<String>,
    rate_cards: Option<PathBuf>,
    drop: Option<PathBuf>,
    drop_rest_s: Option<u32>,
    /// A name, or a table for each source.
    source: Option<toml::Value>,
    default_source: Option<String>,
    sources: Option<PathBuf>,
    default_card: Option<String>,
    unknown_accounts: Option<UnknownAccounts>,
    keep_usage_months: Option<u32>,
    keep_statement_months: Option<u32>,
    keep_quarantine_months: Option<u32>,
    keep_raw_months: Option<u32>,
    keep_log_months: Option<u32>,
    keep_original_months: Option<u32>,
    keep_queue_days: Option<u32>,
    keep_configuration_days: Option<u32>,
    policy: Option<Policy>,
    alarm_lines_min: Option<u32>,
    alarm_refused_percent: Option<u32>,
    ledger_wait_s: Option<u32>,
    clock_jump_days: Option<u32>,
    backup: Option<PathBuf>,
    backup_bucket: Option<toml::Table>,
    backup_points: Option<u32>,
    backup_age_recipients: Option<Vec<String>>,
    backup_age_identity_file: Option<PathBuf>,
    first_day: Option<String>,
}

/// What arguments, environment and settings file say.
pub struct Named {
    pub data_dir: PathBuf,
    /// The ledger's URL; none: the embedded one.
    pub ledger: Option<String>,
    pub settings: Settings,
}

/// Reads what arguments, environment and settings file say.
pub fn settings_of(args: &Args) -> Result<Named> {
    let file = read_file(args.config.as_deref())?;
    let defaults = Settings::default();
    let sources = Sources::of(file.source, file.default_source)?;
    let sources_folder = sources_folder(file.sources)?;
    let configured = configured_in(&sources.tables, sources_folder.as_deref())?;
    let settings = Settings {
        source: setting("TALLYBOOK_SOURCE")
            .or(sources.default)
            .unwrap_or(defaults.source),
        zones: sources.zones,
        sources: sources.tables,
        sources_folder,
        faulty_sources: configured.faults.into_iter().map(|fault| fault.source).collect(),
        default_card: setting("TALLYBOOK_DEFAULT_CARD")
            .or(file.default_card)
            .unwrap_or(defaults.default_card),
        unknown_accounts: unknown_accounts()?
            .or(file.unknown_accounts)
            .unwrap_or(defaults.unknown_accounts),
        rate_cards: rate_cards(args, file.rate_cards)?.unwrap_or(defaults.rate_cards),
        drop: drop_folder(args, file.drop)?,
        drop_rest_s: drop_rest_s(file.drop_rest_s, defaults.drop_rest_s)?,
        who: args
            .who
            .clone()
            .or_else(|| user("USER"))
            .or_else(|| user("LOGNAME"))
            .unwrap_or(defaults.who),
        keep_usage_months: months("keep_usage_months", file.keep_usage_months, KEEP_USAGE_MONTHS_MIN)?,
        keep_statement_months: months(
            "keep_statement_months",
            file.keep_statement_months,
            KEEP_STATEMENT_MONTHS_MIN,
        )?,
        keep_quarantine_months: within(
            "keep_quarantine_months",
            "months",
            file.keep_quarantine_months,
            1..=1200,
        )?
        .unwrap_or(defaults.keep_quarantine_months),
        keep_raw_months: clock("keep_raw_months", file.keep_raw_months, defaults.keep_raw_months)?,
        keep_log_months: clock("keep_log_months", file.keep_log_months, defaults.keep_log_months)?,
        keep_original_months: clock(
            "keep_original_months",
            file.keep_original_months,
            defaults.keep_original_months,
        )?,
        keep_queue_days: clock("keep_queue_days", file.keep_queue_days, defaults.keep_queue_days)?,
        keep_configuration_days: clock(
            "keep_configuration_days",
            file.keep_configuration_days,
            defaults.keep_configuration_days,
        )?,
        policy: file.policy.unwrap_or_default(),
        alarm_lines_min: within("alarm_lines_min", "lines", file.alarm_lines_min, 1..=u32::MAX)?
            .unwrap_or(defaults.alarm_lines_min),
        alarm_refused_percent: within("alarm_refused_percent", "percent", file.alarm_refused_percent, 0..=100)?
            .unwrap_or(defaults.alarm_refused_percent),
        ledger_wait_s: whole_number("TALLYBOOK_LEDGER_WAIT_S", "seconds, such as 60")?
            .or(file.ledger_wait_s)
            .unwrap_or(defaults.ledger_wait_s),
        clock_jump_days: clock_jump_days(file.clock_jump_days)?,
        backup: setting("TALLYBOOK_BACKUP").map(PathBuf::from).or(file.backup),
        backup_bucket: file.backup_bucket,
        backup_points: within("backup_points", "backups", file.backup_points, 0..=POINTS_MAX)?
            .unwrap_or(defaults.backup_points),
        backup_age_recipients: file.backup_age_recipients.unwrap_or_default(),
        backup_age_identity_file: setting("TALLYBOOK_BACKUP_AGE_IDENTITY_FILE")
            .map(PathBuf::from)
            .or(file.backup_age_identity_file),
        first_day: first_day(file.first_day)?,
    };
    refuse_short_usage(&settings)?;
    let data_dir = args
        .data_dir
        .clone()
        .or(file.data_dir)
        .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
    Ok(Named {
        data_dir,
        ledger: args.ledger.clone().or(file.ledger),
        settings,
    })
}

/// Opens the books that arguments, environment and settings file name.
pub async fn open_books(args: &Args, clock: Clock) -> Result<Books> {
    let Named {
        data_dir,
        ledger,
        settings,
    } = settings_of(args)?;
    let opened = if args.command.makes_books() {
        Books::open(&data_dir, ledger.as_deref(), clock, settings).await
    } else {
        Books::open_there(&data_dir, ledger.as_deref(), clock, settings).await
    };
    let mut books = opened.map_err(|error| match error {
        // It names the place itself.
        Error::Usage(_) => error.into(),
        other => anyhow::Error::new(other).context(format!("opening the data folder {}", data_dir.display())),
    })?;
    if books.ledger.schema().before == 0
        && ledger.is_none()
        && let Some(beside) = made_beside(&data_dir)
    {
        eprintln!("tallybook: {beside}");
    }
    // What reads alone dies alone.
    if !matches!(args.command, Command::ReadAlone(_)) {
        books.child_reader = child_reader(args, &data_dir, ledger);
    }
    if !args.json {
        books.progress = Progress::on_terminal();
    }
    Ok(books)
}

/// The definitions of sources that the settings and the folder of sources have. No books are needed.
pub fn configured_sources(args: &Args) -> Result<Configured> {
    let file = read_file(args.config.as_deref())?;
    let sources = Sources::of(file.source, file.default_source)?;
    Ok(configured_in(
        &sources.tables,
        sources_folder(file.sources)?.as_deref(),
    )?)
}

/// This program with the same books and clock.
fn child_reader(args: &Args, data_dir: &Path, ledger: Option<String>) -> Option<ChildReader> {
    let mut named: Vec<OsString> = vec!["--data-dir".into(), data_dir.into()];
    if let Some(config) = &args.config {
        named.extend(["--config".into(), config.into()]);
    }
    if let Some(as_of) = args.as_of {
        named.extend(["--as-of".into(), as_of.to_rfc3339().into()]);
    }
    Some(ChildReader {
        // Where the program cannot be found, there is no child: the input is read here again.
        program: std::env::current_exe().ok()?,
        args: named,
        ledger,
    })
}

fn read_file(named: Option<&Path>) -> Result<File> {
    let path = named.unwrap_or(Path::new(DEFAULT_CONFIG));
    if named.is_none() && !path.exists() {
        return Ok(File::default());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    toml::from_str(&text).map_err(|error| Error::Usage(format!("{}{}", path.display(), mistake(&text, &error))).into())
}

/// Where a mistake is and what: without the line itself and without values, which may be a password.
fn mistake(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or_else(String::new, |before| {
        format!(", line {}", before.matches('\n').count() + 1)
    });
    let what = error.message();
    let says_a_value = ["invalid type", "invalid value", "unknown variant"]
        .iter()
        .any(|it| what.starts_with(it));
    match what.split_once(", expected ") {
        Some((_, expected)) if says_a_value => format!("{line}: invalid value; {expected} is expected"),
        _ => format!("{line}: {what}"),
    }
}

/// The folder of rate cards that somebody named. For a command that reads it, it must be there: a new price list would never arrive.
fn rate_cards(args: &Args, in_file: Option<PathBuf>) -> Result<Option<PathBuf>> {
    let named = args.rate_cards.clone().or(in_file);
    match named {
        Some(folder) if args.command.reads_rate_cards() && !folder.exists() => Err(Error::Usage(format!(
            "the rate card folder {} does not exist: check --rate-cards, TALLYBOOK_RATE_CARDS, or `rate_cards` in the settings \
             file. Nothing was done",
            folder.display()
        ))
        .into()),
        named => Ok(named),
    }
}

/// The folder of sources: one that somebody named must be there.
fn sources_folder(in_file: Option<PathBuf>) -> Result<Option<PathBuf>> {
    match setting("TALLYBOOK_SOURCES").map(PathBuf::from).or(in_file) {
        Some(folder) if !folder.is_dir() => Err(Error::Usage(format!(
            "the sources folder {} does not exist: create it, or check TALLYBOOK_SOURCES and `sources` in the settings file. Nothing \
             was done",
            folder.display()
        ))
        .into()),
        Some(folder) => Ok(Some(folder)),
        None => Ok(Some(PathBuf::from(DEFAULT_SOURCES)).filter(|folder| folder.is_dir())),
    }
}

/// The drop folder that somebody named. A night makes the one in the data folder, and no other: nobody drops a file into a mistyped one.
fn drop_folder(args: &Args, in_file: Option<PathBuf>) -> Result<Option<PathBuf>> {
    let named = setting("TALLYBOOK_DROP").map(PathBuf::from).or(in_file);
    match named {
        Some(folder) if matches!(args.command, Command::Nightly) && !folder.exists() => Err(Error::Usage(format!(
            "the drop folder {} does not exist: create it, or check TALLYBOOK_DROP and `drop` in the settings file. Nothing was \
             done",
            folder.display()
        ))
        .into()),
        named => Ok(named),
    }
}

/// The system's name for who types.
fn user(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|name| !name.is_empty())
}

fn unknown_accounts() -> Result<Option<UnknownAccounts>> {
    let name = "TALLYBOOK_UNKNOWN_ACCOUNTS";
    match setting(name).as_deref() {
        None => Ok(None),
        Some("add") => Ok(Some(UnknownAccounts::Add)),
        Some("quarantine") => Ok(Some(UnknownAccounts::Quarantine)),
        Some(other) => Err(Error::Usage(format!("{name}={other}: must be `add` or `quarantine`")).into()),
    }
}

/// A retention in months, from the environment or the settings file; none is for ever.
fn months(name: &str, in_file: Option<u32>, least: u32) -> Result<Option<u32>> {
    let variable = format!("TALLYBOOK_{}", name.to_uppercase());
    let months = whole_number(&variable, "months, such as 24")?.or(in_file);
    match months {
        Some(few) if few < least => Err(Error::Usage(format!(
            "{name} = {few}: must be at least {least}; remove the setting to keep everything"
        ))
        .into()),
        other => Ok(other),
    }
}

/// How long a class of data is kept.
fn clock(name: &str, in_file: Option<u32>, default: u32) -> Result<u32> {
    let unit = if name.ends_with("_days") { "days" } else { "months" };
    Ok(within(name, unit, in_file, 1..=1200)?.unwrap_or(default))
}

/// Usage for dashboards outlives raw: as long as a day's records are there, more may come to it.
fn refuse_short_usage(settings: &Settings) -> Result<()> {
    let least = settings.keep_raw_months + 1;
    match settings.keep_usage_months {
        Some(few) if few < least => Err(Error::Usage(format!(
            "keep_usage_months = {few}: must be at least {least}, one more than keep_raw_months"
        ))
        .into()),
        _ => Ok(()),
    }
}

/// How long a file must have been left alone.
fn drop_rest_s(in_file: Option<u32>, default: u32) -> Result<u32> {
    let seconds = whole_number("TALLYBOOK_DROP_REST_S", "seconds, such as 60")?.or(in_file);
    match seconds.unwrap_or(default) {
        seconds @ 0..=DROP_REST_S_MAX => Ok(seconds),
        other => Err(Error::Usage(format!(
            "drop_rest_s = {other}: must be 0 to {DROP_REST_S_MAX} seconds; a nightly run waits up to this long"
        ))
        .into()),
    }
}

/// How far the machine's clock may jump.
fn clock_jump_days(in_file: Option<u32>) -> Result<u32> {
    let days = whole_number("TALLYBOOK_CLOCK_JUMP_DAYS", "days, such as 8")?.or(in_file);
    match days.unwrap_or(CLOCK_JUMP_DAYS) {
        days @ 1..=CLOCK_JUMP_DAYS_MAX => Ok(days),
        other => Err(Error::Usage(format!(
            "clock_jump_days = {other}: must be 1 to {CLOCK_JUMP_DAYS_MAX}; confirm a larger jump once with --accept-clock"
        ))
        .into()),
    }
}

/// The books' first day.
fn first_day(in_file: Option<String>) -> Result<Option<NaiveDate>> {
    let day = |text: String| {
        let not_a_day = |_| Error::Usage(format!("first_day = {text}: must be a day, such as 2026-11-01"));
        text.parse().map_err(not_a_day)
    };
    Ok(setting("TALLYBOOK_FIRST_DAY").or(in_file).map(day).transpose()?)
}

/// A number that has limits, from the environment or the settings file.
fn within(name: &str, of: &str, in_file: Option<u32>, limits: RangeInclusive<u32>) -> Result<Option<u32>> {
    let variable = format!("TALLYBOOK_{}", name.to_uppercase());
    let number = whole_number(&variable, of)?.or(in_file);
    match number {
        Some(number) if !limits.contains(&number) => Err(Error::Usage(format!(
            "{name} = {number}: must be {} to {} ({of})",
            limits.start(),
            limits.end()
        ))
        .into()),
        other => Ok(other),
    }
}

fn whole_number(variable: &str, of: &str) -> Result<Option<u32>> {
    let Some(text) = setting(variable) else {
        return Ok(None);
    };
    let number = text.parse();
    number
        .map(Some)
        .map_err(|_| Error::Usage(format!("{variable}={text}: must be a whole number of {of}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that is installed.
    const EXAMPLE: &str = include_str!("../../install/tallybook.toml");

    /// The keys that the file may have, as the parser names them.
    fn keys() -> Vec<String> {
        let refused = toml::from_str::<File>("nonesuch = 1").unwrap_err();
        let (_, expected) = refused.message().split_once("expected one of ").unwrap();
        expected
            .split(", ")
            .map(|key| key.trim_matches('`').to_owned())
            .collect()
    }

    /// The example with every key in force.
    fn all_in_force() -> String {
        let is_key =
            |line: &str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let in_force = |line: &'static str| line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line);
        EXAMPLE.lines().map(in_force).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_example_has_every_key_with_its_default_in_a_comment_above_it() {
        let lines: Vec<&str> = EXAMPLE.lines().collect();
        let keys = keys();
        assert!(keys.len() > 15, "{keys:?}");
        for key in keys {
            let begins = if key == "source" {
                "[source.".to_owned()
            } else {
                format!("{key} = ")
            };
            let at = lines
                .iter()
                .position(|line| line.trim_start_matches("# ").starts_with(&begins));
            let at = at.unwrap_or_else(|| panic!("{key} is not in the example"));
            let above: Vec<&str> = lines[..at]
                .iter()
                .rev()
                .take_while(|line| line.starts_with('#'))
                .copied()
                .collect();
            assert!(
                above.concat().contains("Default: "),
                "{key} has no default above it: {above:?}"
            );
        }
    }

    #[test]
    fn the_example_is_taken_as_it_is_and_with_every_key_in_force() {
        assert!(toml::from_str::<File>(EXAMPLE).is_ok());
        let file: File = toml::from_str(&all_in_force()).unwrap();
        let defaults = Settings::default();
        assert_eq!(file.drop_rest_s, Some(defaults.drop_rest_s));
        assert_eq!(file.default_card, Some(defaults.default_card));
        assert_eq!(file.unknown_accounts, Some(defaults.unknown_accounts));
        assert_eq!(file.keep_quarantine_months, Some(defaults.keep_quarantine_months));
        assert_eq!(file.alarm_lines_min, Some(defaults.alarm_lines_min));
        assert_eq!(file.alarm_refused_percent, Some(defaults.alarm_refused_percent));
        assert_eq!(file.ledger_wait_s, Some(defaults.ledger_wait_s));
        assert_eq!(file.clock_jump_days, Some(CLOCK_JUMP_DAYS));
        assert_eq!(file.backup_points, Some(defaults.backup_points));
        assert!(
            file.keep_usage_months
                .is_some_and(|months| months >= KEEP_USAGE_MONTHS_MIN)
        );
        assert!(
            file.keep_statement_months
                .is_some_and(|months| months >= KEEP_STATEMENT_MONTHS_MIN)
        );
        assert!(first_day(file.first_day).unwrap().is_some());
        let sources = Sources::of(file.source, file.default_source).unwrap();
        assert_eq!((sources.default, sources.zones.len()), (Some(defaults.source), 1));
    }
}
