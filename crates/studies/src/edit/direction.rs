//! The direction of an edit: from a basis, or of the picture itself.

use super::mixture::Mixture;
use crate::bottleneck::Bottleneck;
use crate::clean::{clean_jacobian, inside_and_rest};
use crate::directions::{Precision, check_dimension, file_for, is_of_hidden, read_singular_values};
use crate::discover::basis::decompose_fully;
use crate::discover::findings::Pictures;
use crate::injection::Injection;
use crate::input::InputFile;
use crate::points::{precision_of, spectrum_at};
use crate::reader::Reader;
use crate::sliders;
use crate::transport::{TANGENT_RANK, carry};
use crate::walk::{Held, Start, Walk};
use crate::{Progress, StudyError};
use alice_calculus::Tensor;
use alice_geometry::{Block, GeometryError, GolubKahan, LinearMap, Span, Spectrum, norm};
use alice_runs::{ModelReference, TensorFile};

/// What is left of a direction, relative to it, below which nothing is left.
const SHORTEST: f64 = 1e-3;
/// The part of a direction, relative to it, that taking others out of it
/// shortens it by, at least.
const LEAST_SHARE: f64 = 1e-6;
/// Directions of which a slider is made: as many as `discover` finds.
const RANK: usize = 50;

/// Which way an edit goes.
pub(super) struct Direction {
    way: Way,
    /// Singular values of the mixture's terms.
    pub(super) singular_values: Vec<f64>,
    /// Of a direction of H that was carried to the picture, the share that lies
    /// in the tangent space there.
    pub(super) carried: Option<f64>,
    precision: Option<Precision>,
}

enum Way {
    /// A unit vector `[1, H·W·C]` of X in the network's layout.
    Sample(Block),
    /// One direction of H.
    Hidden(Injection),
}

impl Direction {
    /// Walks and draws the frames, see [`Walk::draw`] and [`Injection::draw`].
    pub(super) fn draw(
        &self,
        walk: &Walk,
        start: Start<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(Pictures, Option<Held>), StudyError> {
        match &self.way {
            Way::Sample(vector) => walk.draw_held(start, vector, progress),
            Way::Hidden(injection) => {
                let drawn = injection.draw(start, walk.reach, walk.frames, progress)?;
                Ok((drawn, None))
            }
        }
    }

    /// A direction of H as one of X: carried into the tangent space at the
    /// state. One of X stays what it is.
    ///
    /// # Errors
    /// When no part of it lies there, or the tangent space does not converge.
    pub(super) fn carried(self, start: Start<'_>) -> Result<Self, StudyError> {
        let Way::Hidden(injection) = &self.way else {
            return Ok(self);
        };
        let u = injection.first().row(0);
        let rank = TANGENT_RANK.min(u.len()).min(start.state.item_len());
        let (network, state) = (start.network, start.state);
        let spectrum = spectrum_at(network, state, start.timestep, rank, start.seed)?;
        let here = precision_of([&spectrum]);
        let precision = self.precision.into_iter().chain(here);
        let precision = precision.reduce(Precision::and);
        let found = carry(u, &spectrum.into()).map_err(|error| match error {
            GeometryError::Degenerate { .. } => {
                let why = "the direction has no part in the tangent space at the picture. Add it \
                           to the bottleneck itself with --method hspace";
                StudyError::argument("--basis", why)
            }
            other => other.into(),
        })?;
        Ok(Self {
            way: Way::Sample(start.layout(&found.direction, 1)?),
            carried: Some(found.inside),
            precision,
            ..self
        })
    }

    /// `direction` `[C, H, W]` for states `[1, H, W, C]`; of H `left` `[1, dim H]`
    /// and what it is at other steps, as a basis again. `found_at` is its timestep.
    pub(super) fn tensors(
        &self,
        dims: &[usize],
        model: &ModelReference,
        found_at: usize,
    ) -> Result<TensorFile, StudyError> {
        let mut file = file_for(model, found_at, self.precision);
        match &self.way {
            Way::Sample(vector) => {
                let vector = Tensor::new(dims, vector.row(0).to_vec())?.to_channels_first()?;
                file.insert("direction", &vector.dims()[1..], vector.data().to_vec())?;
            }
            Way::Hidden(injection) => {
                injection.insert(&mut file)?;
                file.insert("singular_values", &[1], vec![1.0])?;
            }
        }
        Ok(file)
    }
}

/// Leading directions, `[k, C·H·W]` or `[k, dim H]`, with their singular values.
pub(super) struct Candidates {
    vectors: Block,
    /// What directions of H are at every step.
    hidden: Option<Injection>,
    singular_values: Vec<f64>,
    precision: Option<Precision>,
}

impl From<Spectrum> for Candidates {
    fn from(spectrum: Spectrum) -> Self {
        Self {
            precision: precision_of([&spectrum]),
            vectors: spectrum.right,
            hidden: None,
            singular_values: spectrum.singular_values,
        }
    }
}

impl Candidates {
    /// Those of a basis file, for states `[1, H, W, C]`: its `right`, or its
    /// `left` where that alone means something whatever the picture.
    pub(super) fn read(basis: &InputFile, dims: &[usize]) -> Result<Self, StudyError> {
        let file = TensorFile::from_bytes(&basis.path, &basis.read()?)?;
        file.require_finite()?;
        let precision = Precision::read(&basis.path, &file.metadata)?;
        if is_of_hidden(&file) {
            let injection = Injection::read(&file)?;
            let rank = injection.first().rows();
            let singular_values = read_singular_values(&file, &basis.path, rank)?;
            return Ok(Self {
                vectors: injection.first().clone(),
                hidden: Some(injection),
                singular_values,
                precision,
            });
        }
        let dim = dims[1..].iter().product();
        let rank = file.require_rank("right", 2)?.shape[0];
        let right = file.require("right", &[rank, dim])?.data.clone();
        let singular_values = read_singular_values(&file, &basis.path, rank)?;
        Ok(Self {
            vectors: Block::from_vec(rank, dim, right)?,
            hidden: None,
            singular_values,
            precision,
        })
    }

    /// Refuses directions of an H of another dimension.
    pub(super) fn check_space(
        &self,
        basis: &InputFile,
        hidden_dims: impl FnOnce() -> Result<Vec<usize>, StudyError>,
    ) -> Result<(), StudyError> {
        let Some(injection) = &self.hidden else {
            return Ok(());
        };
        check_dimension(basis, injection.dimension(), &hidden_dims()?)
    }

    /// Refuses indices beyond the last.
    pub(super) fn check(&self, option: &'static str, indices: &[usize]) -> Result<(), StudyError> {
        let rank = self.vectors.rows();
        match indices.iter().find(|&&index| index >= rank) {
            None => Ok(()),
            Some(index) => Err(StudyError::argument(
                option,
                format!(
                    "{index}; the basis holds directions 0 to {}",
                    rank.saturating_sub(1)
                ),
            )),
        }
    }

    /// The mixture, outside the span of `without` and of `rest`, as a unit
    /// vector: in the network's layout, or in H.
    pub(super) fn mix(
        &self,
        mixture: &Mixture,
        without: &[usize],
        rest: Option<&Block>,
        dims: &[usize],
    ) -> Result<Direction, StudyError> {
        let mut sum = sum_of(&self.vectors, mixture);
        let before = norm(sum.row(0));
        let mut removed = pick(&self.vectors, without)?;
        if removed.rows() > 0 {
            Span::of(&removed)?.remove(&mut sum)?;
            if norm(sum.row(0)) > (1.0 - LEAST_SHARE) * before {
                return Err(StudyError::argument(
                    "--disentangle",
                    "the direction has no part along these, as directions of one basis are \
                     orthogonal. Give a mixture that holds them, a file whose directions are not \
                     (as sliders.safetensors), or move one thing alone with --factor",
                ));
            }
        }
        if let Some(rest) = rest {
            // Both at once, as the rest need not be orthogonal to them.
            removed.append(rest)?;
            Span::of(&removed)?.remove(&mut sum)?;
        }
        let after = norm(sum.row(0));
        if before.is_nan() || after <= SHORTEST * before || after <= 0.0 {
            return Err(StudyError::argument(
                "--direction",
                "nothing is left of it. Choose other directions, or remove fewer",
            ));
        }
        let unit = |sum: &Block| -> Vec<f32> {
            let row = sum.row(0).iter();
            row.map(|&v| (f64::from(v) / after) as f32).collect()
        };
        let way = match &self.hidden {
            Some(injection) => Way::Hidden(injection.map(|set| {
                // What was refused above is refused where walks begin alone.
                let mut sum = sum_of(set, mixture);
                if !without.is_empty() {
                    Span::of(&pick(set, without)?)?.remove(&mut sum)?;
                }
                Ok(Block::from_vec(1, sum.dimension(), unit(&sum))?)
            })?),
            None => {
                let shape = [1, dims[3], dims[1], dims[2]];
                let vector = crate::model::channels_last(&shape, unit(&sum))?;
                Way::Sample(Block::from_vec(1, vector.item_len(), vector.into_data())?)
            }
        };
        let values = mixture.terms.iter().map(|(i, _)| self.singular_values[*i]);
        Ok(Direction {
            way,
            singular_values: values.collect(),
            carried: None,
            precision: self.precision,
        })
    }
}

/// The weighted sum of some rows, `[1, n]`.
fn sum_of(vectors: &Block, mixture: &Mixture) -> Block {
    let mut sum = Block::zeros(1, vectors.dimension());
    for &(index, weight) in &mixture.terms {
        let both = sum.row_mut(0).iter_mut().zip(vectors.row(index));
        both.for_each(|(s, v)| *s += weight as f32 * v);
    }
    sum
}

/// The rows of some indices.
fn pick(vectors: &Block, indices: &[usize]) -> Result<Block, StudyError> {
    let rows = indices.iter().flat_map(|&i| vectors.row(i).iter().copied());
    let values = rows.collect();
    Ok(Block::from_vec(indices.len(), vectors.dimension(), values)?)
}

/// The largest index that is asked for, and the option that asks.
#[derive(Clone, Copy)]
pub(super) struct Last {
    pub(super) index: usize,
    pub(super) option: &'static str,
}

/// The leading directions of a map.
fn leading(map: &dyn LinearMap, last: Last, seed: u64) -> Result<Candidates, StudyError> {
    let Last { index, option } = last;
    let dimension = map.domain().min(map.codomain());
    if index >= dimension {
        let why = format!("{index}; there are directions 0 to {}", dimension - 1);
        return Err(StudyError::argument(option, why));
    }
    let method = GolubKahan {
        seed,
        ..GolubKahan::new(index + 1)
    };
    Ok(decompose_fully(&method, map)?.into())
}

/// The directions of the bottleneck's Jacobian at the state itself, up to
/// the last one asked for.
pub(super) fn own_directions(start: Start<'_>, last: Last) -> Result<Candidates, StudyError> {
    let bottleneck = Bottleneck::new(start.network, start.timestep as f64)?;
    leading(&bottleneck.jacobian(start.state)?, last, start.seed)
}

/// A combination of a picture's own directions for one factor.
pub(super) struct OwnSlider {
    pub(super) mixture: Mixture,
    pub(super) direction: Direction,
    /// Root mean square displacement of a noisy pixel at its ends.
    pub(super) reach: f64,
}

/// The slider of a factor that the state's leading directions give.
pub(super) fn own_slider(
    start: Start<'_>,
    reader: &Reader,
    factor: usize,
    progress: &mut dyn Progress,
) -> Result<OwnSlider, StudyError> {
    let last = Last {
        index: RANK - 1,
        option: "--factor",
    };
    let candidates = own_directions(start, last)?;
    let directions = start.layout(&candidates.vectors, RANK)?;
    let found = sliders::find(start, reader, &directions, factor..factor + 1, progress)?;
    let Some(slider) = found.first() else {
        let why = format!("none of the {RANK} leading directions moves it; try another --at");
        return Err(StudyError::argument("--factor", why));
    };
    let terms = slider.unit().into_iter().enumerate();
    let mixture = Mixture {
        terms: terms.collect(),
    };
    Ok(OwnSlider {
        direction: candidates.mix(&mixture, &[], None, start.state.dims())?,
        reach: slider.reach(),
        mixture,
    })
}

/// The directions of x̂₀ inside a mask, up to the last one asked for, and the
/// leading ones of the rest, which an edit must not move in.
pub(super) fn local_directions(
    start: Start<'_>,
    mask: &[bool],
    last: Last,
) -> Result<(Candidates, Block), StudyError> {
    let clean = clean_jacobian(start.model, start.network, start.state, start.timestep)?;
    let (inside, rest) = inside_and_rest(&clean, mask, start.seed)?;
    Ok((leading(&inside, last, start.seed)?, rest))
}
