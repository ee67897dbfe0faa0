use crate::factors::Factors;

/// A short English caption.
#[must_use]
pub fn caption_en(factors: &Factors) -> String {
    factors.species.name_en().to_owned()
}

/// A short Chinese caption.
#[must_use]
pub fn caption_zh(factors: &Factors) -> String {
    factors.species.name_zh().to_owned()
}
