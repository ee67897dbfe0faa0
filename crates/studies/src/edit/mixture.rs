//! Which directions to walk along, and with which weights.

use crate::points::repeated;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Sizes of weights beside which others are not lost in rounding.
const WEIGHTS: RangeInclusive<f64> = 1e-6..=1e6;

/// A sum of directions, as `3` or `3:1,7:-0.5`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mixture {
    /// Index, counted from 0, the strongest, and weight.
    pub terms: Vec<(usize, f64)>,
}

impl Mixture {
    /// The largest index.
    #[must_use]
    pub fn last(&self) -> usize {
        self.terms
            .iter()
            .map(|(index, _)| *index)
            .max()
            .unwrap_or(0)
    }
}

impl FromStr for Mixture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let term = |part: &str| -> Result<(usize, f64), String> {
            let (index, weight) = part.split_once(':').unwrap_or((part, "1"));
            let index: usize = index.trim().parse().map_err(|_| {
                format!("{index:?} is not an index; write 3, or 3:1,7:-0.5 for a mixture")
            })?;
            match weight.trim().parse::<f64>() {
                Ok(weight) if weight.is_finite() && weight != 0.0 => {
                    if !WEIGHTS.contains(&weight.abs()) {
                        return Err(format!(
                            "the weight {weight:e} of direction {index} is out of bounds, {:e} to \
                             {:e}: weights only say how directions mix; --strength says how far \
                             the walk goes",
                            WEIGHTS.start(),
                            WEIGHTS.end()
                        ));
                    }
                    Ok((index, weight))
                }
                _ => Err(format!(
                    "the weight {weight:?} is not a number other than 0"
                )),
            }
        };
        let terms: Vec<_> = text.split(',').map(term).collect::<Result<_, _>>()?;
        let indices: Vec<usize> = terms.iter().map(|(index, _)| *index).collect();
        if let Some(index) = repeated(&indices) {
            return Err(format!("direction {index} is named twice"));
        }
        Ok(Self { terms })
    }
}

impl TryFrom<String> for Mixture {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Mixture> for String {
    fn from(mixture: Mixture) -> Self {
        mixture.to_string()
    }
}

impl fmt::Display for Mixture {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (i, (index, weight)) in self.terms.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            if *weight == 1.0 {
                write!(f, "{comma}{index}")?;
            } else {
                write!(f, "{comma}{index}:{weight}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["3", "3,7:-0.5", "0:2.5"] {
            assert_eq!(text.parse::<Mixture>().unwrap().to_string(), text);
        }
        assert_eq!("3:1, 7".parse::<Mixture>().unwrap().last(), 7);
        for text in ["", "x", "3:", "3:0", "3:nan", "-1", "3,,4", "3:1,3:2"] {
            assert!(text.parse::<Mixture>().is_err(), "{text}");
        }
        for text in ["0:1e300", "0:1e-300", "1,2:-1e7"] {
            let error = text.parse::<Mixture>().unwrap_err();
            assert!(error.contains("--strength"), "{error}");
        }
    }
}
