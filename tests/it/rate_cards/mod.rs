//! Tools about rate cards, and versions that change inside a period.

/// What changed from one version to another.
mod diff;

/// The schema for editors, held against the parser.
mod schema;

/// The keywords of JSON Schema that it uses.
mod validator;

/// Versions that change inside a period.
mod versions;
