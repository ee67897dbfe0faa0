//! A run as bytes, to go on with it exactly.

use super::Evolution;
use crate::{Bounds, EvolutionError, Options};
use serde::{Deserialize, Serialize};

/// The first bytes.
const MAGIC: &[u8; 16] = b"alice evolution1";

#[derive(Serialize, Deserialize)]
struct Header {
    options: Options,
    dimension: usize,
    /// α by its bits, since text rounds.
    levels: Vec<u64>,
    told: usize,
    generation: u64,
    fitness: usize,
}

impl Evolution {
    /// Everything that decides how the run goes on.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = Header {
            options: self.options.clone(),
            dimension: self.dimension,
            levels: self.levels.iter().map(|a| a.to_bits()).collect(),
            told: self.told,
            generation: self.generation,
            fitness: self.fitness.len(),
        };
        // Numbers and names always serialise.
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut bytes = MAGIC.to_vec();
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header);
        for values in [&self.population, &self.denoised, &self.fitness] {
            bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        }
        bytes
    }

    /// The run of [`to_bytes`](Self::to_bytes). The bounds are the problem's.
    /// The number of generations may differ: the levels are kept.
    ///
    /// # Errors
    /// When the bytes are not whole, or not of a run with these `options`.
    pub fn from_bytes(
        bytes: &[u8],
        bounds: Option<Bounds>,
        options: &Options,
    ) -> Result<Self, EvolutionError> {
        let broken = |why: &str| {
            EvolutionError::parameter("the checkpoint", why.to_owned(), "one of this run, whole")
        };
        let rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| broken("another kind of file"))?;
        let (length, rest) = rest.split_first_chunk().ok_or_else(|| broken("cut off"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > rest.len() {
            return Err(broken("cut off"));
        }
        let (header, values) = rest.split_at(length);
        let header: Header =
            serde_json::from_slice(header).map_err(|e| broken(&format!("broken ({e})")))?;
        let comparable = Options {
            generations: header.options.generations,
            ..options.clone()
        };
        if header.options != comparable {
            return Err(broken(&format!(
                "of a run with other options ({})",
                differences(&header.options, &comparable)
            )));
        }
        // Before room is made for what the header claims.
        let numbers = header.dimension.checked_mul(2 * options.population);
        if numbers.is_none_or(|numbers| numbers > values.len() / 8) {
            return Err(broken("cut off"));
        }
        let mut evolution = Self::new(header.dimension, bounds, header.options)?;
        let size = evolution.population.len();
        let fits = header.told <= header.levels.len()
            && !header.levels.is_empty()
            && [0, options.population].contains(&header.fitness)
            && values.len() == 8 * (2 * size + header.fitness);
        if !fits {
            return Err(broken("cut off"));
        }
        let mut values: Vec<f64> = values
            .chunks_exact(8)
            .map(|v| f64::from_le_bytes(std::array::from_fn(|i| v[i])))
            .collect();
        if values.iter().any(|v| !v.is_finite()) {
            return Err(broken("damaged (a value is not finite)"));
        }
        evolution.fitness = values.split_off(2 * size);
        evolution.denoised = values.split_off(size);
        evolution.population = values;
        evolution.levels = header.levels.into_iter().map(f64::from_bits).collect();
        evolution.told = header.told;
        evolution.generation = header.generation;
        Ok(evolution)
    }
}

/// The options that differ, with both values.
fn differences(saved: &Options, asked: &Options) -> String {
    let value = |options: &Options| serde_json::to_value(options).unwrap_or_default();
    let (saved, asked) = (value(saved), value(asked));
    let fields = saved.as_object().into_iter().flatten();
    let different = fields.filter(|(name, value)| asked[name.as_str()] != **value);
    let words: Vec<String> = different
        .map(|(name, value)| format!("{name} {value}, not {}", asked[name.as_str()]))
        .collect();
    words.join("; ")
}
