//! From noise to pictures: what all verbs that draw with a sampler share.

mod write;

pub(crate) use write::{
    Made, drawn_by, write_latents, write_pictures, write_sheet, write_sheet_beside,
};

use crate::pictures::numbers;
use crate::sampling::{pictures, run_trajectory};
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{
    Draws, Eta, Held, Network, Sampler, SamplerKind, Trajectory, added_noise, initial_noise,
};
use serde::{Deserialize, Serialize};

/// How to get from noise to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerName {
    /// Deterministic unless --eta says otherwise
    Ddim,
    /// Ancestral: fresh noise at every step
    Ddpm,
    /// Linear multistep; Stable Diffusion's own
    Pndm,
    /// DDIM's step at evenly spread times
    Euler,
    /// Euler and fresh noise at every step
    EulerA,
    /// Second order, two evaluations a step
    Heun,
    /// DPM-Solver++ of second order: good pictures in 20 steps
    #[value(name = "dpm++-2m")]
    #[serde(rename = "dpm++-2m")]
    Dpm2m,
    /// The same with fresh noise at every step
    #[value(name = "dpm++-2m-sde")]
    #[serde(rename = "dpm++-2m-sde")]
    Dpm2mSde,
    /// Predictor and corrector: good pictures in 10 to 20 steps
    #[value(name = "unipc")]
    #[serde(rename = "unipc")]
    UniPc,
    /// For models distilled to a few steps
    Lcm,
}

impl SamplerName {
    /// The sampler.
    #[must_use]
    pub fn kind(self) -> SamplerKind {
        match self {
            Self::Ddim => SamplerKind::Ddim,
            Self::Ddpm => SamplerKind::Ddpm,
            Self::Pndm => SamplerKind::Pndm,
            Self::Euler => SamplerKind::Euler,
            Self::EulerA => SamplerKind::EulerAncestral,
            Self::Heun => SamplerKind::Heun,
            Self::Dpm2m => SamplerKind::DpmMultistep,
            Self::Dpm2mSde => SamplerKind::DpmMultistepSde,
            Self::UniPc => SamplerKind::UniPc,
            Self::Lcm => SamplerKind::Lcm,
        }
    }
}

/// How a verb draws.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct DrawingArguments {
    /// How to get from noise to a picture [default: what the folder of a model that reads text names, else ddim]
    #[arg(long, value_enum)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<SamplerName>,
    /// Steps from noise to picture
    #[arg(long, default_value_t = 50)]
    pub steps: usize,
    /// Noise that DDIM adds at each step, from 0 (none) to 1 (as much as DDPM)
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    /// Spread the noise levels as Karras et al. do: closer together near the picture
    #[arg(long)]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub karras: bool,
}

impl DrawingArguments {
    /// The sampler that is asked for, or the model's own.
    #[must_use]
    pub fn kind(&self, model: &DiffusionModel) -> SamplerKind {
        let own = if model.is_latent() {
            model.sampler()
        } else {
            SamplerKind::Ddim
        };
        self.sampler.map_or(own, SamplerName::kind)
    }

    /// The sampler, ready.
    ///
    /// # Errors
    /// When the number of steps, or an option, does not fit it.
    pub fn build(&self, model: &DiffusionModel) -> Result<Box<dyn Sampler>, StudyError> {
        let kind = self.kind(model);
        if self.eta.is_some() && !kind.has_eta() {
            let why = format!("{} does not have it, only --sampler ddim does", kind.name());
            return Err(StudyError::argument("--eta", why));
        }
        if self.karras && !kind.has_sigmas() {
            let why = format!(
                "{} has timesteps, not noise levels. Try it with --sampler dpm++-2m",
                kind.name()
            );
            return Err(StudyError::argument("--karras", why));
        }
        let eta = Eta::Constant(self.eta.unwrap_or(0.0));
        Ok(kind.build(&model.schedule, self.steps, eta, self.karras)?)
    }
}

/// Refuses numbers of pictures that nobody wants.
pub(crate) fn check_count(count: usize) -> Result<(), StudyError> {
    if (1..=MOST).contains(&count) {
        return Ok(());
    }
    let why = format!("{count}; it must lie between 1 and {MOST}");
    Err(StudyError::argument("--count", why))
}

/// More of anything is a slip of the keyboard.
const MOST: usize = 1_000_000;

/// Refuses numbers of things beyond all reason.
pub(crate) fn check_bound(argument: &str, count: usize) -> Result<(), StudyError> {
    if count <= MOST {
        return Ok(());
    }
    let why = format!("{count}; at most {MOST}");
    Err(StudyError::argument(argument, why))
}

/// Refuses models that cannot draw.
pub(crate) fn check_model(model: &DiffusionModel) -> Result<(), StudyError> {
    if model.channels() == model.out_channels() {
        return Ok(());
    }
    Err(StudyError::argument(
        "--model",
        format!(
            "it takes {} channels and gives {}, so it cannot sample. Use `alice predict`",
            model.channels(),
            model.out_channels()
        ),
    ))
}

/// Refuses strengths outside 0..1.
pub(crate) fn check_strength(strength: f64) -> Result<(), StudyError> {
    if (0.0..=1.0).contains(&strength) {
        return Ok(());
    }
    let why = format!("{strength}; it must lie between 0 and 1");
    Err(StudyError::argument("--strength", why))
}

/// Refuses turns of the noise outside 0..1.
pub(crate) fn check_variation(strength: f64) -> Result<(), StudyError> {
    if (0.0..=1.0).contains(&strength) {
        return Ok(());
    }
    let why = format!("{strength}; it must lie between 0 and 1");
    Err(StudyError::argument("--variation", why))
}

/// A turn of the noise, in the terms of other programs.
pub(crate) fn variation(seed: u64, strength: f64) -> [(String, String); 2] {
    [
        ("Variation seed".to_owned(), seed.to_string()),
        ("Variation seed strength".to_owned(), strength.to_string()),
    ]
}

/// Refuses strengths that are something, and less than one of the sampler's
/// steps.
pub(crate) fn check_some_step(strength: f64, sampler: &dyn Sampler) -> Result<(), StudyError> {
    let steps = sampler.times().len();
    if strength == 0.0 || sampler.index_of_strength(strength) < steps {
        return Ok(());
    }
    let why = format!("{strength} of {steps} evaluations is none");
    Err(StudyError::argument("--strength", why))
}

/// How many steps a sampler goes from an evaluation on.
pub(crate) fn gone(sampler: &dyn Sampler, first: usize) -> usize {
    let evaluations = first..sampler.times().len();
    evaluations.filter(|&i| sampler.begins_step(i)).count()
}

/// Steps of the whole way and those that were gone, for people.
pub(crate) fn steps_gone((whole, gone): (usize, usize), sampler: &str) -> String {
    let whole = numbers::counted(whole as u64, &format!("{sampler} step"));
    format!("{gone} of {whole}")
}

/// Where runs begin.
pub(crate) enum Origin<'a> {
    /// Noise of the seed.
    Noise,
    /// Noise of the seed, turned this far towards that of another.
    Variation { seed: u64, strength: f64 },
    /// Given noise `[N, H, W, C]`.
    Given(&'a Tensor<f32>),
    /// A clean state `[1, H, W, C]` with noise of the seed; noise alone where
    /// parts of it are held and the run begins at the first evaluation.
    Clean(&'a Tensor<f32>),
}

/// Runs of a sampler from their origins to clean states.
pub(crate) struct Drawing<'a> {
    pub network: &'a Network,
    pub sampler: &'a dyn Sampler,
    pub origin: Origin<'a>,
    /// The evaluation to begin at.
    pub first: usize,
    /// By value of a state: whether it stays that of the clean origin.
    pub held: Option<Vec<bool>>,
    pub seed: u64,
}

impl Drawing<'_> {
    /// Draws items `0..count`, `[count, dim]`. Progress has one unit for each
    /// item and evaluation.
    ///
    /// # Errors
    /// When the network fails or the user asks to stop.
    pub fn draw(&self, count: usize, progress: &mut dyn Progress) -> Result<Vec<f32>, StudyError> {
        let mut denoiser = self.network.denoiser()?;
        let dim = denoiser.dim();
        let end = self.sampler.times().len();
        progress.begin("drawing", (count * (end - self.first)) as u64);
        let block = denoiser.block();
        let mut values = Vec::with_capacity(count * dim);
        for first in (0..count).step_by(block) {
            let items = block.min(count - first);
            let draws = Draws {
                seed: self.seed,
                first_item: first as u64,
            };
            let held = self.held(draws, items, dim);
            let trajectory = Trajectory::new(self.sampler, draws)
                .steps(self.first..end)
                .holding(held.as_ref());
            let states = self.states(draws, items, dim)?;
            let done = run_trajectory(&mut denoiser, &trajectory, states, items, progress)?;
            values.extend(done);
        }
        Ok(values)
    }

    fn states(&self, draws: Draws, count: usize, dim: usize) -> Result<Vec<f32>, StudyError> {
        let deviation = self.sampler.initial_deviation() as f32;
        let mut states = match self.origin {
            Origin::Noise => initial_noise(draws, count, dim),
            Origin::Variation { seed, strength } => {
                let mut noise = initial_noise(draws, count, dim);
                let other = initial_noise(Draws { seed, ..draws }, count, dim);
                let pairs = noise.chunks_exact_mut(dim).zip(other.chunks_exact(dim));
                for (a, b) in pairs {
                    slerp(a, b, strength);
                }
                noise
            }
            Origin::Given(all) => {
                let first = draws.first_item as usize;
                all.data()[first * dim..][..count * dim].to_vec()
            }
            Origin::Clean(clean) => {
                let noise = added_noise(draws, count, dim);
                if self.first == self.sampler.times().len() {
                    return Ok(clean.data().repeat(count));
                }
                if self.held.is_some() && self.first == 0 {
                    // What is drawn anew keeps nothing, not even its tone; the
                    // rest follows the picture from the first step on.
                    let deviation = self.sampler.initial_deviation() as f32;
                    return Ok(noise.into_iter().map(|z| deviation * z).collect());
                }
                return noised(self.sampler, self.first, clean.data(), noise);
            }
        };
        states.iter_mut().for_each(|x| *x *= deviation);
        Ok(states)
    }

    fn held(&self, draws: Draws, count: usize, dim: usize) -> Option<Held> {
        match (&self.held, &self.origin) {
            (Some(values), Origin::Clean(clean)) => Some(Held {
                values: values.clone(),
                clean: clean.data().to_vec(),
                noise: added_noise(draws, count, dim),
            }),
            _ => None,
        }
    }
}

/// Clean states, again and again, with `noise` of the level of an evaluation:
/// `[N, dim]` as the noise is.
///
/// # Errors
/// When the sampler has no such evaluation.
pub(crate) fn noised(
    sampler: &dyn Sampler,
    evaluation: usize,
    clean: &[f32],
    mut noise: Vec<f32>,
) -> Result<Vec<f32>, StudyError> {
    let level = sampler.alpha_bar(evaluation)?;
    let (signal, amount) = (level.sqrt() as f32, (1.0 - level).sqrt() as f32);
    for (z, x) in noise.iter_mut().zip(clean.iter().cycle()) {
        *z = signal * x + amount * *z;
    }
    Ok(noise)
}

/// Turns `a` towards `b` on the sphere, by `strength` of the angle between them.
fn slerp(a: &mut [f32], b: &[f32], strength: f64) {
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        let products = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y));
        products.sum()
    };
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE);
    let angle = cosine.clamp(-1.0, 1.0).acos();
    // Noise is nearly orthogonal; where it is not, the chord is the arc.
    let (from, to) = if angle.sin() < 1e-6 {
        (1.0 - strength, strength)
    } else {
        let part = |share: f64| (share * angle).sin() / angle.sin();
        (part(1.0 - strength), part(strength))
    };
    for (a, b) in a.iter_mut().zip(b) {
        *a = (from * f64::from(*a) + to * f64::from(*b)) as f32;
    }
}

/// Clean states `[count, h, w, C]` as pictures.
pub(crate) fn decode(
    model: &DiffusionModel,
    size: (usize, usize),
    values: Vec<f32>,
    progress: &mut dyn Progress,
) -> Result<crate::discover::findings::Pictures, StudyError> {
    model.pictures(pictures(size, model.out_channels(), values), progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_way_on_the_sphere() {
        let (mut a, b) = ([3.0f32, 0.0], [0.0f32, 3.0]);
        slerp(&mut a, &b, 0.5);
        let expected = 3.0 * 0.5f32.sqrt();
        assert!(a.iter().all(|x| (x - expected).abs() < 1e-6), "{a:?}");
        let mut same = [1.0f32, 2.0];
        slerp(&mut same, &[1.0, 2.0], 0.3);
        assert!((same[1] - 2.0).abs() < 1e-6);
        let mut ends = [1.0f32, 0.5];
        slerp(&mut ends, &[-0.5, 1.0], 0.0);
        assert_eq!(ends, [1.0, 0.5]);
    }
}
