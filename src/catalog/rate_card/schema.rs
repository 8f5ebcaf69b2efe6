//! The JSON Schema of a card, for editors.

/// JSON Schema (draft 2020-12) of a card's TOML. `tests/it/rate_card_schema.rs` holds it equal to the parser; what no schema can say is
/// checked by the parser alone.
pub const SCHEMA: &str = include_str!("schema.json");
