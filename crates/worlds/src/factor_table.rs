//! The factors as a table, so that regressors and reports can loop over them.

use crate::error::WorldError;
use crate::factors::{Factors, Species};

/// What values a factor takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FactorKind {
    /// A number in `low..=high`.
    Continuous {
        /// The lowest value.
        low: f32,
        /// The highest value.
        high: f32,
    },
    /// An angle in turns, [0, 1), where 0 and 1 are the same.
    Circular,
    /// 0 or 1.
    Binary,
    /// A whole number in `0..count`.
    Categorical {
        /// The number of categories.
        count: usize,
    },
}

impl FactorKind {
    /// The lowest and highest value that [`Factors::get`] returns; 1 itself
    /// is excluded for [`FactorKind::Circular`].
    #[must_use]
    pub fn range(self) -> (f32, f32) {
        match self {
            Self::Continuous { low, high } => (low, high),
            Self::Circular | Self::Binary => (0.0, 1.0),
            Self::Categorical { count } => (0.0, count.saturating_sub(1) as f32),
        }
    }
}

/// One factor of the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FactorSpec {
    /// The name of the field in [`Factors`].
    pub name: &'static str,
    /// A readable English name.
    pub label_en: &'static str,
    /// A readable Chinese name.
    pub label_zh: &'static str,
    /// What values it takes.
    pub kind: FactorKind,
}

const SIGNED: FactorKind = FactorKind::Continuous {
    low: -1.0,
    high: 1.0,
};
const UNIT: FactorKind = FactorKind::Continuous {
    low: 0.0,
    high: 1.0,
};

const fn spec(
    name: &'static str,
    label_en: &'static str,
    label_zh: &'static str,
    kind: FactorKind,
) -> FactorSpec {
    FactorSpec {
        name,
        label_en,
        label_zh,
        kind,
    }
}

/// Every factor, in the order of [`Factors::get`] and [`Factors::set`].
pub const FACTORS: &[FactorSpec] = &[
    spec(
        "species",
        "species",
        "物种",
        FactorKind::Categorical {
            count: Species::ALL.len(),
        },
    ),
    spec("head_size", "head size", "头的大小", SIGNED),
    spec(
        "head_x",
        "head position, horizontal",
        "头的水平位置",
        SIGNED,
    ),
    spec("head_y", "head position, vertical", "头的垂直位置", SIGNED),
    spec("tilt", "tilt", "倾斜", SIGNED),
    spec("hue", "hue", "色相", FactorKind::Circular),
    spec("nose_size", "nose size", "鼻子大小", SIGNED),
    spec("ear_size", "ear size", "耳朵大小", SIGNED),
    spec("eye_size", "eye size", "眼睛大小", SIGNED),
    spec("eye_openness", "eye openness", "睁眼程度", UNIT),
    spec("gaze", "gaze", "视线", SIGNED),
    spec("smile", "smile", "微笑", SIGNED),
    spec("brow", "brow", "眉毛", SIGNED),
    spec(
        "background_hue",
        "background hue",
        "背景色相",
        FactorKind::Circular,
    ),
    spec("light", "light direction", "光线方向", SIGNED),
    spec("hat", "hat", "帽子", FactorKind::Binary),
    spec("glasses", "glasses", "眼镜", FactorKind::Binary),
    spec("strings", "strings", "提线", FactorKind::Binary),
    spec("haunted", "haunted face", "惊魂面孔", FactorKind::Binary),
];

/// The index in [`FACTORS`] of the factor with this name.
#[must_use]
pub fn factor_index(name: &str) -> Option<usize> {
    FACTORS.iter().position(|spec| spec.name == name)
}

fn flag(value: bool) -> f32 {
    if value { 1.0 } else { 0.0 }
}

impl Factors {
    /// The value of a factor as a number: the index of a category, 0 or 1 for
    /// a binary factor.
    ///
    /// # Errors
    /// When `index` is not below `FACTORS.len()`.
    pub fn get(&self, index: usize) -> Result<f32, WorldError> {
        Ok(match index {
            0 => self.species.index() as f32,
            1 => self.head_size,
            2 => self.head_x,
            3 => self.head_y,
            4 => self.tilt,
            5 => self.hue,
            6 => self.nose_size,
            7 => self.ear_size,
            8 => self.eye_size,
            9 => self.eye_openness,
            10 => self.gaze,
            11 => self.smile,
            12 => self.brow,
            13 => self.background_hue,
            14 => self.light,
            15 => flag(self.hat),
            16 => flag(self.glasses),
            17 => flag(self.strings),
            18 => flag(self.haunted),
            _ => return Err(unknown(index)),
        })
    }

    /// Sets a factor to the valid value nearest to `value`, so that what a
    /// regressor read can be drawn: continuous values are clamped, circular
    /// ones wrapped, categories rounded, binary ones cut at one half.
    ///
    /// # Errors
    /// When `index` is not below `FACTORS.len()` or `value` is not finite.
    pub fn set(&mut self, index: usize, value: f32) -> Result<(), WorldError> {
        let spec = FACTORS.get(index).ok_or_else(|| unknown(index))?;
        let (low, high) = spec.kind.range();
        if !value.is_finite() {
            return Err(WorldError::FactorValue {
                factor: spec.name,
                value,
                low,
                high,
            });
        }
        let value = match spec.kind {
            FactorKind::Continuous { .. } => value.clamp(low, high),
            FactorKind::Circular => {
                let wrapped = value - value.floor();
                // A tiny negative value rounds up to a whole turn.
                if wrapped < 1.0 { wrapped } else { 0.0 }
            }
            FactorKind::Binary => flag(value >= 0.5),
            FactorKind::Categorical { .. } => value.clamp(low, high).round(),
        };
        let on = value >= 0.5;
        match index {
            0 => self.species = Species::ALL[value as usize],
            1 => self.head_size = value,
            2 => self.head_x = value,
            3 => self.head_y = value,
            4 => self.tilt = value,
            5 => self.hue = value,
            6 => self.nose_size = value,
            7 => self.ear_size = value,
            8 => self.eye_size = value,
            9 => self.eye_openness = value,
            10 => self.gaze = value,
            11 => self.smile = value,
            12 => self.brow = value,
            13 => self.background_hue = value,
            14 => self.light = value,
            15 => self.hat = on,
            16 => self.glasses = on,
            17 => self.strings = on,
            18 => self.haunted = on,
            _ => return Err(unknown(index)),
        }
        Ok(())
    }

    /// Checks that every factor is a number within its range.
    ///
    /// # Errors
    /// Names the first factor that is not.
    pub fn validate(&self) -> Result<(), WorldError> {
        for (index, spec) in FACTORS.iter().enumerate() {
            let value = self.get(index)?;
            let (low, high) = spec.kind.range();
            let below_end = spec.kind != FactorKind::Circular || value < high;
            if !((low..=high).contains(&value) && below_end) {
                return Err(WorldError::FactorValue {
                    factor: spec.name,
                    value,
                    low,
                    high,
                });
            }
        }
        Ok(())
    }
}

fn unknown(index: usize) -> WorldError {
    WorldError::FactorIndex {
        index,
        count: FACTORS.len(),
    }
}
