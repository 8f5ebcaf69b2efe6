//! Texts that repeat, held once: sources, task types, parameters.

use std::hash::BuildHasherDefault;

use hashbrown::HashMap;
use xxhash_rust::xxh3::Xxh3Default;

type Fast = BuildHasherDefault<Xxh3Default>;

/// A text's number in its [`Symbols`].
pub type Symbol = u32;

/// A table of texts, one per writer thread.
#[derive(Default)]
pub struct Symbols {
    texts: Vec<Box<str>>,
    by_text: HashMap<Box<str>, Symbol, Fast>,
    bytes: usize,
}

impl Symbols {
    /// The text's number, new if need be.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(&symbol) = self.by_text.get(text) {
            return symbol;
        }
        let symbol = Symbol::try_from(self.texts.len()).expect("the table is cleared long before 2^32 texts");
        self.texts.push(text.into());
        self.by_text.insert(text.into(), symbol);
        self.bytes += 2 * text.len() + 64;
        symbol
    }

    pub fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol as usize]
    }

    /// Memory it holds, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
