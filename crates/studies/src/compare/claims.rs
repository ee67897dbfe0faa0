//! The papers' claims, measured: which spatial frequencies directions have,
//! how far tangent spaces are apart, and how long paths are.

use super::CompareArguments;
use super::lab::Lab;
use super::techniques::point;
use crate::parts::kept;
use crate::points::{index_at, noisy_samples, spectrum_at};
use crate::statistics::Estimate;
use crate::{Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Network};
use alice_geometry::geodesic::{Path, Relaxation, SmoothMap};
use alice_geometry::grassmann::distance;
use alice_geometry::{Block, Span, norm};
use alice_random::Stream;
use alice_runs::RunFolder;
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_PI_2, TAU};

/// Directions whose frequency is measured: the leading ones.
pub(super) const LEADING: usize = 5;
/// Segments of a path.
const SEGMENTS: usize = 30;

/// The tangent spaces at one timestep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtTime {
    /// Share of the noise schedule.
    pub at: f64,
    /// Mean spatial frequency of the leading directions, weighed by power, in
    /// periods per picture side.
    pub frequency: Estimate,
    /// Grassmann distance of two samples' tangent spaces of X, as a share of
    /// the largest possible, √rank · π/2.
    pub distance_x: Estimate,
    /// The same in H.
    pub distance_h: Estimate,
    /// Distance in X from the tangent space of the same sample at the next
    /// timestep; nothing at the last.
    pub distance_next: Option<Estimate>,
}

/// Tangent spaces over the noise schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spaces {
    /// Samples.
    pub samples: usize,
    /// Dimension of each tangent space.
    pub rank: usize,
    /// Mean spatial frequency of random directions.
    pub random_frequency: f64,
    /// Distance of random subspaces of X, as a share of the largest.
    pub random_distance: f64,
    /// For each timestep, from noise to picture.
    pub times: Vec<AtTime>,
}

/// The paths between two samples: their lengths and energies in H.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathRecord {
    /// Length of the straight line.
    pub lerp: f64,
    /// Length of the arc of a great circle, lengths interpolated.
    pub slerp: f64,
    /// Length of the arc, relaxed to a geodesic.
    pub geodesic: f64,
    /// Energies of the three, in this order, each over unit time.
    pub energies: [f64; 3],
    /// Steps of the relaxation.
    pub steps: usize,
    /// Whether the geodesic's energy is at most that of the straight line,
    /// from which the relaxation does not begin.
    pub falls: bool,
}

/// Lengths and energies of paths over all pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paths {
    /// Segments of each path.
    pub segments: usize,
    /// Length of straight lines.
    pub lerp: Estimate,
    /// Length of arcs.
    pub slerp: Estimate,
    /// Length of geodesics.
    pub geodesic: Estimate,
    /// Length of a geodesic over that of the straight line of the same pair.
    pub ratio: Estimate,
    /// Energies of straight lines, arcs and geodesics.
    pub energies: [Estimate; 3],
    /// Energy of a geodesic over that of the straight line of the same pair.
    pub energy_ratio: Estimate,
    /// Each pair.
    pub pairs: Vec<PathRecord>,
}

impl Paths {
    /// Pairs whose geodesic has no more energy than their straight line.
    #[must_use]
    pub fn below(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.falls).count()
    }

    /// Over all pairs; nothing for none.
    fn of(pairs: Vec<PathRecord>) -> Option<Self> {
        let of = |f: &dyn Fn(&PathRecord) -> f64| {
            let values: Vec<f64> = pairs.iter().map(f).collect();
            Estimate::mean(&values).map(Estimate::not_negative)
        };
        let energy = |path: usize| of(&|p| p.energies[path]);
        Some(Self {
            segments: SEGMENTS,
            lerp: of(&|p| p.lerp)?,
            slerp: of(&|p| p.slerp)?,
            geodesic: of(&|p| p.geodesic)?,
            ratio: of(&|p| p.geodesic / p.lerp)?,
            energies: [energy(0)?, energy(1)?, energy(2)?],
            energy_ratio: of(&|p| p.energies[2] / p.energies[0])?,
            pairs,
        })
    }
}

/// A model whose tangent spaces are looked at.
pub(super) struct Subject<'a> {
    pub(super) network: &'a Network,
    pub(super) sampler: &'a Ddim,
    pub(super) train_steps: usize,
    pub(super) seed: u64,
    /// Sides of its pictures.
    pub(super) size: (usize, usize),
}

/// The tangent spaces of some samples at one timestep.
pub(super) struct Tangents {
    /// In X.
    pub(super) right: Vec<Span>,
    /// In H.
    left: Vec<Span>,
    /// Of the leading directions of X.
    frequencies: Vec<f64>,
}

impl Subject<'_> {
    /// A timestep by its share of the noise schedule, and samples there.
    pub(super) fn states(
        &self,
        at: f64,
        count: usize,
    ) -> Result<(usize, Vec<Tensor<f32>>), StudyError> {
        let (sampler, silent) = (self.sampler, &mut crate::Silent);
        let index = index_at(sampler, at, self.train_steps, "--times")?;
        let states = noisy_samples(self.network, sampler, self.seed, count, index, silent)?;
        Ok((sampler.timesteps()[index], states))
    }

    /// This model's tangent spaces at noisy pictures, its own or another's.
    pub(super) fn tangents(
        &self,
        states: &[Tensor<f32>],
        timestep: usize,
        rank: usize,
        progress: &mut dyn Progress,
    ) -> Result<Tangents, StudyError> {
        let (mut right, mut left, mut frequencies) = (Vec::new(), Vec::new(), Vec::new());
        for state in states {
            if progress.is_cancelled() {
                return Err(StudyError::Cancelled);
            }
            let found = spectrum_at(self.network, state, timestep, rank, self.seed)?;
            let leading = LEADING.min(rank);
            let each = (0..leading).map(|i| frequency(found.right.row(i), self.size));
            frequencies.push(each.sum::<f64>() / leading as f64);
            right.push(Span::of(&found.right)?);
            left.push(Span::of(&found.left)?);
            progress.advance(1);
        }
        Ok(Tangents {
            right,
            left,
            frequencies,
        })
    }
}

/// The largest Grassmann distance of two subspaces of this dimension.
pub(super) fn widest(rank: usize) -> f64 {
    (rank as f64).sqrt() * FRAC_PI_2
}

/// Mean distance of each sample's two spans, as a share of the largest.
pub(super) fn between(a: &[Span], b: &[Span], rank: usize) -> Result<Option<Estimate>, StudyError> {
    let distances = a.iter().zip(b);
    let distances = distances.map(|(a, b)| Ok(distance(a, b)? / widest(rank)));
    let distances = distances.collect::<Result<Vec<f64>, StudyError>>()?;
    Ok(Estimate::mean(&distances).map(|e| e.within(0.0, 1.0)))
}

/// Tangent spaces of some samples at every timestep.
pub(super) fn spaces(
    arguments: &CompareArguments,
    subject: &Subject<'_>,
    progress: &mut dyn Progress,
) -> Result<Spaces, StudyError> {
    let (count, rank) = (arguments.spaces, arguments.space_rank);
    progress.begin("tangent spaces", (arguments.times.len() * count) as u64);
    let widest = widest(rank);
    let mut times = Vec::new();
    let mut before: Option<Vec<Span>> = None;
    let mut dim = 0;
    for &at in &arguments.times {
        let (timestep, states) = subject.states(at, count)?;
        let found = subject.tangents(&states, timestep, rank, progress)?;
        dim = states[0].data().len();
        let across = |spans: &[Span]| -> Result<Option<Estimate>, StudyError> {
            let mut table = vec![0.0; count * count];
            for i in 0..count {
                for j in i + 1..count {
                    table[i * count + j] = distance(&spans[i], &spans[j])? / widest;
                }
            }
            let pairs = Estimate::pairs(count, |i, j| table[i * count + j]);
            Ok(pairs.map(|e| e.within(0.0, 1.0)))
        };
        if let Some((before, last)) = before.as_ref().zip(times.last_mut()) {
            let last: &mut AtTime = last;
            last.distance_next = between(before, &found.right, rank)?;
        }
        let none = || StudyError::argument("--spaces", "must be at least 2");
        times.push(AtTime {
            at,
            frequency: Estimate::mean(&found.frequencies)
                .ok_or_else(none)?
                .not_negative(),
            distance_x: across(&found.right)?.ok_or_else(none)?,
            distance_h: across(&found.left)?.ok_or_else(none)?,
            distance_next: None,
        });
        before = Some(found.right);
    }
    let random = |item| -> Result<Block, StudyError> {
        let mut stream = Stream::new(subject.seed, "compare spaces", item, 0);
        Ok(Block::normals(rank, dim, &mut stream))
    };
    let (a, b) = (random(0)?, random(1)?);
    let rows = (0..a.rows()).map(|i| frequency(a.row(i), subject.size));
    Ok(Spaces {
        samples: count,
        rank,
        random_frequency: rows.sum::<f64>() / a.rows() as f64,
        random_distance: distance(&Span::of(&a)?, &Span::of(&b)?)? / widest,
        times,
    })
}

/// Mean spatial frequency of a direction `[C · H · W]`, weighed by its power
/// without the mean, in periods per side.
///
/// Cost: O(C · H · W · (H + W)) for the plain transform.
pub(super) fn frequency(direction: &[f32], (height, width): (usize, usize)) -> f64 {
    let (mut sum, mut power, mut constant) = (0.0, 0.0, 0.0);
    for channel in direction.chunks_exact(height * width) {
        let real: Vec<(f64, f64)> = channel.iter().map(|&v| (f64::from(v), 0.0)).collect();
        let rows = transform(&real, height, width, false);
        let both = transform(&rows, height, width, true);
        for (at, (re, im)) in both.iter().enumerate() {
            let fold = |k: usize, n: usize| k.min(n - k) as f64;
            let (y, x) = (fold(at / width, height), fold(at % width, width));
            let radius = x.hypot(y);
            if at > 0 {
                sum += radius * (re * re + im * im);
                power += re * re + im * im;
            } else {
                constant += re * re + im * im;
            }
        }
    }
    // Below this share there is only the rounding of the mean.
    if power > 1e-20 * constant {
        sum / power
    } else {
        0.0
    }
}

/// The discrete Fourier transform along the rows, or along the columns.
fn transform(values: &[(f64, f64)], height: usize, width: usize, down: bool) -> Vec<(f64, f64)> {
    let n = if down { height } else { width };
    let turns: Vec<(f64, f64)> = (0..n)
        .map(|k| (-TAU * k as f64 / n as f64).sin_cos())
        .map(|(sine, cosine)| (cosine, sine))
        .collect();
    (0..values.len())
        .map(|at| {
            let (y, x) = (at / width, at % width);
            let k = if down { y } else { x };
            let terms = (0..n).map(|i| {
                let (re, im) = if down {
                    values[i * width + x]
                } else {
                    values[y * width + i]
                };
                let (c, s) = turns[i * k % n];
                (re * c - im * s, re * s + im * c)
            });
            terms.fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d))
        })
        .collect()
}

/// Paths between pairs of samples at the timestep.
pub(super) fn paths(
    arguments: &CompareArguments,
    lab: &Lab<'_>,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<Option<Paths>, StudyError> {
    let most = lab.states.len() / 2;
    let count = arguments.pairs.min(most);
    progress.begin("paths", count as u64);
    let mut pairs = Vec::new();
    for pair in 0..count {
        if progress.is_cancelled() {
            return Err(StudyError::Cancelled);
        }
        let name = format!("parts/path-{pair:04}.json");
        pairs.push(kept(folder, &name, |_| path(lab, 2 * pair, 2 * pair + 1))?);
        progress.advance(1);
    }
    Ok(Paths::of(pairs))
}

fn path(lab: &Lab<'_>, from: usize, to: usize) -> Result<PathRecord, StudyError> {
    let [from, to] = [from, to].map(|sample| point(&lab.states[sample]));
    record(&lab.bottleneck()?, &from, &to)
}

/// The three paths between two points.
fn record<M: SmoothMap>(map: &M, from: &[f32], to: &[f32]) -> Result<PathRecord, StudyError> {
    let straight = Path::straight(map, from, to, SEGMENTS)?;
    let arc = Path::new(map, arc(from, to)?)?;
    let (lerp, slerp) = (straight.length(), arc.length());
    let relaxation = Relaxation {
        iterations: 30,
        tolerance: 2e-3,
    };
    let (relaxed, course) = relaxation.relax(map, arc)?;
    let energies = [straight.energy(), course[0], relaxed.energy()];
    Ok(PathRecord {
        lerp,
        slerp,
        geodesic: relaxed.length(),
        energies,
        steps: course.len() - 1,
        falls: energies[2] <= energies[0],
    })
}

/// Points on the arc between two, their lengths interpolated.
fn arc(from: &[f32], to: &[f32]) -> Result<Block, StudyError> {
    let (a, b) = (norm(from), norm(to));
    let both = from.iter().zip(to);
    let product: f64 = both.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    let angle = (product / (a * b)).clamp(-1.0, 1.0).acos();
    let mut values = Vec::with_capacity((SEGMENTS + 1) * from.len());
    for i in 0..=SEGMENTS {
        let share = i as f64 / SEGMENTS as f64;
        let [p, q] = if angle.sin() > 1e-6 {
            [1.0 - share, share].map(|s| (s * angle).sin() / angle.sin())
        } else {
            [1.0 - share, share]
        };
        let size = (1.0 - share) * a + share * b;
        let both = from.iter().zip(to);
        values.extend(
            both.map(|(x, y)| (size * (p * f64::from(*x) / a + q * f64::from(*y) / b)) as f32),
        );
    }
    Ok(Block::from_vec(SEGMENTS + 1, from.len(), values)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_geometry::{GeometryError, LinearMap, Matrix};

    /// (θ, φ) → the unit sphere.
    struct Sphere;

    impl Sphere {
        fn point(p: &[f32]) -> [f32; 3] {
            let ((st, ct), (sp, cp)) = (p[0].sin_cos(), p[1].sin_cos());
            [st * cp, st * sp, ct]
        }
    }

    impl SmoothMap for Sphere {
        fn domain(&self) -> usize {
            2
        }

        fn codomain(&self) -> usize {
            3
        }

        fn images(&self, points: &Block) -> Result<Block, GeometryError> {
            let rows = (0..points.rows()).flat_map(|i| Self::point(points.row(i)));
            Block::from_vec(points.rows(), 3, rows.collect())
        }

        fn linearize(&self, p: &[f32]) -> Result<Box<dyn LinearMap + '_>, GeometryError> {
            let ((st, ct), (sp, cp)) = (p[0].sin_cos(), p[1].sin_cos());
            let rows = vec![ct * cp, -st * sp, ct * sp, st * cp, -st, 0.0];
            Ok(Box::new(Matrix::from_vec(3, 2, rows)?))
        }
    }

    /// The relaxation begins at an arc of more energy than the straight line,
    /// so it must descend to end below it.
    #[test]
    fn a_geodesic_has_less_energy_than_the_straight_line() {
        let (from, to) = ([0.6, 0.1], [1.3, 2.0]);
        let found = record(&Sphere, &from, &to).unwrap();
        let [a, b] = [from, to].map(|p| Sphere::point(&p).map(f64::from));
        let angle = (a[0] * b[0] + a[1] * b[1] + a[2] * b[2]).acos();
        // Equal chords of the great circle.
        let exact = (2 * SEGMENTS) as f64 * (angle / (2 * SEGMENTS) as f64).sin();
        let [straight, arc, geodesic] = found.energies;
        assert!(
            arc > 1.5 * straight && straight > 1.2 * geodesic,
            "{found:?}"
        );
        let above = geodesic / (0.5 * exact * exact) - 1.0;
        assert!((-1e-6..5e-3).contains(&above), "{above}");
        assert!(found.falls && found.geodesic < found.lerp);
    }

    #[test]
    fn pairs_are_counted_by_their_energies() {
        let pair = |geodesic: f64| PathRecord {
            lerp: 2.0,
            slerp: 3.0,
            geodesic: 1.0,
            energies: [2.0, 5.0, geodesic],
            steps: 1,
            falls: geodesic <= 2.0,
        };
        let paths = Paths::of(vec![pair(1.0), pair(2.0), pair(3.0), pair(1.0)]).unwrap();
        assert_eq!(paths.below(), 3);
        assert_eq!(paths.energies.map(|e| e.value), [2.0, 5.0, 1.75]);
        assert_eq!((paths.ratio.value, paths.energy_ratio.value), (0.5, 0.875));
        assert!(Paths::of(Vec::new()).is_none());
    }

    #[test]
    fn a_wave_has_its_own_frequency() {
        let wave = |kx: f64, ky: f64| -> Vec<f32> {
            let value = |at: usize| {
                let (y, x) = ((at / 32) as f64, (at % 32) as f64);
                (TAU * (kx * x + ky * y) / 32.0 + 0.3).cos() as f32
            };
            (0..32 * 32).map(value).collect()
        };
        assert!((frequency(&wave(3.0, 0.0), (32, 32)) - 3.0).abs() < 1e-4);
        assert!((frequency(&wave(3.0, 4.0), (32, 32)) - 5.0).abs() < 1e-4);
        let both = [wave(3.0, 4.0), wave(1.0, 0.0)].concat();
        assert!((frequency(&both, (32, 32)) - 3.0).abs() < 1e-4);
        assert_eq!(frequency(&[0.5; 64], (8, 8)), 0.0);
    }

    #[test]
    fn an_arc_keeps_its_length() {
        let arc = arc(&[2.0, 0.0], &[0.0, 2.0]).unwrap();
        for i in 0..=SEGMENTS {
            assert!((norm(arc.row(i)) - 2.0).abs() < 1e-6);
        }
        assert_eq!(arc.row(0), [2.0, 0.0]);
        assert!((arc.row(SEGMENTS / 2)[0] - arc.row(SEGMENTS / 2)[1]).abs() < 1e-6);
    }
}
