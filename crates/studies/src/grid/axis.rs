//! What varies along a side of a grid.

use super::cell::Cell;
use crate::StudyError;
use crate::drawing::SamplerName;
use crate::input::InputFile;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Most values of an axis.
const MOST: usize = 100_000;

/// A parameter that varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameter {
    /// The seed.
    Seed,
    /// Steps from noise to picture.
    Steps,
    /// The sampler.
    Sampler,
    /// How strongly the prompt counts.
    Guidance,
    /// How far guided contrast is brought back.
    GuidanceRescale,
    /// DDIM's noise.
    Eta,
    /// How much of a picture becomes new.
    Strength,
    /// How far the noise is turned towards another seed's.
    Variation,
    /// A part of the prompt.
    Prompt,
    /// A part of the negative prompt.
    Negative,
}

const NAMES: [(&str, Parameter); 10] = [
    ("seed", Parameter::Seed),
    ("steps", Parameter::Steps),
    ("sampler", Parameter::Sampler),
    ("guidance", Parameter::Guidance),
    ("guidance-rescale", Parameter::GuidanceRescale),
    ("eta", Parameter::Eta),
    ("strength", Parameter::Strength),
    ("variation", Parameter::Variation),
    ("prompt", Parameter::Prompt),
    ("negative", Parameter::Negative),
];

impl Parameter {
    /// The name it is typed by.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(_, parameter)| *parameter == self);
        found.map_or("", |(name, _)| name)
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Prompt | Self::Negative)
    }
}

/// What varies along a side: `NAME=A,B,C`, `NAME=0..8` or `NAME@FILE`, one
/// value a line; of texts `NAME:WHAT=A|B`, which puts each value in the place
/// of WHAT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// What varies.
    pub parameter: Parameter,
    /// What the values replace in a text; the first value if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The values, as typed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The file with the values, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<InputFile>,
}

impl FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let how = "write NAME=A,B,C or NAME@FILE";
        let at = text.find(['=', '@']).ok_or(how)?;
        let (name, rest) = (&text[..at], &text[at + 1..]);
        let (name, replaces) = match name.split_once(':') {
            Some((name, what)) => (name, Some(what.to_owned())),
            None => (name, None),
        };
        let found = NAMES.iter().find(|(known, _)| *known == name);
        let Some((_, parameter)) = found else {
            let known: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "{name:?} cannot vary; known are {}",
                known.join(", ")
            ));
        };
        let parameter = *parameter;
        if replaces.is_some() && !parameter.is_text() {
            return Err(format!(
                "{name} is no text in which something could be replaced"
            ));
        }
        if replaces.as_deref() == Some("") {
            return Err(format!("name what is replaced after {name}:"));
        }
        let (mut values, mut file) = (Vec::new(), None);
        if text.as_bytes()[at] == b'@' {
            file = Some(rest.parse()?);
        } else {
            values = split(rest)?;
        }
        Ok(Self {
            parameter,
            replaces,
            values,
            file,
        })
    }
}

/// `A|B` or `A,B`; `1..4` is 1, 2, 3.
fn split(text: &str) -> Result<Vec<String>, String> {
    let separator = if text.contains('|') { '|' } else { ',' };
    let parts = text.split(separator).map(str::trim);
    let mut values = Vec::new();
    for part in parts {
        let ends = part.split_once("..");
        let ends = ends.and_then(|(a, b)| Some((a.parse::<u64>().ok()?, b.parse::<u64>().ok()?)));
        match ends {
            Some((from, to)) if from < to => {
                let range = from..to.min(from.saturating_add(MOST as u64 + 1));
                values.extend(range.map(|v| v.to_string()));
            }
            Some((only, to)) if only == to => {
                return Err(format!(
                    "the range {part} is empty, as its end is left out; write {only} for that alone"
                ));
            }
            Some((high, low)) => {
                return Err(format!(
                    "the range {part} runs backwards; write {low}..{high}, which leaves out {high}"
                ));
            }
            None => values.push(part.to_owned()),
        }
    }
    Ok(values)
}

impl Axis {
    /// The values, from where they are.
    ///
    /// # Errors
    /// When the file cannot be read, or there is none or too many.
    pub(super) fn values(&self) -> Result<Vec<String>, StudyError> {
        let values = match &self.file {
            None => self.values.clone(),
            Some(file) => {
                let text = String::from_utf8(file.read()?).map_err(|_| {
                    StudyError::argument(file.path.display().to_string(), "is not UTF-8 text")
                })?;
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                lines.map(str::to_owned).collect()
            }
        };
        if values.is_empty() {
            return Err(match &self.file {
                Some(file) => StudyError::argument(
                    file.path.display().to_string(),
                    format!(
                        "no line of it holds a value of {}; write one value a line",
                        self.parameter.name()
                    ),
                ),
                None => self.error("it has no values; write NAME=A,B,C or NAME@FILE".to_owned()),
            });
        }
        if values.len() > MOST {
            return Err(self.error(format!("more than {MOST} values, the most of an axis")));
        }
        // A negative prompt may well be none.
        let empty = values.iter().position(String::is_empty);
        if let Some(empty) = empty.filter(|_| self.parameter != Parameter::Negative) {
            let why = match values.len() {
                1 => "its value is empty; write NAME=A,B,C".to_owned(),
                count => format!(
                    "value {} of {count} is empty; a comma or | too many?",
                    empty + 1
                ),
            };
            return Err(self.error(why));
        }
        Ok(values)
    }

    /// Sets one value.
    ///
    /// # Errors
    /// When it is not one of the parameter, or the text does not hold what is
    /// to be replaced.
    pub(super) fn apply(
        &self,
        value: &str,
        first: &str,
        cell: &mut Cell,
    ) -> Result<(), StudyError> {
        fn number<T: FromStr>(axis: &Axis, value: &str, kind: &str) -> Result<T, StudyError> {
            let found = value.parse();
            found.map_err(|_| axis.error(format!("{value:?} is not {kind}")))
        }
        match self.parameter {
            Parameter::Seed => cell.seed = number(self, value, "a whole number")?,
            Parameter::Steps => cell.drawing.steps = number(self, value, "a whole number")?,
            Parameter::Sampler => {
                let found = SamplerName::from_str(value, true);
                cell.drawing.sampler = Some(found.map_err(|_| {
                    let known = SamplerName::value_variants().iter();
                    let known = known.filter_map(ValueEnum::to_possible_value);
                    let known: Vec<_> = known.map(|v| v.get_name().to_owned()).collect();
                    self.error(format!("{value:?} is not one of {}", known.join(", ")))
                })?);
            }
            Parameter::Guidance => cell.options.guidance = Some(number(self, value, "a number")?),
            Parameter::GuidanceRescale => {
                cell.options.guidance_rescale = Some(number(self, value, "a number")?);
            }
            Parameter::Eta => cell.drawing.eta = Some(number(self, value, "a number")?),
            Parameter::Strength => cell.strength = Some(number(self, value, "a number")?),
            Parameter::Variation => cell.variation = Some(number(self, value, "a number")?),
            Parameter::Prompt => self.replace(&mut cell.options.prompt, value, first)?,
            Parameter::Negative => self.replace(&mut cell.options.negative, value, first)?,
        }
        Ok(())
    }

    fn replace(
        &self,
        text: &mut Option<String>,
        value: &str,
        first: &str,
    ) -> Result<(), StudyError> {
        let what = self.replaces.as_deref().unwrap_or(first);
        match text {
            Some(text) if !what.is_empty() && text.contains(what) => {
                *text = text.replace(what, value)
            }
            // Without a text, the values are whole texts.
            None if self.replaces.is_none() => *text = Some(value.to_owned()),
            _ if what.is_empty() => {
                let name = self.parameter.name();
                let why = format!("say what its values replace in --{name}: {name}:WHAT=A|B");
                return Err(self.error(why));
            }
            _ => {
                let why = format!(
                    "the text of --{} does not hold {what:?}, which the values replace",
                    self.parameter.name()
                );
                return Err(self.error(why));
            }
        }
        Ok(())
    }

    fn error(&self, why: String) -> StudyError {
        StudyError::argument(format!("the axis {}", self.parameter.name()), why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_read() {
        let axis: Axis = "seed=0..3,9".parse().unwrap();
        assert_eq!(axis.values().unwrap(), ["0", "1", "2", "9"]);
        let axis: Axis = "prompt=a cat, sitting|a dog".parse().unwrap();
        assert_eq!(axis.values().unwrap(), ["a cat, sitting", "a dog"]);
        let axis: Axis = "prompt:WHO=Rembrandt|Klee".parse().unwrap();
        assert_eq!(axis.replaces.as_deref(), Some("WHO"));
        let axis: Axis = "prompt:WHO@names.txt".parse().unwrap();
        assert_eq!(axis.file.unwrap().path.to_str(), Some("names.txt"));
        for (text, words) in [
            ("seed", "NAME=A,B,C"),
            ("colour=1", "known are seed"),
            ("seed:3=4", "no text"),
            ("prompt:=4", "what is replaced"),
        ] {
            let error = text.parse::<Axis>().unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        for (text, words) in [
            ("steps=", "its value is empty"),
            ("steps=3,,4", "value 2 of 3 is empty"),
            ("seed=0..9999999999", "more than 100000 values"),
        ] {
            let error = text.parse::<Axis>().unwrap().values().unwrap_err();
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn ranges_without_values_say_why() {
        for (text, words) in [
            (
                "seed=5..3",
                "5..3 runs backwards; write 3..5, which leaves out 5",
            ),
            ("seed=1,4..4", "4..4 is empty"),
        ] {
            let error = text.parse::<Axis>().unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
