//! Noise schedules: β_t and ᾱ_t for t = 0 … T − 1.
//!
//! References: Ho et al., arXiv 2006.11239 (linear); Rombach et al., arXiv
//! 2112.10752 (scaled linear: √β is linear); Nichol & Dhariwal, arXiv
//! 2102.09672 (cosine); Lin et al., arXiv 2305.08891 (zero terminal SNR).

use crate::error::{Error, Result, check_length, item_size};
use crate::prediction::PredictionType;

/// The noise added at every training step.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseSchedule {
    betas: Vec<f64>,
    alphas_cumprod: Vec<f64>,
}

impl NoiseSchedule {
    /// The schedule with the given β_t.
    ///
    /// # Errors
    /// [`Error::Beta`] if a β is not in [0, 1) (1 is allowed for the last one: a
    /// zero terminal signal), or the first ones add no noise at all; [`Error::Parameter`] if there are none.
    pub fn from_betas(betas: Vec<f64>) -> Result<Self> {
        if betas.is_empty() {
            return Err(Error::Parameter {
                what: "the number of training steps",
                value: 0.0,
                expected: "at least 1",
            });
        }
        let last = betas.len() - 1;
        let mut alpha_bar = 1.0;
        let mut alphas_cumprod = Vec::with_capacity(betas.len());
        for (index, &value) in betas.iter().enumerate() {
            alpha_bar *= 1.0 - value;
            let in_range = (0.0..1.0).contains(&value) || (index == last && value == 1.0);
            let signal = index == last || alpha_bar > 0.0;
            if !in_range || alpha_bar == 1.0 || !signal {
                return Err(Error::Beta { index, value });
            }
            alphas_cumprod.push(alpha_bar);
        }
        Ok(Self {
            betas,
            alphas_cumprod,
        })
    }

    /// β linear from `beta_start` to `beta_end`, both included.
    ///
    /// # Errors
    /// As [`NoiseSchedule::from_betas`].
    pub fn linear(train_steps: usize, beta_start: f64, beta_end: f64) -> Result<Self> {
        Self::from_betas(linspace(beta_start, beta_end, train_steps))
    }

    /// √β linear from `√beta_start` to `√beta_end`.
    ///
    /// # Errors
    /// As [`NoiseSchedule::from_betas`].
    pub fn scaled_linear(train_steps: usize, beta_start: f64, beta_end: f64) -> Result<Self> {
        let roots = linspace(beta_start.sqrt(), beta_end.sqrt(), train_steps);
        Self::from_betas(roots.into_iter().map(|root| root * root).collect())
    }

    /// β between `beta_start` and `beta_end` along a logistic curve over [−6, 6].
    ///
    /// # Errors
    /// As [`NoiseSchedule::from_betas`].
    pub fn sigmoid(train_steps: usize, beta_start: f64, beta_end: f64) -> Result<Self> {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        Self::from_betas(
            linspace(-6.0, 6.0, train_steps)
                .into_iter()
                .map(|x| beta_start + (beta_end - beta_start) * logistic(x))
                .collect(),
        )
    }

    /// The cosine schedule: ᾱ follows cos²(π/2·(t/T + 0.008)/1.008), with β at
    /// most 0.999.
    ///
    /// # Errors
    /// As [`NoiseSchedule::from_betas`].
    pub fn cosine(train_steps: usize) -> Result<Self> {
        let alpha_bar = |step: usize| {
            let time = step as f64 / train_steps as f64;
            ((time + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2)
                .cos()
                .powi(2)
        };
        Self::from_betas(
            (0..train_steps)
                .map(|t| (1.0 - alpha_bar(t + 1) / alpha_bar(t)).min(0.999))
                .collect(),
        )
    }

    /// The same schedule with √ᾱ shifted and scaled so that the last one is 0
    /// and the first one is kept (Lin et al., Algorithm 1).
    ///
    /// # Errors
    /// [`Error::Parameter`] if the schedule has fewer than two steps.
    pub fn with_zero_terminal_snr(&self) -> Result<Self> {
        let roots: Vec<f64> = self.alphas_cumprod.iter().map(|a| a.sqrt()).collect();
        let (first, last) = (roots[0], roots[roots.len() - 1]);
        if roots.len() < 2 || first <= last {
            return Err(Error::Parameter {
                what: "the number of training steps",
                value: roots.len() as f64,
                expected: "at least 2 to rescale to zero terminal SNR",
            });
        }
        let alphas_cumprod: Vec<f64> = roots
            .iter()
            .map(|root| ((root - last) * first / (first - last)).powi(2))
            .collect();
        let mut previous = 1.0;
        let betas = alphas_cumprod
            .iter()
            .map(|&alpha_bar| {
                let beta = 1.0 - alpha_bar / previous;
                previous = alpha_bar;
                beta
            })
            .collect();
        Ok(Self {
            betas,
            alphas_cumprod,
        })
    }

    /// T, the number of training steps.
    #[must_use]
    pub fn train_steps(&self) -> usize {
        self.betas.len()
    }

    /// β_t for every t.
    #[must_use]
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// ᾱ_t for every t.
    #[must_use]
    pub fn alphas_cumprod(&self) -> &[f64] {
        &self.alphas_cumprod
    }

    /// ᾱ_t.
    ///
    /// # Errors
    /// [`Error::Timestep`] if t ≥ T.
    pub fn alpha_bar(&self, timestep: usize) -> Result<f64> {
        self.alphas_cumprod
            .get(timestep)
            .copied()
            .ok_or(Error::Timestep {
                timestep,
                train_steps: self.train_steps(),
            })
    }

    /// The signal-to-noise ratio ᾱ_t / (1 − ᾱ_t).
    ///
    /// # Errors
    /// [`Error::Timestep`] if t ≥ T.
    pub fn snr(&self, timestep: usize) -> Result<f64> {
        let alpha_bar = self.alpha_bar(timestep)?;
        Ok(alpha_bar / (1.0 - alpha_bar))
    }

    /// x_t = √ᾱ_t·x₀ + √(1 − ᾱ_t)·ε.
    ///
    /// # Shapes
    /// `x0` and `noise` are [N, dim] with N = `timesteps.len()`: item i is
    /// taken to `timesteps[i]`. One timestep serves a whole batch.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Batch`], [`Error::Timestep`].
    pub fn add_noise(&self, x0: &[f32], noise: &[f32], timesteps: &[usize]) -> Result<Vec<f32>> {
        self.per_item("noise", x0, noise, timesteps, |alpha_bar, x0, noise| {
            alpha_bar.sqrt() * x0 + (1.0 - alpha_bar).sqrt() * noise
        })
    }

    /// The training target of `prediction`: ε, v = √ᾱ_t·ε − √(1 − ᾱ_t)·x₀, or x₀.
    ///
    /// # Shapes
    /// As [`NoiseSchedule::add_noise`].
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Batch`], [`Error::Timestep`].
    pub fn target(
        &self,
        prediction: PredictionType,
        x0: &[f32],
        noise: &[f32],
        timesteps: &[usize],
    ) -> Result<Vec<f32>> {
        self.per_item("noise", x0, noise, timesteps, |alpha_bar, x0, noise| {
            prediction.target(alpha_bar, x0, noise)
        })
    }

    /// x̂₀ from a network's output at x_t.
    ///
    /// # Shapes
    /// `sample` and `output` are [N, dim], N = `timesteps.len()`.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Batch`], [`Error::Timestep`], and
    /// [`Error::ZeroSignal`] for ε-prediction where ᾱ_t = 0.
    pub fn predicted_original(
        &self,
        prediction: PredictionType,
        sample: &[f32],
        output: &[f32],
        timesteps: &[usize],
    ) -> Result<Vec<f32>> {
        for &timestep in timesteps {
            self.check_signal(prediction, timestep)?;
        }
        self.per_item("model output", sample, output, timesteps, |a, x, output| {
            prediction.original(a, x, output)
        })
    }

    /// ε̂ from a network's output at x_t.
    ///
    /// # Shapes
    /// `sample` and `output` are [N, dim], N = `timesteps.len()`.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Batch`], [`Error::Timestep`].
    pub fn predicted_epsilon(
        &self,
        prediction: PredictionType,
        sample: &[f32],
        output: &[f32],
        timesteps: &[usize],
    ) -> Result<Vec<f32>> {
        self.per_item("model output", sample, output, timesteps, |a, x, output| {
            prediction.epsilon(a, x, output)
        })
    }

    pub(crate) fn check_signal(&self, prediction: PredictionType, timestep: usize) -> Result<()> {
        let alpha_bar = self.alpha_bar(timestep)?;
        if prediction == PredictionType::Epsilon && alpha_bar == 0.0 {
            return Err(Error::ZeroSignal { timestep });
        }
        Ok(())
    }

    fn per_item(
        &self,
        second_name: &'static str,
        first: &[f32],
        second: &[f32],
        timesteps: &[usize],
        formula: impl Fn(f64, f64, f64) -> f64,
    ) -> Result<Vec<f32>> {
        check_length(second_name, first.len(), second.len())?;
        let dim = item_size("the batch", first.len(), timesteps.len())?;
        let mut result = Vec::with_capacity(first.len());
        for (i, &timestep) in timesteps.iter().enumerate() {
            let alpha_bar = self.alpha_bar(timestep)?;
            for j in i * dim..(i + 1) * dim {
                let value = formula(alpha_bar, f64::from(first[j]), f64::from(second[j]));
                result.push(value as f32);
            }
        }
        Ok(result)
    }
}

fn linspace(start: f64, end: f64, count: usize) -> Vec<f64> {
    let last = count.saturating_sub(1).max(1) as f64;
    (0..count)
        .map(|i| start + (end - start) * i as f64 / last)
        .collect()
}
