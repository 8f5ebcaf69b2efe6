//! Classification: which SKU a record is for, by the cards of its day or by those of its metering.

pub(crate) mod historic_cards;
pub mod sku_cache;
pub mod unmetered;
