//! The ways to find a direction, and to move along it.

use super::lab::Lab;
use crate::clean::{clean_jacobian, inside_and_rest, noise_jacobian};
use crate::discover::basis::decompose_fully;
use crate::injection;
use crate::jacobian::flatten;
use crate::transport::TANGENT_RANK;
use crate::walk::{Held, Method, Walk, sides};
use crate::{Silent, StudyError};
use alice_calculus::Tensor;
use alice_geometry::{
    Block, GolubKahan, LinearMap, Pooled, Span, Spectrum, SubspaceIteration, TangentBasis, norm,
    transport,
};
use alice_random::Stream;
use serde::{Deserialize, Serialize};

/// A way to edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Technique {
    /// Random orthonormal directions of X, walked straight.
    Random,
    /// Principal components of h over samples, added to h at every step.
    Principal,
    /// Leading right singular vectors of ∂ε/∂x, walked straight.
    Noise,
    /// Leading directions of ∂h/∂x by the published subspace iteration, x-space guidance.
    Published,
    /// The same directions by block Golub–Kahan, x-space guidance.
    Guidance,
    /// The same directions, geodesic shooting.
    Geodesic,
    /// Directions of x̂₀ inside the region, outside the span of the leading
    /// ones of the rest, walked straight (after LOCO Edit).
    Local,
}

impl Technique {
    /// All, in the order of the tables.
    pub const ALL: [Self; 7] = [
        Self::Random,
        Self::Principal,
        Self::Noise,
        Self::Published,
        Self::Guidance,
        Self::Geodesic,
        Self::Local,
    ];

    /// As tables name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Principal => "PCA of h",
            Self::Noise => "∂ε/∂x",
            Self::Published => "pullback, as published",
            Self::Guidance => "pullback, Alice, guidance",
            Self::Geodesic => "pullback, Alice, geodesic",
            Self::Local => "local, Alice",
        }
    }

    /// How it walks in X; nothing where it moves h.
    fn walk(self) -> Option<Method> {
        match self {
            Self::Principal => None,
            Self::Random | Self::Noise | Self::Local => Some(Method::Linear),
            Self::Published | Self::Guidance => Some(Method::Guidance),
            Self::Geodesic => Some(Method::Geodesic),
        }
    }
}

/// Unit directions of one technique at one sample, in PyTorch's order.
pub(super) struct Candidates {
    /// `[k, dim X]`; of principal components `[k, dim H]`.
    directions: Block,
    /// What they do in H, for those that are not just used again elsewhere:
    /// left vectors, or of local directions ∂h summed over positions.
    images: Option<Block>,
}

/// A direction that was chosen, and the length of its walk.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    vector: Vec<f32>,
    image: Option<Vec<f32>>,
    /// Of its first-order change of the predicted picture, the share of the
    /// squares inside the region.
    pub(super) share: f64,
    /// Length of the displacement at the ends, in X or in H.
    pub(super) length: f64,
    longest: f64,
}

impl Direction {
    /// The same with another length, within bounds of the old one and of the
    /// longest.
    pub(super) fn rescaled(&self, factor: f64) -> Self {
        Self {
            length: (self.length * factor.clamp(0.25, 4.0)).min(self.longest),
            ..self.clone()
        }
    }
}

/// What directions are judged by: the same for every technique.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim<'a> {
    /// The region, `[H · W]`.
    pub(super) region: &'a [bool],
    /// Root mean square change inside it that an edit should reach at each
    /// end, values in −1..1.
    pub(super) change: f64,
    /// Longest displacement, as a root mean square of a noisy pixel, or as a
    /// share of ‖h‖.
    pub(super) reach: f64,
    /// Directions that are looked at.
    pub(super) rank: usize,
    /// Updates from the sample to each end.
    pub(super) iterations: usize,
}

/// Candidates of a technique at a sample.
pub(super) fn learn(
    technique: Technique,
    lab: &Lab<'_>,
    state: &Tensor<f32>,
    item: u64,
    aim: Aim<'_>,
    principal: &Block,
) -> Result<Candidates, StudyError> {
    let dim = state.item_len();
    let rank = aim.rank;
    let method = GolubKahan {
        seed: lab.seed,
        ..GolubKahan::new(rank)
    };
    let carried = |spectrum: Spectrum| Candidates {
        directions: spectrum.right,
        images: Some(spectrum.left),
    };
    let plain = |directions: Block| Candidates {
        directions,
        images: None,
    };
    Ok(match technique {
        Technique::Random => {
            let mut stream = Stream::new(lab.seed, "compare random", item, 0);
            plain(Span::of(&Block::normals(rank, dim, &mut stream))?.orthonormal())
        }
        Technique::Principal => plain(principal.clone()),
        Technique::Noise => {
            let noise = noise_jacobian(lab.model, lab.network, state, lab.timestep)?;
            plain(decompose_fully(&method, &noise)?.right)
        }
        Technique::Published => {
            let method = SubspaceIteration {
                seed: lab.seed,
                ..SubspaceIteration::new(rank)
            };
            carried(method.decompose(&lab.bottleneck()?.jacobian(state)?)?)
        }
        Technique::Guidance | Technique::Geodesic => carried(decompose_fully(
            &method,
            &lab.bottleneck()?.jacobian(state)?,
        )?),
        Technique::Local => {
            let clean = clean_jacobian(lab.model, lab.network, state, lab.timestep)?;
            let (inside, rest) = inside_and_rest(&clean, aim.region, lab.seed)?;
            let method = GolubKahan {
                seed: lab.seed,
                ..GolubKahan::new(rank.min(inside.codomain()))
            };
            let mut right = decompose_fully(&method, &inside)?.right;
            Span::of(&rest)?.remove(&mut right)?;
            let directions = right.normalised();
            let bottleneck = lab.bottleneck()?;
            let channels = bottleneck.dims().last().copied().unwrap_or(1);
            let pooled = Pooled::new(bottleneck.jacobian(state)?, channels)?;
            Candidates {
                images: Some(pooled.pushforward(&directions)?),
                directions,
            }
        }
    })
}

/// The candidate whose first step changes the predicted picture most inside
/// the region, relative to everywhere, and the length at which that change
/// has the wanted size.
pub(super) fn choose(
    technique: Technique,
    lab: &Lab<'_>,
    state: &Tensor<f32>,
    candidates: &Candidates,
    aim: Aim<'_>,
) -> Result<Direction, StudyError> {
    let effects = effects(technique, lab, state, &candidates.directions)?;
    let values = aim.region.iter().filter(|inside| **inside).count() * state.channels();
    let longest = match technique.walk() {
        Some(_) => aim.reach * (state.item_len() as f64).sqrt(),
        None => aim.reach * norm(&lab.bottleneck()?.jacobian(state)?.value()),
    };
    let mut best: Option<Direction> = None;
    for row in 0..effects.rows() {
        let (mut inside, mut all) = (0.0, 0.0);
        for (i, value) in effects.row(row).iter().enumerate() {
            let square = f64::from(*value).powi(2);
            all += square;
            if aim.region[i % aim.region.len()] {
                inside += square;
            }
        }
        let share = if all > 0.0 { inside / all } else { 0.0 };
        if best.as_ref().is_none_or(|best| share > best.share) {
            let wanted = aim.change * (values as f64).sqrt() / inside.sqrt().max(1e-12);
            best = Some(Direction {
                vector: candidates.directions.row(row).to_vec(),
                image: candidates
                    .images
                    .as_ref()
                    .map(|images| images.row(row).to_vec()),
                share,
                length: wanted.min(longest),
                longest,
            });
        }
    }
    best.ok_or_else(|| StudyError::argument("--rank", "must be at least 1"))
}

/// The direction of one sample at another: carried in H, recognised among the
/// directions there, or used again.
pub(super) fn carry(
    technique: Technique,
    lab: &Lab<'_>,
    direction: &Direction,
    state: &Tensor<f32>,
    aim: Aim<'_>,
    principal: &Block,
) -> Result<Direction, StudyError> {
    let vector = if let Some(image) = &direction.image {
        // What is recognised is one of those that were chosen from; what is carried
        // needs a tangent space that holds it.
        let rank = match technique {
            Technique::Local => aim.rank,
            _ => {
                let hidden = lab.bottleneck()?.dims().iter().product();
                let most = state.item_len().min(hidden);
                TANGENT_RANK.max(aim.rank).min(most)
            }
        };
        let there = Aim { rank, ..aim };
        let found = learn(technique, lab, state, 0, there, principal)?;
        let Some(images) = found.images else {
            return Ok(direction.clone());
        };
        if technique == Technique::Local {
            resembling(image, &found.directions, &images)
        } else {
            // Transport needs the rows alone; what they weigh does not matter.
            let values = vec![1.0; images.rows()];
            transport(image, &TangentBasis::new(values, found.directions, images)?)?
        }
    } else {
        direction.vector.clone()
    };
    let alone = Candidates {
        directions: Block::from_vec(1, vector.len(), vector)?,
        images: None,
    };
    choose(technique, lab, state, &alone, aim)
}

/// The direction whose image is most parallel to another's, in its sense. One
/// of them, as a mixture of local directions moves several factors at once.
fn resembling(image: &[f32], directions: &Block, images: &Block) -> Vec<f32> {
    let cosine = |row: usize| {
        let other = images.row(row);
        let dot = image.iter().zip(other).map(|(a, b)| f64::from(a * b));
        dot.sum::<f64>() / norm(other).max(f64::MIN_POSITIVE)
    };
    let cosines: Vec<f64> = (0..images.rows()).map(cosine).collect();
    let rows = (0..cosines.len()).max_by(|&a, &b| cosines[a].abs().total_cmp(&cosines[b].abs()));
    let row = rows.unwrap_or(0);
    let sign = if cosines.get(row).is_some_and(|c| *c < 0.0) {
        -1.0
    } else {
        1.0
    };
    directions.row(row).iter().map(|v| sign * v).collect()
}

/// What was drawn of each edit, and how it held.
pub(super) type Edited = Vec<(Vec<f32>, Option<Held>)>;

/// Pictures at −1 … 1 without the middle, `2 · frames` of each direction.
pub(super) fn draw(
    lab: &Lab<'_>,
    state: &Tensor<f32>,
    edits: &[(Technique, Direction)],
    frames: usize,
    aim: Aim<'_>,
) -> Result<Edited, StudyError> {
    let dim = state.item_len();
    let (mut moved, mut shifts) = (Vec::new(), Vec::new());
    let mut held = vec![None; edits.len()];
    let dims = lab.bottleneck()?.dims();
    for ((technique, direction), held) in edits.iter().zip(&mut held) {
        let Some(method) = technique.walk() else {
            let image = Block::from_vec(1, direction.vector.len(), direction.vector.clone())?;
            let shift = injection::shifts(&image, &[direction.length], &sides(frames), dims)?;
            shifts.extend(shift.into_data());
            continue;
        };
        let reach = direction.length / (dim as f64).sqrt();
        let walk = Walk::new(method, aim.iterations, frames, reach);
        let start = lab.start(state);
        let block = Block::from_vec(1, dim, direction.vector.clone())?;
        let (states, found) = walk.states(start, &start.layout(&block, 1)?, &mut Silent)?;
        *held = found.into_iter().flatten().next();
        moved.extend_from_slice(&states[..frames * dim]);
        moved.extend_from_slice(&states[(frames + 1) * dim..]);
    }
    let each = 2 * frames * dim;
    let moved = lab.finish(moved, None)?.values;
    let shifted = if shifts.is_empty() {
        Vec::new()
    } else {
        let item: usize = dims.iter().product();
        let count = shifts.len() / item;
        let shifts = Tensor::new(&[&[count], dims].concat(), shifts)?;
        lab.finish(state.data().repeat(count), Some(shifts))?.values
    };
    let (mut moved, mut shifted) = (moved.chunks_exact(each), shifted.chunks_exact(each));
    let next = |(technique, _): &(Technique, Direction)| match technique.walk() {
        Some(_) => moved.next(),
        None => shifted.next(),
    };
    let drawn = edits.iter().filter_map(next).map(<[f32]>::to_vec);
    Ok(drawn.zip(held).collect())
}

/// What a unit of each technique's first displacement changes in x̂₀, to
/// first order: `[k, C · H · W]`.
fn effects(
    technique: Technique,
    lab: &Lab<'_>,
    state: &Tensor<f32>,
    directions: &Block,
) -> Result<Block, StudyError> {
    let clean = || clean_jacobian(lab.model, lab.network, state, lab.timestep);
    match technique.walk() {
        Some(Method::Guidance) => {
            let noise = noise_jacobian(lab.model, lab.network, state, lab.timestep)?;
            let steps = noise.pushforward(directions)?;
            Ok(clean()?.pushforward(&steps.normalised())?)
        }
        Some(_) => Ok(clean()?.pushforward(directions)?),
        None => {
            let jacobian = lab.bottleneck()?.output_jacobian(state)?;
            let alpha_bar = lab.model.schedule.schedule()?.alpha_bar(lab.timestep)?;
            let kind = lab.model.schedule.prediction_type;
            let factor = kind.original(alpha_bar, 0.0, 1.0) as f32;
            let mut effects = jacobian.pushforward(directions)?;
            for row in 0..effects.rows() {
                effects.row_mut(row).iter_mut().for_each(|v| *v *= factor);
            }
            Ok(effects)
        }
    }
}

/// x of a state in PyTorch's order.
pub(super) fn point(state: &Tensor<f32>) -> Vec<f32> {
    flatten(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DiffusionModel;
    use crate::sampling::pictures;
    use alice_diffusion::{Ddim, Eta, initial_noise};

    #[test]
    fn directions_are_recognised_by_their_images() {
        let block = |rows: &[[f32; 2]]| Block::from_vec(rows.len(), 2, rows.concat()).unwrap();
        let directions = block(&[[1.0, 0.0], [0.0, 1.0]]);
        let images = block(&[[3.0, 1.0], [-0.1, 0.2]]);
        assert_eq!(resembling(&[1.0, 0.1], &directions, &images), [1.0, 0.0]);
        assert_eq!(resembling(&[2.0, -4.0], &directions, &images), [-0.0, -1.0]);
    }

    /// Whichever techniques are carried on: any of them may be alone.
    #[test]
    fn techniques_are_drawn_alone_as_together() {
        let model = DiffusionModel::bundled().unwrap();
        let size = model.size().unwrap();
        let network = model.at(size).unwrap();
        let sampler = Ddim::new(&model.schedule, 4, Eta::Constant(0.0)).unwrap();
        let dims = [1, size.0, size.1, 3];
        let dim = dims.iter().product();
        let noise = initial_noise(alice_diffusion::Draws::default(), 1, dim);
        let state = Tensor::new(&dims, noise).unwrap();
        let lab = Lab {
            model: &model,
            network: &network,
            sampler: &sampler,
            index: 2,
            timestep: sampler.timesteps()[2],
            seed: 0,
            states: vec![state.clone()],
            pictures: pictures(size, 3, state.data().to_vec()),
        };
        let region = vec![true; size.0 * size.1];
        let aim = Aim {
            region: &region,
            change: 0.25,
            reach: 0.6,
            rank: 2,
            iterations: 1,
        };
        let hidden = lab.bottlenecks().unwrap().dimension();
        let along = |length: usize| Direction {
            vector: (0..length).map(|i| f32::from(u8::from(i == 0))).collect(),
            image: None,
            share: 1.0,
            length: 1.0,
            longest: 2.0,
        };
        let edits = [
            (Technique::Principal, along(hidden)),
            (Technique::Random, along(dim)),
        ];
        let together = draw(&lab, &state, &edits, 1, aim).unwrap();
        assert_eq!(together.len(), 2);
        for (edit, drawn) in edits.iter().zip(&together) {
            assert_eq!(drawn.0.len(), 2 * dim);
            let alone = draw(&lab, &state, std::slice::from_ref(edit), 1, aim).unwrap();
            assert_eq!(&alone, std::slice::from_ref(drawn));
        }
        assert_ne!(together[0], together[1]);
        assert!(draw(&lab, &state, &[], 1, aim).unwrap().is_empty());
    }
}
