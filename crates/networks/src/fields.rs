//! Reads the fields of a config one by one, so that an error names the field.

use crate::NetworkError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// The extents of a picture in a config.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(crate) enum Size {
    Side(usize),
    Sides(usize, usize),
}

impl Size {
    /// Height and width.
    pub(crate) fn sides(self) -> (usize, usize) {
        match self {
            Self::Side(side) => (side, side),
            Self::Sides(height, width) => (height, width),
        }
    }

    /// As diffusers writes it.
    pub(crate) fn write((height, width): (usize, usize)) -> Value {
        if height == width {
            json!(height)
        } else {
            json!([height, width])
        }
    }
}

/// The name of a choice.
pub(crate) fn name<T: PartialEq>(choice: T, names: &[(&'static str, T)]) -> &'static str {
    let found = names.iter().find(|(_, other)| *other == choice);
    found.map_or("", |(name, _)| name)
}

/// Channels of a U-Net's time embedding after its layers. diffusers takes 0 as
/// not given.
pub(crate) fn time_channels(dim: Option<usize>, block_out_channels: &[usize]) -> usize {
    let first = block_out_channels.first().copied().unwrap_or(0);
    dim.filter(|&dim| dim > 0).unwrap_or(4 * first)
}

/// An error unless the extents of a U-Net's samples lie in range.
pub(crate) fn check_samples(
    size: Option<(usize, usize)>,
    in_channels: usize,
    out_channels: usize,
) -> Result<(), NetworkError> {
    if let Some((height, width)) = size {
        check_range("sample_size", height, 1..=16_384)?;
        check_range("sample_size", width, 1..=16_384)?;
    }
    check_range("in_channels", in_channels, 1..=4096)?;
    check_range("out_channels", out_channels, 1..=4096)
}

/// An error unless the channels of a block divide into groups.
pub(crate) fn check_groups(
    field: &'static str,
    groups: usize,
    channels: usize,
) -> Result<(), NetworkError> {
    if groups == 0 || !channels.is_multiple_of(groups) {
        let wanted = format!("a block's {channels} channels must divide into the groups");
        return Err(invalid(field, groups, wanted));
    }
    Ok(())
}

/// The fields of a JSON object. Those that nobody asks for are ignored.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// # Errors
    /// When the text is not a JSON object.
    pub(crate) fn parse(text: &str) -> Result<Self, NetworkError> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| NetworkError::Json {
                why: error.to_string(),
            })
    }

    /// The value of a field, `default` when it is missing; `wanted` tells what it must be.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        field: &'static str,
        default: T,
        wanted: &str,
    ) -> Result<T, NetworkError> {
        self.0.get(field).map_or(Ok(default), |value| {
            T::deserialize(value).map_err(|_| invalid(field, value, format!("it must be {wanted}")))
        })
    }

    /// The value of a field that is a number for all `blocks` or a list with
    /// a number for each.
    pub(crate) fn read_each(
        &self,
        field: &'static str,
        default: usize,
        blocks: usize,
    ) -> Result<Vec<usize>, NetworkError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Each {
            All(usize),
            List(Vec<usize>),
        }
        let wanted = "a whole number or a list of one for each block";
        Ok(match self.read(field, Each::All(default), wanted)? {
            Each::All(value) => vec![value; blocks],
            Each::List(values) => values,
        })
    }

    /// The value of a field that is one for all blocks, though the file may give
    /// it once for each.
    pub(crate) fn read_uniform<T: DeserializeOwned + PartialEq>(
        &self,
        field: &'static str,
        default: T,
        wanted: &str,
    ) -> Result<T, NetworkError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Uniform<T> {
            All(T),
            List(Vec<T>),
        }
        match self.read(field, Uniform::All(default), wanted)? {
            Uniform::All(value) => Ok(value),
            Uniform::List(mut values) => match values.pop() {
                Some(value) if values.iter().all(|other| *other == value) => Ok(value),
                _ => Err(invalid(
                    field,
                    &self.0[field],
                    format!("it must be {wanted}"),
                )),
            },
        }
    }

    /// The value of a field that is a side, a pair of sides or null.
    pub(crate) fn read_size(&self, field: &'static str) -> Result<Option<Size>, NetworkError> {
        self.read(field, None, "a whole number, a pair of them or null")
    }

    /// An error unless the field is missing or has the only value that is
    /// supported, given as JSON.
    pub(crate) fn require(&self, field: &'static str, only: &str) -> Result<(), NetworkError> {
        let as_number = |v: &Value| v.as_f64();
        match (self.0.get(field), serde_json::from_str::<Value>(only)) {
            (Some(value), Ok(wanted))
                if *value != wanted
                    && (as_number(value).is_none() || as_number(value) != as_number(&wanted)) =>
            {
                Err(invalid(field, value, format!("supported: {only}")))
            }
            _ => Ok(()),
        }
    }

    /// The choice that a field names; `default` when it is missing, as for `null`.
    pub(crate) fn choose<T: Copy>(
        &self,
        field: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, NetworkError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => choose(field, value, choices),
        }
    }

    /// The choices that a field lists; `default` when it is missing.
    pub(crate) fn choose_each<T: Copy>(
        &self,
        field: &'static str,
        choices: &[(&str, T)],
        default: &[T],
    ) -> Result<Vec<T>, NetworkError> {
        match self.0.get(field) {
            None => Ok(default.to_vec()),
            Some(Value::Array(values)) => {
                values.iter().map(|v| choose(field, v, choices)).collect()
            }
            Some(value) => Err(invalid(field, value, "it must be a list of block names")),
        }
    }
}

fn choose<T: Copy>(
    field: &'static str,
    value: &Value,
    choices: &[(&str, T)],
) -> Result<T, NetworkError> {
    let found = value
        .as_str()
        .and_then(|name| choices.iter().find(|(choice, _)| *choice == name));
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        invalid(field, value, format!("supported: {}", names.join(", ")))
    })
}

/// An error unless `value` lies in `range`.
pub(crate) fn check_range<T: PartialOrd + Display>(
    field: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), NetworkError> {
    if range.contains(&value) {
        return Ok(());
    }
    let wanted = format!("it must lie between {} and {}", range.start(), range.end());
    Err(invalid(field, value, wanted))
}

/// The error of a field.
pub(crate) fn invalid(
    field: &'static str,
    value: impl Display,
    wanted: impl Into<String>,
) -> NetworkError {
    NetworkError::Field {
        field,
        value: value.to_string(),
        wanted: wanted.into(),
    }
}
