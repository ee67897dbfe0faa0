//! Analysis by synthesis: moving what was read until drawing it comes closest
//! to the picture.

use crate::Result;
use crate::layout::Layout;
use crate::reading::{Reading, largest, sigmoid};
use crate::solve::solve;
use alice_worlds::{FACTORS, FactorKind, Factors, render};

/// Steps of one search.
const STEPS: usize = 8;
/// How far a factor is moved to see what it does, as a share of its range.
const PROBE: f32 = 0.02;
/// How much a factor that explains nothing is held back, per value of the picture.
const RIDGE: f64 = 1e-6;
/// A search ends when a step gains less than this share of the error.
const ENOUGH: f64 = 1e-3;
/// Discrete factors whose probability lies in DOUBT..1 − DOUBT are tried both ways.
const DOUBT: f32 = 0.02;

/// Improves a reading of a picture in 0..1.
pub(crate) fn refine(
    layout: &Layout,
    mut reading: Reading,
    picture: &[f32],
    size: usize,
) -> Result<Reading> {
    let mut best = Fit::new(reading.factors, picture, size)?;
    best.search(STEPS)?;
    for other in alternatives(layout, &reading)? {
        let (index, value) = other;
        let mut factors = best.factors;
        factors.set(index, value)?;
        let mut fit = Fit::new(factors, picture, size)?;
        fit.search(STEPS / 2)?;
        if fit.error < best.error {
            best = fit;
        }
    }
    for (index, spec) in FACTORS.iter().enumerate() {
        let value = best.factors.get(index)?;
        reading.values[index] = match spec.kind {
            // Changed minds are certain; otherwise the probability stays.
            FactorKind::Binary if (reading.values[index] >= 0.5) == (value >= 0.5) => {
                reading.values[index]
            }
            _ => value,
        };
    }
    reading.factors = best.factors;
    Ok(reading)
}

/// Other values of discrete factors about which the network was in doubt.
fn alternatives(layout: &Layout, reading: &Reading) -> Result<Vec<(usize, f32)>> {
    let mut found = Vec::new();
    for slot in layout.slots() {
        let outputs = &reading.raw[slot.start..slot.start + slot.len];
        match slot.kind {
            FactorKind::Binary => {
                let p = sigmoid(outputs[0]);
                if p > DOUBT && p < 1.0 - DOUBT {
                    found.push((slot.factor, if p >= 0.5 { 0.0 } else { 1.0 }));
                }
            }
            FactorKind::Categorical { .. } => {
                let first = largest(outputs);
                let mut others = outputs.to_vec();
                others[first] = f32::NEG_INFINITY;
                let second = largest(&others);
                // The odds of the two.
                if sigmoid(outputs[second] - outputs[first]) > DOUBT {
                    found.push((slot.factor, second as f32));
                }
            }
            FactorKind::Continuous { .. } | FactorKind::Circular => {}
        }
    }
    Ok(found)
}

/// Factors with how well they explain a picture.
struct Fit<'a> {
    factors: Factors,
    picture: &'a [f32],
    size: usize,
    /// Picture minus drawing.
    residual: Vec<f32>,
    /// Mean square of the residual.
    error: f64,
}

impl<'a> Fit<'a> {
    fn new(factors: Factors, picture: &'a [f32], size: usize) -> Result<Self> {
        let drawn = render(&factors, size)?.rgb;
        let residual: Vec<f32> = picture.iter().zip(&drawn).map(|(p, d)| p - d).collect();
        let error = dot(&residual, &residual) / residual.len() as f64;
        Ok(Self {
            factors,
            picture,
            size,
            residual,
            error,
        })
    }

    /// Levenberg and Marquardt's steps on continuous and circular factors,
    /// with derivatives from finite differences.
    fn search(&mut self, steps: usize) -> Result<()> {
        let mut damping = 1e-2;
        for _ in 0..steps {
            let before = self.error;
            let (free, columns) = self.derivatives()?;
            let n = free.len();
            let count = self.residual.len() as f64;
            let mut normal = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    let product = dot(&columns[i], &columns[j]) / count;
                    normal[i * n + j] = product;
                    normal[j * n + i] = product;
                }
            }
            let slope = columns.iter().map(|c| dot(c, &self.residual) / count);
            let slope: Vec<f64> = slope.collect();
            for _ in 0..4 {
                let mut damped = normal.clone();
                for i in 0..n {
                    damped[i * n + i] += damping * normal[i * n + i] + RIDGE;
                }
                let Some(step) = solve(damped, slope.clone()) else {
                    damping *= 8.0;
                    continue;
                };
                let mut moved = self.factors;
                for (&index, step) in free.iter().zip(step) {
                    let (low, high) = FACTORS[index].kind.range();
                    // No further than a quarter of the range at once.
                    let step = (step as f32).clamp(-0.25, 0.25) * (high - low);
                    moved.set(index, moved.get(index)? + step)?;
                }
                let fit = Fit::new(moved, self.picture, self.size)?;
                if fit.error < self.error {
                    *self = fit;
                    damping = (damping / 8.0).max(1e-6);
                    break;
                }
                damping *= 8.0;
            }
            if before - self.error <= ENOUGH * before {
                break;
            }
        }
        Ok(())
    }

    /// The factors that can be moved, with what the picture changes by per
    /// range of each.
    fn derivatives(&self) -> Result<(Vec<usize>, Vec<Vec<f32>>)> {
        let mut free = Vec::new();
        let mut columns = Vec::new();
        for (index, spec) in FACTORS.iter().enumerate() {
            let (low, high) = spec.kind.range();
            let value = self.factors.get(index)?;
            let probe = PROBE * (high - low);
            let probe = match spec.kind {
                FactorKind::Continuous { .. } if value + probe > high => -probe,
                FactorKind::Continuous { .. } | FactorKind::Circular => probe,
                FactorKind::Binary | FactorKind::Categorical { .. } => continue,
            };
            let mut moved = self.factors;
            moved.set(index, value + probe)?;
            let drawn = render(&moved, self.size)?.rgb;
            let per_range = (high - low) / probe;
            // (picture − residual) is what is drawn now.
            let here = self.picture.iter().zip(&self.residual).map(|(p, r)| p - r);
            columns.push(
                drawn
                    .iter()
                    .zip(here)
                    .map(|(d, h)| (d - h) * per_range)
                    .collect(),
            );
            free.push(index);
        }
        Ok((free, columns))
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    // Lanes let the compiler vectorise the sum.
    let mut lanes = [0f32; 16];
    for (a, b) in a.chunks(16).zip(b.chunks(16)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().map(|&v| f64::from(v)).sum()
}
