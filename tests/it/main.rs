//! The integration tests: one binary.

/// The rules of the house.
mod tidy;

/// Ledgers of the tests.
mod ledgers;

/// The suite on every engine.
mod engines;

/// What is not there on this machine.
mod left_out;

/// Books in a folder of their own.
mod world;

/// The naive model.
mod naive;

/// Small worlds for laws.
mod worlds;

/// Accounts that end, and go on.
mod account_ends;

/// Names, labels and files of accounts.
mod account_profiles;

/// Accounts that are erased.
mod erasure;

/// The program against the naive model.
mod laws;

/// Histories of nights against the naive model.
mod histories;

/// Every model of a price.
mod models;

/// Cases that hurt others, by name.
mod exactly_once;

/// Rows of sources.
mod source_rows;

/// Flipped bytes and changed numbers.
mod tamper;

/// Corrections that show their money first, and decisions about many.
mod edges_corrections;

/// Inputs of every bad kind.
mod inputs;

/// What is refused, and who reads it.
mod edges_quarantine;

/// Files still written, and files that change after they were read.
mod edges_dropfolder;

/// Values as services write them.
mod edges_values;

/// Events of services, as usage records.
mod events;

/// Definitions of sources, and commands about them.
mod source_commands;

/// Events of the service.
mod event_files;

/// What events brought besides usage.
mod queue_data;

/// How long each class of data is kept, and the policy.
mod retention_calendar;

/// A year of nights against a model of the policy.
mod retention_year;

/// Files without an account that was erased.
mod erasure_files;

/// Nights in a row: late usage, expiry, repeats.
mod nights;

/// What stands for days that go.
mod proved_days;

/// What the ledger lets go.
mod retention;

/// Death at every commit point.
mod configuration;
mod crashes;

/// Books from their backups.
mod backups;

/// What the machine does to the books.
mod faults;

/// Several programs on one ledger.
mod machines;

/// Servers that go away, that ask for passwords, that have TLS.
mod servers;

/// Sources that are pulled.
mod sources;

/// Tools about rate cards.
mod rate_cards;

/// The version of the tables.
mod schema;

/// Books made by earlier programs.
mod old_books;

/// What people read.
mod snapshots;

/// Raw read by another engine.
mod second_reader;

/// Filters of engines that trust what our files say of their columns.
mod other_readers;

/// What a newcomer and a monitor type.
mod first_minute;

/// What those who run it install.
mod install;

/// The queries of dashboards.
mod dashboards;

/// What people mistype, and the days that they mean.
mod edges_places;

/// Files that are gone, rows that are no text, proofs of much.
mod edges_proof;

/// Clocks that are wrong.
mod edges_clocks;

/// Pages of reference that leave nothing out.
mod docs_reference;

/// Pages of sources whose definitions are taken.
mod docs_sources;

/// What the documents show and say.
mod docs;
