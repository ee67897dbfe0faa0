//! Walks straight ahead in H.

use super::steady::Steady;
use super::{Frames, Start, Walk, extents};
use crate::bottleneck::Bottleneck;
use crate::jacobian::{flatten, to_file_layout, to_network_layout};
use crate::{Progress, StudyError};
use alice_geometry::geodesic::{Shooting, SmoothMap};
use alice_geometry::{Block, GolubKahan, LinearMap, Span, norm};

/// Numbers of singular triplets that may span the tangent space in which a
/// geodesic stays; the first that keeps its direction does.
const TANGENT_RANKS: [usize; 6] = [20, 30, 45, 70, 105, 160];
/// The part of a direction that its tangent space holds where it begins.
const HELD: f64 = 0.98;
/// And the least part, where it begins and on the way: with less it would be
/// another direction's walk. A direction of the bundled model's H at random, of
/// 8192 dimensions, has 0.14 of itself in the largest of these spaces.
pub(crate) const LEAST_HELD: f64 = 0.3;

impl Walk {
    /// Shoots a geodesic each way along each direction. Returns the least share
    /// of a direction that a tangent space held, too.
    pub(super) fn shoot(
        &self,
        start: Start<'_>,
        directions: &Block,
        progress: &mut dyn Progress,
    ) -> Result<(Vec<f32>, f64), StudyError> {
        let map = Bottleneck::new(start.network, start.timestep as f64)?;
        let (channels, positions) = extents(start.state);
        let tangents = to_file_layout(directions, channels, positions)?;
        let from = flatten(start.state);
        let here = map.linearize(&from)?;
        let images = here.pushforward(&tangents)?;
        let speeds: Vec<f64> = (0..images.rows()).map(|i| norm(images.row(i))).collect();
        let ranks = tangent_ranks(&here, &images)?;
        let mut denoiser = start.network.denoiser()?;
        let steady = if self.steady {
            Some(Steady::new(start, &mut denoiser)?)
        } else {
            None
        };
        let mut held = f64::INFINITY;
        let mut frames = Frames::new(self.frames, start.state.data(), directions.rows());
        for (direction, speed) in speeds.iter().enumerate() {
            for sign in [-1.0, 1.0] {
                if progress.is_cancelled() {
                    return Err(StudyError::Cancelled);
                }
                let tangent: Vec<f32> = tangents.row(direction).iter().map(|v| sign * v).collect();
                let shooting = Shooting {
                    basis: GolubKahan {
                        tolerance: 1e-3,
                        ..GolubKahan::new(ranks[direction])
                    },
                    length: self.end(tangent.len()) * speed,
                    steps: self.iterations,
                };
                let found = shooting.shoot(&map, &from, &tangent)?;
                held = found.inside.iter().copied().fold(held, f64::min);
                let mut points =
                    to_network_layout(&found.points, self.iterations + 1, channels, positions)?;
                if let Some(steady) = &steady {
                    points = steady.along(&mut denoiser, &points)?;
                }
                for frame in 1..=self.frames {
                    let point = points.row(frame * self.iterations / self.frames);
                    frames.place(direction, sign > 0.0, frame, point);
                }
                progress.advance(self.iterations as u64);
            }
        }
        Ok((frames.states, held))
    }
}

/// For each tangent at a point, by its image in H, of how many triplets a
/// tangent space is that keeps it on the way: its leading part holds it, as the
/// last triplets are others at the next point.
///
/// # Errors
/// When a space does not converge, or even the largest holds next to nothing of
/// it.
fn tangent_ranks(here: &dyn LinearMap, images: &Block) -> Result<Vec<usize>, StudyError> {
    let most = here.domain().min(here.codomain());
    let mut ranks = vec![0; images.rows()];
    let mut left = Block::zeros(0, images.dimension());
    for rank in TANGENT_RANKS.map(|rank| rank.min(most)) {
        let method = GolubKahan {
            tolerance: 1e-3,
            ..GolubKahan::new(rank)
        };
        let found = method.decompose(here)?;
        if !found.converged {
            let why = format!(
                "the tangent space of {rank} directions did not converge in {} products. Use \
                 another method",
                found.products.blocks()
            );
            return Err(StudyError::argument("--method geodesic", why));
        }
        left = found.left;
        let leading = if rank == most { rank } else { rank * 3 / 5 };
        for (found, part) in ranks.iter_mut().zip(parts_inside(&left, leading, images)?) {
            if *found == 0 && part >= HELD {
                *found = rank;
            }
        }
        if rank == most || !ranks.contains(&0) {
            break;
        }
    }
    let largest = left.rows();
    for (found, part) in ranks.iter_mut().zip(parts_inside(&left, largest, images)?) {
        if *found == 0 && part < LEAST_HELD {
            let why = format!(
                "{:.0} % of the direction lies among the {largest} leading ones; a geodesic in \
                 their space would be another direction's. Use another method",
                100.0 * part
            );
            return Err(StudyError::argument("--method geodesic", why));
        }
        if *found == 0 {
            *found = largest;
        }
    }
    Ok(ranks)
}

/// How much of each of `images` lies in the span of the leading `count` rows of
/// an orthonormal `left`, relative to its length.
fn parts_inside(left: &Block, count: usize, images: &Block) -> Result<Vec<f64>, StudyError> {
    let mut leading = left.clone();
    leading.truncate(count);
    let mut inside = images.clone();
    Span::of(&leading)?.project(&mut inside)?;
    let parts = (0..images.rows()).map(|i| norm(inside.row(i)) / norm(images.row(i)));
    Ok(parts.collect())
}
