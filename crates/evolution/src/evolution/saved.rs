//! A run as bytes, to go on with it exactly.

use super::Evolution;
use crate::latent::Latent;
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
    /// The seed of the latent projection, where it is not the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    projection: Option<u64>,
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
            projection: (self.projection != self.options.seed).then_some(self.projection),
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
        let (header, values) = open(bytes)?;
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
        Self::restore(header, values, bounds)
    }

    /// Another pass with the population of a finished run, from its
    /// [`to_bytes`](Self::to_bytes), re-diffused up to time `level`.
    ///
    /// The dimension, the population and the latent dimensions must be those
    /// of that run; seed, schedule, mutation and all else may change. Points
    /// stay where they are under another scaling, and so does a latent
    /// projection under another seed.
    ///
    /// # Errors
    /// When the bytes are not whole or of an unfinished run, something that
    /// must be the same is not, or as [`rediffuse`](Self::rediffuse).
    pub fn continued(
        bytes: &[u8],
        dimension: usize,
        bounds: Option<Bounds>,
        options: &Options,
        level: f64,
    ) -> Result<Self, EvolutionError> {
        let (mut header, values) = open(bytes)?;
        let same = |name, found: String, asked: String| {
            if found == asked {
                return Ok(());
            }
            let requirement = format!("{found}, as in the run that is continued");
            Err(EvolutionError::parameter(name, asked, requirement))
        };
        let counted = |count: usize| format!("{count} parameters");
        let latent = |options: &Options| match options.latent {
            Some(latent) => format!("{latent} dimensions"),
            None => "none".to_owned(),
        };
        let size = |options: &Options| options.population.to_string();
        same(
            "the dimension",
            counted(header.dimension),
            counted(dimension),
        )?;
        same("the population", size(&header.options), size(options))?;
        same("the latent space", latent(&header.options), latent(options))?;
        if header.told < header.levels.len() {
            let found = format!(
                "unfinished, at generation {} of {}",
                header.told,
                header.levels.len()
            );
            let requirement = "finished; the same command with --out of its folder goes on";
            return Err(EvolutionError::parameter("the run", found, requirement));
        }
        let scale = header.options.scaling / options.scaling;
        header.projection = header.projection.or(Some(header.options.seed));
        header.options = options.clone();
        let mut evolution = Self::restore(header, values, bounds)?;
        if scale != 1.0 {
            let values = evolution.population.iter_mut();
            values
                .chain(&mut evolution.denoised)
                .for_each(|x| *x *= scale);
        }
        evolution.rediffuse(level, options.generations)?;
        Ok(evolution)
    }

    fn restore(
        header: Header,
        values: &[u8],
        bounds: Option<Bounds>,
    ) -> Result<Self, EvolutionError> {
        let population = header.options.population;
        // Before room is made for what the header claims.
        let numbers = population
            .checked_mul(2)
            .and_then(|n| n.checked_mul(header.dimension));
        if numbers.is_none_or(|numbers| numbers > values.len() / 8) {
            return Err(broken("cut off"));
        }
        let mut evolution = Self::new(header.dimension, bounds, header.options)?;
        if let (Some(seed), Some(latent)) = (header.projection, evolution.options.latent) {
            evolution.latent = Some(Latent::new(header.dimension, latent, seed)?);
            evolution.projection = seed;
        }
        let size = evolution.population.len();
        let fits = header.told <= header.levels.len()
            && !header.levels.is_empty()
            && [0, population].contains(&header.fitness)
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

fn broken(why: &str) -> EvolutionError {
    EvolutionError::parameter("the checkpoint", why.to_owned(), "one of this run, whole")
}

/// The header, and the bytes of the values.
fn open(bytes: &[u8]) -> Result<(Header, &[u8]), EvolutionError> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| broken("another kind of file"))?;
    let (length, rest) = rest.split_first_chunk().ok_or_else(|| broken("cut off"))?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > rest.len() {
        return Err(broken("cut off"));
    }
    let (header, values) = rest.split_at(length);
    let header = serde_json::from_slice(header).map_err(|e| broken(&format!("broken ({e})")))?;
    Ok((header, values))
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
