//! Texts that repeat, held once: sources, task types, parameters.

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// A text's number in its [`Interner`].
pub type Symbol = u32;

/// Places for texts seen of late. Sources and task types are some dozens, and come again and again.
const RECENT: usize = 64;

/// A table of texts, one per writer thread.
pub struct Interner {
    texts: Vec<(Box<str>, u64)>,
    by_text: HashMap<Box<str>, Symbol>,
    recent: [Symbol; RECENT],
    bytes: usize,
}

impl Default for Interner {
    fn default() -> Self {
        Self {
            texts: Vec::new(),
            by_text: HashMap::new(),
            recent: [0; RECENT],
            bytes: 0,
        }
    }
}

impl Interner {
    /// The text's number, new if need be.
    #[inline]
    pub fn intern(&mut self, text: &str) -> Symbol {
        let place = place_of(text);
        let guess = self.recent[place];
        if self
            .texts
            .get(guess as usize)
            .is_some_and(|(known, _)| **known == *text)
        {
            return guess;
        }
        let symbol = self.find_or_add(text);
        self.recent[place] = symbol;
        symbol
    }

    fn find_or_add(&mut self, text: &str) -> Symbol {
        if let Some(&symbol) = self.by_text.get(text) {
            return symbol;
        }
        let symbol = Symbol::try_from(self.texts.len()).expect("the table is cleared long before 2^32 texts");
        self.texts.push((text.into(), xxh3_64(text.as_bytes())));
        self.by_text.insert(text.into(), symbol);
        self.bytes += 2 * text.len() + 72;
        symbol
    }

    /// How many texts it holds.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol as usize].0
    }

    /// The text's XXH3 of 64 bits, computed once.
    #[inline]
    pub fn hash(&self, symbol: Symbol) -> u64 {
        self.texts[symbol as usize].1
    }

    /// Memory it holds, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Where a text stands among those seen of late: length and first and last byte tell names apart well enough.
#[inline]
fn place_of(text: &str) -> usize {
    let bytes = text.as_bytes();
    let end = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or(0));
    (bytes.len() + 7 * end(bytes.first()) + 31 * end(bytes.last())) % RECENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_however_often_and_after_whatever_it_comes() {
        let mut symbols = Interner::default();
        let texts: Vec<String> = (0..1_000).map(|n| format!("text {}", n % 300)).collect();
        let numbers: Vec<Symbol> = texts.iter().map(|text| symbols.intern(text)).collect();
        for (text, &number) in texts.iter().zip(&numbers) {
            assert_eq!(symbols.text(number), text);
            assert_eq!(symbols.intern(text), number);
            assert_eq!(symbols.hash(number), xxh3_64(text.as_bytes()));
        }
        assert_eq!(numbers.iter().max(), Some(&299));
        assert_eq!(symbols.intern(""), 300);
        symbols.clear();
        assert_eq!(symbols.intern("text 7"), 0);
    }
}
