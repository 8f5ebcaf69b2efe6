//! Named points at which a test makes the process die, as a power cut would.
//!
//! `TALLYBOOK_DIE_AT=<point>` ends the process there without unwinding. Only debug builds look: a release build has
//! no such points.

/// Dies here if the environment says so.
pub fn point(name: &str) {
    #[cfg(debug_assertions)]
    if std::env::var("TALLYBOOK_DIE_AT").is_ok_and(|at| at == name) {
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _: &str = name;
}
