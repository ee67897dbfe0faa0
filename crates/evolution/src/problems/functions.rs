//! The paper's benchmark functions, as fitness in 0..1.

use crate::{Bounds, Draws, EvolutionError, Problem, evaluate_each};
use std::f64::consts::{E, TAU};

/// Half the side of the domain.
const HALF_WIDTH: f64 = 4.0;

/// A benchmark function in some dimension.
///
/// Fitness is (p − p_min) / (1 − p_min) with p = exp(−|f − target| / scale),
/// and p_min that of the largest distance. Outside of ±4, f is 100 for the
/// minimised functions and 1e-9 for Ackley and Rastrigin, which are inverted:
/// their best points are the maxima of the published function.
///
/// Beale and Himmelblau exist in two dimensions. In d dimensions the values
/// of Rosenbrock and Rastrigin grow with their number of terms; target,
/// scale and distance grow with it. Where Rosenbrock is not the published one,
/// d ≠ 2, it has its largest distance outside of ±4, and so no fitness: 100
/// would be next to the best there.
///
/// Source: Zhang et al. (2025), <https://arxiv.org/abs/2410.02543>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    kind: Kind,
    dimension: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    TwoPeak,
    Rosenbrock,
    Beale,
    Himmelblau,
    Ackley,
    Rastrigin,
}

impl Function {
    /// The names, the demo first, then in the order of the paper.
    pub const NAMES: [&str; 6] = [
        "two-peak",
        "rosenbrock",
        "beale",
        "himmelblau",
        "ackley",
        "rastrigin",
    ];

    /// The function of a name, in its own dimension (2) or another.
    ///
    /// # Errors
    /// When there is no such function, or not in this dimension.
    pub fn new(name: &str, dimension: Option<usize>) -> Result<Self, EvolutionError> {
        let (kind, lowest) = match name {
            "two-peak" => (Kind::TwoPeak, 1),
            "rosenbrock" => (Kind::Rosenbrock, 2),
            "beale" => (Kind::Beale, 2),
            "himmelblau" => (Kind::Himmelblau, 2),
            "ackley" => (Kind::Ackley, 1),
            "rastrigin" => (Kind::Rastrigin, 1),
            _ => {
                let known = Self::NAMES.join(", ");
                return Err(EvolutionError::parameter(
                    "the function",
                    name,
                    format!("one of {known}"),
                ));
            }
        };
        let dimension = dimension.unwrap_or(2);
        let planar = matches!(kind, Kind::Beale | Kind::Himmelblau);
        if dimension < lowest || (planar && dimension != 2) {
            let requirement = if planar {
                format!("2: {name} is a function of two numbers")
            } else {
                format!("at least {lowest} for {name}")
            };
            return Err(EvolutionError::parameter(
                "the dimension",
                dimension,
                requirement,
            ));
        }
        Ok(Self { kind, dimension })
    }

    /// The function's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self.kind as usize]
    }

    /// f at a point `[d]`; inverted functions are negated.
    #[must_use]
    pub fn value(self, x: &[f64]) -> f64 {
        let inverted = matches!(self.kind, Kind::Ackley | Kind::Rastrigin);
        if self.kind != Kind::TwoPeak && x.iter().any(|v| v.is_nan() || v.abs() > HALF_WIDTH) {
            return match self.kind {
                Kind::Rosenbrock if self.dimension != 2 => self.calibration().2,
                _ if inverted => 1e-9,
                _ => 100.0,
            };
        }
        let d = x.len() as f64;
        match self.kind {
            Kind::TwoPeak => two_peak(x),
            Kind::Rosenbrock => x
                .windows(2)
                .map(|p| (1.0 - p[0]).powi(2) + 100.0 * (p[1] - p[0] * p[0]).powi(2))
                .sum(),
            Kind::Beale => {
                let (x, y) = (x[0], x[1]);
                (1.5 - x + x * y).powi(2)
                    + (2.25 - x + x * y * y).powi(2)
                    + (2.625 - x + x * y * y * y).powi(2)
            }
            Kind::Himmelblau => {
                let (x, y) = (x[0], x[1]);
                (x * x + y - 11.0).powi(2) + (x + y * y - 7.0).powi(2)
            }
            Kind::Ackley => {
                let square = x.iter().map(|v| v * v).sum::<f64>() / d;
                let wave = x.iter().map(|v| (TAU * v).cos()).sum::<f64>() / d;
                20.0 * (-0.2 * square.sqrt()).exp() + wave.exp() - 20.0 - E
            }
            Kind::Rastrigin => -x
                .iter()
                .map(|v| 10.0 + v * v - 10.0 * (TAU * v).cos())
                .sum::<f64>(),
        }
    }

    /// (target, scale, largest distance).
    fn calibration(self) -> (f64, f64, f64) {
        let d = self.dimension as f64;
        match self.kind {
            Kind::TwoPeak => (0.0, 1.0, f64::INFINITY),
            Kind::Rosenbrock => (0.0, 287.51 * (d - 1.0), 40_009.0 * (d - 1.0)),
            Kind::Beale => (0.0, 20.0, 72_769.2),
            Kind::Himmelblau => (0.0, 17.01, 308.803),
            Kind::Ackley => (-12.5401, 2.0, 12.5401),
            Kind::Rastrigin => (-64.6249 * d / 2.0, 30.0 * d / 2.0, 64.6249 * d / 2.0),
        }
    }

    /// The fitness of a point `[d]`.
    #[must_use]
    pub fn fitness(self, x: &[f64]) -> f64 {
        if self.kind == Kind::TwoPeak {
            return self.value(x);
        }
        let (target, scale, largest) = self.calibration();
        let lowest = (-largest / scale).exp();
        let p = (-(self.value(x) - target).abs() / scale).exp();
        ((p - lowest) / (1.0 - lowest)).max(0.0)
    }
}

/// The larger of two bells of width 0.3 at (1, …, 1) and (−1, …, −1).
fn two_peak(x: &[f64]) -> f64 {
    let bell = |centre: f64| {
        let squared: f64 = x.iter().map(|v| (v - centre).powi(2)).sum();
        (-squared / (2.0 * 0.3 * 0.3)).exp()
    };
    bell(1.0).max(bell(-1.0))
}

impl Problem for Function {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(Bounds::cube(self.dimension, HALF_WIDTH))
    }

    fn evaluate(
        &self,
        points: &[f64],
        _draws: Draws,
        fitness: &mut [f64],
    ) -> Result<(), EvolutionError> {
        evaluate_each(points, self.dimension, fitness, |_, point| {
            self.fitness(point)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Evolution, Options, metrics};

    #[test]
    fn known_optima_have_fitness_one() {
        let corner = 3.517_86;
        // Of the inverted Ackley, whose height has four digits.
        let top = 3.614;
        let optima: [(&str, &[&[f64]]); 6] = [
            ("rosenbrock", &[&[1.0, 1.0], &[1.0; 10]]),
            ("beale", &[&[3.0, 0.5]]),
            (
                "himmelblau",
                &[
                    &[3.0, 2.0],
                    &[-2.805_118, 3.131_312],
                    &[-3.779_310, -3.283_186],
                    &[3.584_428, -1.848_126],
                ],
            ),
            ("ackley", &[&[top, top], &[-top, top], &[top; 7]]),
            (
                "rastrigin",
                &[
                    &[corner, corner],
                    &[-corner, corner],
                    &[corner, -corner],
                    &[-corner; 5],
                ],
            ),
            ("two-peak", &[&[1.0, 1.0], &[-1.0, -1.0]]),
        ];
        for (name, points) in optima {
            for point in points {
                let function = Function::new(name, Some(point.len())).unwrap();
                let fitness = function.fitness(point);
                assert!((fitness - 1.0).abs() < 1e-5, "{name} {point:?}: {fitness}");
            }
        }
    }

    #[test]
    fn no_point_of_the_domain_beats_the_targets() {
        for name in &Function::NAMES[1..] {
            let function = Function::new(name, None).unwrap();
            let (target, _, largest) = function.calibration();
            let (mut nearest, mut farthest) = (f64::INFINITY, 0.0f64);
            for i in 0..=800 {
                for j in 0..=800 {
                    let point = [f64::from(i) * 0.01 - 4.0, f64::from(j) * 0.01 - 4.0];
                    let distance = (function.value(&point) - target).abs();
                    nearest = nearest.min(distance);
                    farthest = farthest.max(distance);
                    assert!((0.0..=1.0 + 1e-9).contains(&function.fitness(&point)));
                }
            }
            assert!(nearest < 0.02, "{name}: {nearest}");
            assert!(
                (farthest / largest - 1.0).abs() < 1e-3,
                "{name}: {farthest} {largest}"
            );
        }
    }

    #[test]
    fn outside_there_is_little_to_gain() {
        for (name, expected) in [
            ("rosenbrock", (-100.0f64 / 287.51).exp()),
            ("himmelblau", (-100.0f64 / 17.01).exp()),
            ("ackley", 0.0),
            ("rastrigin", 0.0),
        ] {
            let function = Function::new(name, None).unwrap();
            for point in [[4.01, 0.0], [f64::NAN, 0.0], [0.0, -1e300]] {
                assert!((function.fitness(&point) - expected).abs() < 1e-7, "{name}");
            }
        }
    }

    #[test]
    fn scales_are_the_published_ones() {
        let between = |distance: f64, scale: f64, largest: f64| {
            let lowest = (-largest / scale).exp();
            ((-distance / scale).exp() - lowest) / (1.0 - lowest)
        };
        let ackley = 20.0 * ((-0.2f64).exp() - 1.0);
        for (name, point, expected) in [
            ("rosenbrock", [0.0; 2], between(1.0, 287.51, 40_009.0)),
            ("beale", [0.0; 2], between(14.203_125, 20.0, 72_769.2)),
            ("himmelblau", [3.0; 2], between(26.0, 17.01, 308.803)),
            ("ackley", [1.0; 2], between(12.5401 + ackley, 2.0, 12.5401)),
            ("rastrigin", [1.0; 2], between(62.6249, 30.0, 64.6249)),
        ] {
            let fitness = Function::new(name, None).unwrap().fitness(&point);
            assert!((fitness - expected).abs() < 1e-12, "{name}: {fitness}");
        }
    }

    #[test]
    fn in_other_dimensions_nothing_is_gained_outside() {
        for d in 3..=30 {
            for name in ["rosenbrock", "ackley", "rastrigin"] {
                let function = Function::new(name, Some(d)).unwrap();
                let mut outside = vec![1.0; d];
                outside[d - 1] = 4.01;
                let fitness = function.fitness(&outside);
                // The side that is left, and good points: all ones, and an
                // optimum but for one parameter.
                outside[d - 1] = 4.0;
                assert!(fitness < 1e-9, "{name} {d}: {fitness}");
                assert!(fitness < function.fitness(&outside), "{name} {d}");
                outside[d - 1] = 1.5;
                assert!(fitness < function.fitness(&outside), "{name} {d}");
            }
        }
    }

    #[test]
    fn a_run_ends_inside_in_many_dimensions() {
        for d in [3, 4, 6, 10, 20, 30] {
            for name in ["rosenbrock", "ackley", "rastrigin"] {
                let function = Function::new(name, Some(d)).unwrap();
                let bounds = function.bounds().unwrap();
                let options = Options {
                    scaling: 4.0,
                    ..Options::default()
                };
                let mut evolution = Evolution::new(d, None, options).unwrap();
                while !evolution.is_finished() {
                    evolution.advance(&function).unwrap();
                }
                let points = evolution.ask();
                let best = metrics::best(evolution.fitness(), 1)[0];
                assert!(bounds.contains(&points[best * d..][..d]), "{name} {d}");
                let share = bounds.share_outside(&points);
                assert!(share < 0.15, "{name} {d}: {share} outside");
            }
        }
    }

    #[test]
    fn functions_and_dimensions_that_do_not_exist_are_refused() {
        for (name, dimension) in [
            ("beale", 3),
            ("himmelblau", 1),
            ("rosenbrock", 1),
            ("ackley", 0),
        ] {
            let error = Function::new(name, Some(dimension))
                .unwrap_err()
                .to_string();
            assert!(error.contains(name), "{error}");
        }
        let error = Function::new("sphere", None).unwrap_err().to_string();
        assert!(
            error.contains("sphere") && error.contains("rastrigin"),
            "{error}"
        );
    }
}
