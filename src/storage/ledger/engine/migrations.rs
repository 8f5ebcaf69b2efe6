//! The steps that make the tables, from `migrations/`, as part of the program. A list by hand and not sqlx's macro: that builds the
//! drivers and their TLS a second time, for the compiler, which took a tenth of a build.

use std::borrow::Cow;

use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// A step: `NNNN_what_it_does`, and its SQL. A step that was released is never changed: ledgers have its digest.
type Step = (&'static str, &'static str);

/// The steps of an engine: those that all have, and its own among them.
macro_rules! steps {
    ($engine:literal $(, $own:literal)* $(,)?) => {
        steps!(@ $engine,
            "0001_ledger",
            "0002_ingest",
            "0003_raw",
            "0004_meter",
            "0005_account",
            "0006_close",
            "0007_export",
            "0008_expire",
            "0009_dashboards",
            "0010_clocks",
            "0011_originals",
            "0012_quarantine",
            "0014_layout",
            "0015_places",
            "0016_corrections",
            "0017_durations",
            "0018_daily_usage",
            "0019_account_kinds",
            "0020_statement_document",
            $($own,)*
            "0022_sources",
            "0023_source_objects",
            "0025_gone_objects",
            "0028_retention",
            "0029_account_ends",
            "0030_erasure",
            "0031_models",
            "0032_account_profiles",
        )
    };
    (@ $engine:literal, $($name:literal,)*) => {
        &[$((
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $engine, "/", $name, ".sql")),
        )),*]
    };
}

const SQLITE: &[Step] = steps!("sqlite");
const POSTGRES: &[Step] = steps!("postgres");
const MYSQL: &[Step] = steps!("mysql", "0021_control_days", "0026_source_text");

pub fn sqlite() -> Migrator {
    migrator(SQLITE)
}

pub fn postgres() -> Migrator {
    migrator(POSTGRES)
}

pub fn mysql() -> Migrator {
    migrator(MYSQL)
}

/// In the order of their numbers, whichever engine each is of.
fn migrator(steps: &[Step]) -> Migrator {
    let mut steps = steps.to_vec();
    steps.sort_unstable();
    Migrator::with_migrations(steps.into_iter().map(migration).collect())
}

fn migration((name, sql): Step) -> Migration {
    let (number, what) = name.split_once('_').expect("a step is named NNNN_what_it_does");
    Migration::new(
        number.parse().expect("a step's number is one"),
        Cow::Owned(what.replace('_', " ")),
        MigrationType::Simple,
        SqlStr::from_static(sql),
        false,
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_a_step_and_none_is_missing() {
        for (engine, steps) in [("sqlite", SQLITE), ("postgres", POSTGRES), ("mysql", MYSQL)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
            let files = std::fs::read_dir(folder).unwrap();
            let mut files: Vec<String> = files
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let mut steps: Vec<String> = steps.iter().map(|(name, _)| format!("{name}.sql")).collect();
            steps.sort();
            assert_eq!(steps, files, "{engine}");
        }
    }

    #[test]
    fn a_step_is_known_to_ledgers_by_the_digest_of_its_sql() {
        let first = &sqlite().migrations[0];
        assert_eq!((first.version, &*first.description), (1, "ledger"));
        let digest: String = first.checksum.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            digest,
            "b73efa8322cb9cd9c4b7c58aff6f2ad1f7039099795eca0fd5edea773686be34470872040f3a3bc6c59284c7b9132647"
        );
    }
}
