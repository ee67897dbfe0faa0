//! Reads the fields of a config one by one, so that an error names the field.

use crate::NetworkError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::ops::RangeInclusive;

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
