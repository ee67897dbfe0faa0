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
/// And the least part, where it begins and on the way: with less the walk turns
/// round. Each step reflects the direction through the tangent space, so where
/// that holds the share s of it, the reflected one has the cosine 2 s² − 1 with
/// it: a right angle at s = 0.707, and backwards below. At 0.75 it turns by 83°
/// at most, where its tangent space held it worst.
pub(crate) const LEAST_HELD: f64 = 0.75;

impl Walk {
    /// Shoots a geodesic each way along each direction. Returns for each the
    /// least share of it that a tangent space held, too. A direction of which the
    /// largest tangent space at the start holds too little is not walked along:
    /// its frames are all the sample.
    pub(super) fn shoot(
        &self,
        start: Start<'_>,
        directions: &Block,
        progress: &mut dyn Progress,
    ) -> Result<(Vec<f32>, Vec<f64>), StudyError> {
        let map = Bottleneck::new(start.network, start.timestep as f64)?;
        let (channels, positions) = extents(start.state);
        let tangents = to_file_layout(directions, channels, positions)?;
        let from = flatten(start.state);
        let here = map.linearize(&from)?;
        let images = here.pushforward(&tangents)?;
        let speeds: Vec<f64> = (0..images.rows()).map(|i| norm(images.row(i))).collect();
        let spaces = tangent_spaces(&here, &images)?;
        let mut denoiser = start.network.denoiser()?;
        let steady = if self.steady {
            Some(Steady::new(start, &mut denoiser)?)
        } else {
            None
        };
        let mut held: Vec<f64> = spaces.iter().map(|space| space.held).collect();
        let mut frames = Frames::new(self.frames, start.state.data(), directions.rows());
        for (direction, speed) in speeds.iter().enumerate() {
            if held[direction] < LEAST_HELD {
                progress.advance(2 * self.iterations as u64);
                continue;
            }
            for sign in [-1.0, 1.0] {
                if progress.is_cancelled() {
                    return Err(StudyError::Cancelled);
                }
                let tangent: Vec<f32> = tangents.row(direction).iter().map(|v| sign * v).collect();
                let shooting = Shooting {
                    basis: GolubKahan {
                        tolerance: 1e-3,
                        ..GolubKahan::new(spaces[direction].rank)
                    },
                    length: self.end(tangent.len()) * speed,
                    steps: self.iterations,
                };
                let found = shooting.shoot(&map, &from, &tangent)?;
                held[direction] = found.inside.iter().copied().fold(held[direction], f64::min);
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

/// The tangent space in which a geodesic is to stay.
#[derive(Clone, Copy)]
struct TangentSpace {
    /// Of how many triplets it is; 0 where none was found yet.
    rank: usize,
    /// The share of the direction inside it, at the start.
    held: f64,
}

/// For each tangent at a point, by its image in H, a tangent space that keeps it
/// on the way: its leading part holds it, as the last triplets are others at the
/// next point. The largest where none does.
///
/// # Errors
/// When a space does not converge.
fn tangent_spaces(here: &dyn LinearMap, images: &Block) -> Result<Vec<TangentSpace>, StudyError> {
    let most = here.domain().min(here.codomain());
    let none = TangentSpace { rank: 0, held: 0.0 };
    let mut spaces = vec![none; images.rows()];
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
        let parts = parts_inside(&left, leading, images)?;
        for (space, held) in spaces.iter_mut().zip(parts) {
            if space.rank == 0 && held >= HELD {
                *space = TangentSpace { rank, held };
            }
        }
        if rank == most || spaces.iter().all(|space| space.rank > 0) {
            break;
        }
    }
    let rank = left.rows();
    let parts = parts_inside(&left, rank, images)?;
    for (space, held) in spaces.iter_mut().zip(parts) {
        if space.rank == 0 {
            *space = TangentSpace { rank, held };
        }
    }
    Ok(spaces)
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
