//! Numbers as a person reads them: few figures, a true minus sign, and a dash
//! for what is not finite.

use alice_worlds::{FACTORS, factor_index};

/// Stands for what there is not.
pub const NONE: &str = "–";

/// `decimals` places; negative zero has no sign.
#[must_use]
pub fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.chars().all(|c| matches!(c, '0' | '.')) => digits.to_owned(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// As [`fixed`], with a plus sign.
#[must_use]
pub fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    if value > 0.0 && value.is_finite() && !is_zero {
        return format!("+{text}");
    }
    text
}

/// Whether nothing is to be told of a count.
pub(crate) fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// So many of a thing, whose plural is its name with an s.
#[must_use]
pub fn counted(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// Three figures, with a power of ten where there would be many zeros.
#[must_use]
pub fn figures(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e5).contains(&size) {
        return format!("{value:.1e}").replace('-', "−");
    }
    let decimals = match size {
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 || s == 0.0 => 2,
        s if s >= 0.0995 => 3,
        _ => 4,
    };
    fixed(value, decimals)
}

/// A share as a percentage.
#[must_use]
pub fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{} %", fixed(100.0 * share, 0))
    } else {
        NONE.to_owned()
    }
}

/// A count in groups of three digits.
#[must_use]
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Where a frame lies on a walk.
#[must_use]
pub fn position(value: f64) -> String {
    if value == 0.0 {
        return "original".to_owned();
    }
    let text = signed(value, 2);
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// A factor's name as a person reads it.
#[must_use]
pub fn factor_label(name: &str) -> &str {
    factor_index(name).map_or(name, |index| FACTORS[index].label_en)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(fixed(-1.5, 1), "−1.5");
        assert_eq!(signed(0.98, 2), "+0.98");
        assert_eq!(signed(0.0, 2), "0.00");
        assert_eq!(signed(0.001, 2), "0.00");
        assert_eq!(figures(12.34), "12.3");
        assert_eq!(figures(9.999), "10.0");
        assert_eq!(figures(1234.0), "1234");
        assert_eq!(figures(0.1234), "0.123");
        assert_eq!(figures(0.0123), "0.0123");
        assert_eq!(figures(0.0), "0.00");
        assert_eq!(figures(-2e-7), "−2.0e−7");
        assert_eq!(percent(0.624), "62 %");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(position(-0.25), "−0.25");
        assert_eq!(position(1.0), "+1");
        assert_eq!(position(0.5), "+0.5");
        assert_eq!(position(0.0), "original");
        for value in [f64::NAN, f64::INFINITY] {
            assert_eq!([fixed(value, 2), figures(value), percent(value)], [NONE; 3]);
        }
        assert_eq!(factor_label("nose_size"), "nose size");
        assert_eq!(factor_label("of another world"), "of another world");
    }
}
