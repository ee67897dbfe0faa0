//! Findings made of true pictures of the puppet show, for tests of what is
//! drawn from findings.

use super::findings::{
    DiscoverReport, FactorError, FactorResponse, Findings, Pictures, SampleReport, WalkReport,
};
use crate::responses::{responses, strongest};
use alice_runs::{ModelReference, Recipe};
use alice_worlds::{FACTORS, FactorKind, Factors, PuppetShow, caption_en, factor_index, render};

/// What kind of findings.
#[derive(Clone, Debug)]
pub struct Shape {
    pub rank: usize,
    pub walks: usize,
    pub sliders: usize,
    pub samples: usize,
    /// Frames to each side.
    pub frames: usize,
    pub size: usize,
    pub instrument: bool,
    pub model: String,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            rank: 50,
            walks: 12,
            sliders: 3,
            samples: 8,
            frames: 4,
            size: 32,
            instrument: true,
            model: "puppets-32".to_owned(),
        }
    }
}

/// What each walk moves: the factor, how far to each end, and a second factor.
const MOVES: [(&str, f64, &str); 12] = [
    ("smile", 1.0, "eye_openness"),
    ("head_x", -0.8, "gaze"),
    ("hat", 0.5, "head_y"),
    ("background_hue", 0.25, "light"),
    ("head_size", 0.9, "ear_size"),
    ("glasses", 0.5, "eye_size"),
    ("tilt", 0.8, "head_x"),
    ("hue", 0.2, "background_hue"),
    ("head_y", -0.7, "smile"),
    ("brow", 0.9, "eye_openness"),
    ("nose_size", 1.0, "smile"),
    ("strings", 0.5, "light"),
];

/// The recipe of synthetic findings.
pub fn recipe() -> Recipe {
    let arguments = serde_json::json!({"rank": 50, "space": "full", "at": 0.6, "samples": 8});
    let model = ModelReference {
        name: "puppets-32".to_owned(),
        hash: "9f2c41d07be85a63".repeat(4),
        ..ModelReference::default()
    };
    Recipe::new("discover", &arguments, 7, Some(model)).unwrap()
}

/// Findings of one shape.
pub fn findings(shape: &Shape) -> Findings {
    let show = PuppetShow::default();
    let middle = show.sample_factors(11, 3);
    let singular_values: Vec<f64> = (0..shape.rank)
        .map(|i| 12.4 * (-0.13 * i as f64).exp() + 0.02 * (i % 3) as f64)
        .collect();
    let drawn: Vec<Factors> = (0..shape.samples as u64)
        .map(|i| {
            if i == 0 {
                middle
            } else {
                show.sample_factors(11, 30 + i)
            }
        })
        .collect();
    let walked = |count: usize| -> (Vec<WalkReport>, Vec<Pictures>) {
        let sigma = |direction: usize| singular_values[direction];
        (0..count)
            .map(|direction| walk(shape, direction, &middle, sigma(direction)))
            .unzip()
    };
    let (walks, pictures) = walked(shape.walks);
    let (sliders, slid) = if shape.instrument {
        let (reports, pictures) = walked(shape.sliders);
        (Some(reports), pictures)
    } else {
        (None, Vec::new())
    };
    Findings {
        report: DiscoverReport {
            model: ModelReference {
                name: shape.model.clone(),
                hash: "9f2c41d07be85a63".repeat(4),
                ..ModelReference::default()
            },
            timestep: 600,
            timestep_share: 0.6,
            sample: Some(0),
            space: super::Space::Full,
            rank: shape.rank,
            domain: shape.size * shape.size * 3,
            codomain: 8192,
            singular_values,
            residual: 4.2e-5,
            converged: true,
            block_products: 14,
            vector_products: 840,
            seconds: 3.84,
            total_seconds: 41.7,
            samples: if shape.instrument {
                described(&drawn)
            } else {
                Vec::new()
            },
            walks,
            sliders,
            instrument: if shape.instrument {
                errors()
            } else {
                Vec::new()
            },
        },
        samples: draw(shape.size, &drawn),
        walks: pictures,
        sliders: slid,
    }
}

fn walk(shape: &Shape, direction: usize, middle: &Factors, sigma: f64) -> (WalkReport, Pictures) {
    let (main, reach, side) = MOVES[direction % MOVES.len()];
    let (main, side) = (factor_index(main).unwrap(), factor_index(side).unwrap());
    let frames = shape.frames as i64;
    let positions: Vec<f64> = (-frames..=frames)
        .map(|i| i as f64 / frames.max(1) as f64)
        .collect();
    let mut drawn = Vec::new();
    let readings: Vec<Vec<f64>> = positions
        .iter()
        .map(|&p| {
            let mut moved = *middle;
            let mut values: Vec<f64> = (0..FACTORS.len())
                .map(|f| f64::from(middle.get(f).unwrap()) + 0.01 * (7.0 * p + f as f64).sin())
                .collect();
            // A flag passes one half; the rest moves about where it is.
            let from = match FACTORS[main].kind {
                FactorKind::Binary => 0.5,
                FactorKind::Circular => f64::from(middle.get(main).unwrap()),
                _ => 0.0,
            };
            values[main] = from + reach * p;
            values[side] += 0.12 * reach * p;
            for factor in [main, side] {
                moved.set(factor, values[factor] as f32).unwrap();
            }
            drawn.push(moved);
            values
        })
        .collect();
    let responses: Vec<FactorResponse> = responses(&positions, &readings);
    let found = strongest(&responses);
    let report = WalkReport {
        direction,
        singular_value: sigma,
        reach: 0.3,
        held: None,
        strongest: found
            .map(|(f, _)| responses[f].factor.clone())
            .filter(|_| shape.instrument),
        purity: found.map(|(_, purity)| purity).filter(|_| shape.instrument),
        sound: shape
            .instrument
            .then(|| if direction % 3 == 1 { 8.0 / 9.0 } else { 1.0 }),
        pixel_change: 0.21,
        responses: if shape.instrument {
            responses
        } else {
            Vec::new()
        },
        positions,
    };
    (report, draw(shape.size, &drawn))
}

fn draw(size: usize, drawn: &[Factors]) -> Pictures {
    let values = drawn
        .iter()
        .flat_map(|factors| render(factors, size).unwrap().rgb)
        .map(|value| 2.0 * value - 1.0)
        .collect();
    Pictures {
        size: (size, size),
        channels: 3,
        values,
    }
}

fn described(drawn: &[Factors]) -> Vec<SampleReport> {
    drawn
        .iter()
        .enumerate()
        .map(|(i, factors)| SampleReport {
            caption: caption_en(factors),
            sound: i != 5,
            distance: 0.04 + 0.03 * i as f64,
        })
        .collect()
}

fn errors() -> Vec<FactorError> {
    FACTORS
        .iter()
        .enumerate()
        .map(|(i, spec)| {
            let (measure, value) = match spec.kind {
                FactorKind::Continuous { .. } | FactorKind::Circular => {
                    ("mean absolute error", 0.04 + 0.005 * i as f64)
                }
                _ => ("accuracy", 0.99 - 0.001 * i as f64),
            };
            FactorError {
                factor: spec.name.to_owned(),
                measure: measure.to_owned(),
                value,
            }
        })
        .collect()
}
