//! SKUs by region, as small numbers.

use std::sync::Arc;

use hashbrown::HashMap;

/// What a raw unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitKind {
    Ms,
    Count,
}

impl UnitKind {
    pub const ALL: [Self; 2] = [Self::Ms, Self::Count];

    pub fn text(self) -> &'static str {
        match self {
            Self::Ms => "ms",
            Self::Count => "count",
        }
    }
}

/// A SKU in a region, as one small number.
pub type SkuCode = u32;

/// Region, SKU and unit of a code, and the task type that has it. The first two codes are no place: milliseconds and counts of
/// records without a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SkuRegion {
    pub region: Arc<str>,
    pub sku: Arc<str>,
    pub unit: UnitKind,
    /// Within a card version a SKU has one; of two versions or cards the same SKU may have two.
    pub task_type: Arc<str>,
}

/// Codes of what has no SKU.
pub const NO_SKU_MS: SkuCode = 0;
pub const NO_SKU_COUNT: SkuCode = 1;

/// All places seen in one metering.
pub struct SkuRegions {
    all: Vec<SkuRegion>,
    codes: HashMap<SkuRegion, SkuCode>,
}

impl Default for SkuRegions {
    fn default() -> Self {
        let nowhere = |unit| SkuRegion {
            region: "".into(),
            sku: "".into(),
            unit,
            task_type: "".into(),
        };
        Self {
            all: vec![nowhere(UnitKind::Ms), nowhere(UnitKind::Count)],
            codes: HashMap::new(),
        }
    }
}

impl SkuRegions {
    /// Every place, by code.
    pub fn iter(&self) -> impl Iterator<Item = &SkuRegion> {
        self.all.iter()
    }

    pub fn get(&self, code: SkuCode) -> &SkuRegion {
        &self.all[code as usize]
    }

    pub(crate) fn code(&mut self, of: SkuRegion) -> SkuCode {
        if let Some(&code) = self.codes.get(&of) {
            return code;
        }
        let code = SkuCode::try_from(self.all.len()).expect("a card has fewer than 2^32 SKUs");
        self.all.push(of.clone());
        self.codes.insert(of, code);
        code
    }
}
