//! What every sampler is.

use std::collections::VecDeque;

use crate::error::{Error, Result, check_length};
use crate::prediction::PredictionType;
use crate::schedule::NoiseSchedule;

/// The result of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutput {
    /// The state after the step (for an inversion: the noisier one).
    pub prev_sample: Vec<f32>,
    /// x̂₀ as the step used it (clipped if the configuration clips).
    pub pred_original: Vec<f32>,
}

/// What a sampler remembers of a run: outputs of the network before this one,
/// and where a step of several evaluations began. A run that begins in the
/// middle begins with an empty history, at first order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the form the sampler keeps them, newest first.
    pub(crate) outputs: VecDeque<Vec<f32>>,
    /// The state where the step under way began.
    pub(crate) anchor: Option<Vec<f32>>,
    /// What the evaluations of the step under way add up to.
    pub(crate) sum: Vec<f32>,
    /// The order of the step before.
    pub(crate) order: usize,
}

impl History {
    /// Keeps `output`, and at most `most` in all.
    pub(crate) fn push(&mut self, output: Vec<f32>, most: usize) {
        self.outputs.push_front(output);
        self.outputs.truncate(most);
    }
}

/// Where a sampler evaluates the network.
#[derive(Clone, Debug)]
pub struct Track {
    pub(crate) schedule: NoiseSchedule,
    pub(crate) times: Vec<f64>,
    pub(crate) alpha_bars: Vec<f64>,
    pub(crate) initial_deviation: f64,
}

impl Track {
    /// At training steps, from noise of deviation 1.
    ///
    /// # Errors
    /// [`Error::Timestep`]; [`Error::ZeroSignal`] for ε-prediction where ᾱ = 0.
    pub(crate) fn at(
        schedule: NoiseSchedule,
        timesteps: &[usize],
        prediction: PredictionType,
    ) -> Result<Self> {
        for &timestep in timesteps {
            schedule.check_signal(prediction, timestep)?;
        }
        let levels = timesteps.iter().map(|&t| schedule.alpha_bar(t));
        Ok(Self {
            alpha_bars: levels.collect::<Result<_>>()?,
            times: timesteps.iter().map(|&t| t as f64).collect(),
            initial_deviation: 1.0,
            schedule,
        })
    }
}

/// A sampler: a track of evaluations of the network, and what to do after each.
///
/// States are variance preserving for all of them, x = √ᾱ·x₀ + √(1 − ᾱ)·ε,
/// also where a paper writes its method in y = x/√ᾱ = x₀ + σ·ε: the network
/// takes states as they are, and a run may change samplers half-way.
pub trait Sampler: Send + Sync {
    /// Where it evaluates the network.
    fn track(&self) -> &Track;

    /// The training schedule.
    fn schedule(&self) -> &NoiseSchedule {
        &self.track().schedule
    }

    /// What the network is told at each evaluation, in order: training steps,
    /// or fractions between two of them.
    fn times(&self) -> &[f64] {
        &self.track().times
    }

    /// ᾱ of the state that evaluation `index` sees.
    ///
    /// # Errors
    /// [`Error::Evaluation`] beyond the track.
    fn alpha_bar(&self, index: usize) -> Result<f64> {
        entry(&self.track().alpha_bars, index)
    }

    /// Whether the step after evaluation `index` draws noise.
    fn uses_noise(&self, _index: usize) -> bool {
        false
    }

    /// Whether a run may begin at evaluation `index`: not in the middle of a
    /// step of several evaluations.
    fn begins_step(&self, _index: usize) -> bool {
        true
    }

    /// The deviation of the state that all steps begin at, 1 or a little less.
    fn initial_deviation(&self) -> f64 {
        self.track().initial_deviation
    }

    /// What follows evaluation `index`, which gave `model_output` at the state
    /// `sample`.
    ///
    /// # Shapes
    /// All slices have one and the same length: any batch of any shape.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Evaluation`],
    /// [`Error::NoiseMissing`] for a stochastic step without noise.
    fn step(
        &self,
        index: usize,
        model_output: &[f32],
        sample: &[f32],
        noise: Option<&[f32]>,
        history: &mut History,
    ) -> Result<StepOutput>;

    /// On a descending grid: the first evaluation at a time of at most `time`
    /// that begins a step; the number of evaluations if there is none. The
    /// evaluations `..index` lead down towards it, `index..` go on from there.
    fn index_at(&self, time: f64) -> usize {
        let times = self.times();
        (0..times.len())
            .find(|&index| times[index] <= time && self.begins_step(index))
            .unwrap_or(times.len())
    }

    /// The evaluation at which the last `strength` of all steps begin (of ten
    /// steps and a strength of 0.8, the third): where a clean picture, made
    /// noisy, goes on.
    fn index_of_strength(&self, strength: f64) -> usize {
        let count = self.times().len();
        let begins: Vec<usize> = (0..count).filter(|&i| self.begins_step(i)).collect();
        let kept = (begins.len() as f64 * strength.clamp(0.0, 1.0)) as usize;
        let index = begins.get(begins.len() - kept);
        index.copied().unwrap_or(count)
    }
}

/// Applies `formula(x, model output, noise) → (next state, x̂₀)` to every value.
pub(crate) fn each_value(
    model_output: &[f32],
    sample: &[f32],
    noise: Option<&[f32]>,
    formula: impl Fn(f64, f64, f64) -> (f64, f64),
) -> Result<StepOutput> {
    check_length("the model output", sample.len(), model_output.len())?;
    if let Some(noise) = noise {
        check_length("the noise", sample.len(), noise.len())?;
    }
    let mut output = StepOutput {
        prev_sample: Vec::with_capacity(sample.len()),
        pred_original: Vec::with_capacity(sample.len()),
    };
    for j in 0..sample.len() {
        let z = noise.map_or(0.0, |noise| f64::from(noise[j]));
        let (next, original) = formula(f64::from(sample[j]), f64::from(model_output[j]), z);
        output.prev_sample.push(next as f32);
        output.pred_original.push(original as f32);
    }
    Ok(output)
}

/// Σ c_k·v_k, value by value, summed in `f64`.
pub(crate) fn combination(terms: &[(f64, &[f32])]) -> Vec<f32> {
    let dim = terms.iter().map(|(_, v)| v.len()).min().unwrap_or(0);
    let sum = |j: usize| terms.iter().map(|(c, v)| c * f64::from(v[j])).sum::<f64>();
    (0..dim).map(|j| sum(j) as f32).collect()
}

/// x̂₀ within ± `bound`, if there is one.
pub(crate) fn clipped(original: f64, bound: Option<f64>) -> f64 {
    bound.map_or(original, |bound| original.clamp(-bound, bound))
}

/// The noise of a stochastic step, none for a deterministic one.
pub(crate) fn required_noise(
    stochastic: bool,
    noise: Option<&[f32]>,
    time: f64,
) -> Result<Option<&[f32]>> {
    match (stochastic, noise) {
        (true, None) => Err(Error::NoiseMissing { time }),
        (true, noise) => Ok(noise),
        (false, _) => Ok(None),
    }
}

/// The entry of a grid, or an error.
pub(crate) fn entry<T: Copy>(grid: &[T], index: usize) -> Result<T> {
    grid.get(index).copied().ok_or(Error::Evaluation {
        index,
        count: grid.len(),
    })
}
