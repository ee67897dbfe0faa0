//! Covariance matrix adaptation.

use super::batch::{Batch, Optimizer, check};
use crate::{Bounds, EvolutionError};
use alice_random::Stream;
use faer::{Mat, Side};

/// The most parameters that a full covariance is kept for.
const MOST_PARAMETERS: usize = 4_096;

/// How CMA-ES starts.
#[derive(Clone, Debug)]
pub struct CmaEsConfig {
    /// The first mean `[d]`.
    pub start: Vec<f64>,
    /// The first standard deviation; the paper's comparison has 4.
    pub sigma: f64,
    /// Points per generation; `None` for 4 + ⌊3 ln d⌋.
    pub population: Option<usize>,
    /// The box of the search.
    pub bounds: Option<Bounds>,
}

/// CMA-ES with weighted recombination, cumulative step-size adaptation and
/// active rank-μ update, all parameters at their published defaults.
///
/// Points outside the box are mirrored at its sides for the evaluation, and the
/// distribution learns from them as they were drawn: mirrored, an optimum on a
/// side or in a corner lies amid the points that lead to it, as any other does.
/// Cost per generation: O(n d²), and O(d³) for the eigendecomposition, which is redone
/// when the covariance has had time to change. Hansen, "The CMA evolution
/// strategy: a tutorial", arXiv 1604.00772, 2016; the symbols are its own.
#[derive(Clone, Debug)]
pub struct CmaEs {
    seed: u64,
    bounds: Option<Bounds>,
    batch: Batch,
    constants: Constants,
    /// The points as drawn `[n, d]`; the batch has them inside the box.
    drawn: Vec<f64>,
    mean: Vec<f64>,
    sigma: f64,
    path_sigma: Vec<f64>,
    path_c: Vec<f64>,
    /// C, in full.
    covariance: Mat<f64>,
    /// B: the eigenvectors of C in columns.
    directions: Mat<f64>,
    /// The diagonal of D: square roots of the eigenvalues of C.
    lengths: Vec<f64>,
    since_decomposition: u64,
}

/// Table 1 of the tutorial.
#[derive(Clone, Debug)]
struct Constants {
    weights: Vec<f64>,
    mu: usize,
    mu_eff: f64,
    c_sigma: f64,
    d_sigma: f64,
    c_c: f64,
    c_1: f64,
    c_mu: f64,
    /// E‖N(0, I)‖.
    expected_norm: f64,
    /// Generations between decompositions.
    patience: u64,
}

impl Constants {
    fn new(dimension: usize, population: usize) -> Self {
        let n = dimension as f64;
        let mu = population / 2;
        let half = (population as f64 + 1.0) / 2.0;
        let mut weights: Vec<f64> = (1..=population)
            .map(|i| libm::log(half) - libm::log(i as f64))
            .collect();
        let effective = |weights: &[f64]| {
            let sum: f64 = weights.iter().sum();
            let squares: f64 = weights.iter().map(|w| w * w).sum();
            sum * sum / squares
        };
        let mu_eff = effective(&weights[..mu]);
        let mu_eff_negative = effective(&weights[mu..]);
        let c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        let excess = ((mu_eff - 1.0) / (n + 1.0)).sqrt() - 1.0;
        let d_sigma = 1.0 + 2.0 * excess.max(0.0) + c_sigma;
        let c_c = (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n);
        let c_1 = 2.0 / ((n + 1.3) * (n + 1.3) + mu_eff);
        let c_mu = 2.0 * (0.25 + mu_eff - 2.0 + 1.0 / mu_eff) / ((n + 2.0) * (n + 2.0) + mu_eff);
        let c_mu = c_mu.min(1.0 - c_1);
        let positive: f64 = weights.iter().filter(|w| **w >= 0.0).sum();
        let negative: f64 = -weights.iter().filter(|w| **w < 0.0).sum::<f64>();
        let limit = (1.0 + c_1 / c_mu)
            .min(1.0 + 2.0 * mu_eff_negative / (mu_eff + 2.0))
            .min((1.0 - c_1 - c_mu) / (n * c_mu));
        for weight in &mut weights {
            *weight *= if *weight >= 0.0 {
                1.0 / positive
            } else {
                limit / negative
            };
        }
        Self {
            weights,
            mu,
            mu_eff,
            c_sigma,
            d_sigma,
            c_c,
            c_1,
            c_mu,
            expected_norm: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
            patience: ((1.0 / (10.0 * n * (c_1 + c_mu))) as u64).max(1),
        }
    }
}

impl CmaEs {
    /// CMA-ES before its first generation.
    ///
    /// # Errors
    /// When the start is empty, not finite or above 4,096 parameters (the full
    /// covariance would not fit), sigma is not above 0, the population is below
    /// 4, or the bounds do not fit.
    pub fn new(config: CmaEsConfig, seed: u64) -> Result<Self, EvolutionError> {
        let CmaEsConfig {
            start,
            sigma,
            population,
            bounds,
        } = config;
        let dimension = start.len();
        check(&start, sigma, bounds.as_ref())?;
        if dimension > MOST_PARAMETERS {
            let requirement = format!("at most {MOST_PARAMETERS} for a full covariance");
            return Err(EvolutionError::parameter(
                "dimension",
                dimension,
                requirement,
            ));
        }
        let default = || 4 + (3.0 * libm::log(dimension.max(1) as f64)) as usize;
        let population = population.unwrap_or_else(default);
        if population < 4 {
            let requirement = "at least 4 for CMA-ES";
            return Err(EvolutionError::parameter(
                "population",
                population,
                requirement,
            ));
        }
        Ok(Self {
            seed,
            bounds,
            batch: Batch::new(population, dimension)?,
            drawn: vec![0.0; population * dimension],
            constants: Constants::new(dimension, population),
            mean: start,
            sigma,
            path_sigma: vec![0.0; dimension],
            path_c: vec![0.0; dimension],
            covariance: Mat::identity(dimension, dimension),
            directions: Mat::identity(dimension, dimension),
            lengths: vec![1.0; dimension],
            since_decomposition: 0,
        })
    }

    /// The mean of the distribution `[d]`, inside the box.
    #[must_use]
    pub fn mean(&self) -> Vec<f64> {
        let mut mean = self.mean.clone();
        if let Some(bounds) = &self.bounds {
            bounds.reflect(&mut mean);
        }
        mean
    }

    /// The step size σ.
    #[must_use]
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// Draws one point, m + σ B D z.
    fn draw(&self, individual: usize, point: &mut [f64]) {
        let generation = self.batch.generation();
        let mut stream = Stream::new(self.seed, "cma-es", individual as u64, generation);
        let normals: Vec<f64> = stream.normals(point.len());
        point.copy_from_slice(&self.mean);
        for (column, normal) in normals.iter().enumerate() {
            let scale = self.sigma * self.lengths[column] * normal;
            for (value, direction) in point.iter_mut().zip(self.directions.col(column).iter()) {
                *value += scale * direction;
            }
        }
    }

    /// Bᵀ y / D, whose length is the Mahalanobis length of y.
    fn whitened(&self, y: &[f64]) -> Vec<f64> {
        let along = |column: usize| -> f64 {
            let direction = self.directions.col(column);
            direction.iter().zip(y).map(|(b, y)| b * y).sum()
        };
        (0..y.len())
            .map(|column| along(column) / self.lengths[column])
            .collect()
    }

    /// C ← factor · C + c₁ p pᵀ + c_μ Σ wᵢ yᵢ yᵢᵀ.
    fn adapt(&mut self, factor: f64, steps: &[(f64, Vec<f64>)]) {
        let n = self.mean.len();
        let Constants { c_1, c_mu, .. } = self.constants;
        for column in 0..n {
            let scale = c_1 * self.path_c[column];
            let target = self.covariance.col_mut(column);
            for (value, p) in target.iter_mut().zip(&self.path_c) {
                *value = factor * *value + scale * p;
            }
            for (weight, y) in steps {
                let scale = c_mu * weight * y[column];
                let target = self.covariance.col_mut(column);
                for (value, y) in target.iter_mut().zip(y) {
                    *value += scale * y;
                }
            }
        }
    }

    /// Refreshes B and D from C.
    fn decompose(&mut self) {
        // A covariance that cannot be decomposed keeps the last B and D.
        let Ok(eigen) = self.covariance.self_adjoint_eigen(Side::Lower) else {
            return;
        };
        let values = eigen.S().column_vector();
        let largest = values.iter().copied().fold(0.0, f64::max);
        // Beyond this condition number doubles hold no more.
        let floor = largest * 1e-14;
        for (length, value) in self.lengths.iter_mut().zip(values.iter()) {
            *length = value.max(floor).sqrt();
        }
        self.directions.copy_from(eigen.U());
    }
}

impl Optimizer for CmaEs {
    fn name(&self) -> &'static str {
        "CMA-ES"
    }

    fn ask(&mut self) -> &[f64] {
        if !self.batch.asked {
            let mut point = vec![0.0; self.mean.len()];
            for individual in 0..self.batch.count() {
                self.draw(individual, &mut point);
                let d = point.len();
                self.drawn[individual * d..][..d].copy_from_slice(&point);
                if let Some(bounds) = &self.bounds {
                    bounds.reflect(&mut point);
                }
                self.batch.point_mut(individual).copy_from_slice(&point);
            }
            self.batch.asked = true;
        }
        self.batch.points()
    }

    fn tell(&mut self, fitness: &[f64]) -> Result<(), EvolutionError> {
        self.batch.accept(fitness)?;
        let n = self.mean.len() as f64;
        let Constants {
            mu,
            mu_eff,
            c_sigma,
            d_sigma,
            c_c,
            c_1,
            c_mu,
            expected_norm,
            patience,
            ..
        } = self.constants;
        let step = |individual: usize| -> Vec<f64> {
            let d = self.mean.len();
            let point = self.drawn[individual * d..][..d].iter();
            let moved = point.zip(&self.mean).map(|(x, m)| (x - m) / self.sigma);
            moved.collect()
        };
        let order = self.batch.ranked();
        let mut steps: Vec<(f64, Vec<f64>)> = order
            .iter()
            .zip(&self.constants.weights)
            .map(|(&individual, &weight)| (weight, step(individual)))
            .collect();
        let mut mean_step = vec![0.0; self.mean.len()];
        for (weight, y) in &steps[..mu] {
            for (sum, y) in mean_step.iter_mut().zip(y) {
                *sum += weight * y;
            }
        }
        for (mean, step) in self.mean.iter_mut().zip(&mean_step) {
            *mean += self.sigma * step;
        }

        // p_σ gains C^(−½) ⟨y⟩ = B D⁻¹ Bᵀ ⟨y⟩.
        let white = self.whitened(&mean_step);
        let gain = (c_sigma * (2.0 - c_sigma) * mu_eff).sqrt();
        for p in &mut self.path_sigma {
            *p *= 1.0 - c_sigma;
        }
        for (column, white) in white.iter().enumerate() {
            let direction = self.directions.col(column);
            for (p, b) in self.path_sigma.iter_mut().zip(direction.iter()) {
                *p += gain * white * b;
            }
        }
        let length = self.path_sigma.iter().map(|p| p * p).sum::<f64>().sqrt();
        let told = self.batch.generation() as i32;
        let settled = (1.0 - (1.0 - c_sigma).powi(2 * told)).sqrt();
        let moderate = length / settled < (1.4 + 2.0 / (n + 1.0)) * expected_norm;
        let h_sigma = if moderate { 1.0 } else { 0.0 };
        let gain = h_sigma * (c_c * (2.0 - c_c) * mu_eff).sqrt();
        for (p, step) in self.path_c.iter_mut().zip(&mean_step) {
            *p = (1.0 - c_c) * *p + gain * step;
        }

        let total: f64 = self.constants.weights.iter().sum();
        let missing = (1.0 - h_sigma) * c_c * (2.0 - c_c);
        let factor = 1.0 + c_1 * missing - c_1 - c_mu * total;
        for (weight, y) in steps.iter_mut().filter(|(weight, _)| *weight < 0.0) {
            let square: f64 = self.whitened(y).iter().map(|v| v * v).sum();
            // A step of no length takes nothing away.
            *weight *= if square > 0.0 { n / square } else { 0.0 };
        }
        self.adapt(factor, &steps);
        let growth = (c_sigma / d_sigma * (length / expected_norm - 1.0)).min(1.0);
        self.sigma = (self.sigma * libm::exp(growth)).clamp(1e-150, 1e150);

        self.since_decomposition += 1;
        if self.since_decomposition >= patience {
            self.decompose();
            self.since_decomposition = 0;
        }
        Ok(())
    }

    fn batch(&self) -> &Batch {
        &self.batch
    }
}
