//! `transport`: a direction of one sample, carried to others.
//!
//! u = J v is moved to another sample's tangent space of H, where it may be
//! compared because H is nearly flat, and pulled back to X there (Park et al.,
//! arXiv 2307.12868).

use crate::directions::{
    Precision, file_for, found_at, insert_rows, mark_carried, read_hidden, require_same_model,
};
use crate::discover::findings::{FactorResponse, Pictures};
use crate::drawing::drawn_by;
use crate::input::InputFile;
use crate::pictures::numbers;
use crate::points::{
    check_distinct, check_share, index_at, noisy_samples, precision_of, spectrum_at,
};
use crate::progress::Within;
use crate::raster::sheet;
use crate::reader::Reader;
use crate::responses::strongest;
use crate::walk::{Held, LEAST_HELD, Method, Start, Walk};
use crate::{DiffusionModel, Progress, StudyError};
use alice_diffusion::{Ddim, Eta};
use alice_geometry::{Block, GeometryError, Span, Spectrum, TangentBasis, norm, transport};
use alice_runs::{ModelReference, RunFolder, TensorFile};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// Directions of a tangent space into which a direction of H is carried, when
/// nothing is said: as many as `discover` finds. The few leading ones hold little
/// of another sample's direction.
pub(crate) const TANGENT_RANK: usize = 50;
/// The share of a direction in a tangent space below which the walk there is
/// of a remnant of it, which says little about the direction.
pub(crate) const LITTLE_CARRIED: f64 = 0.3;

/// What `transport` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TransportArguments {
    /// Which direction, counted from 0
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    pub direction: usize,
    /// The sample whose direction it is, counted from 0
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    pub from: usize,
    /// Take the direction from a file instead: its `left` (basis.safetensors, global.safetensors)
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub basis: Option<InputFile>,
    /// Which rows of that file: left, or the matched of a global.safetensors
    #[arg(long, value_name = "NAME", default_value = "left", requires = "basis")]
    pub rows: String,
    /// The samples that it is carried to
    #[arg(long, value_name = "INDEX,…", value_delimiter = ',', default_values_t = [1, 2, 3, 4, 5])]
    pub to: Vec<usize>,
    /// Singular directions that span the tangent space at each sample
    #[arg(long, default_value_t = TANGENT_RANK)]
    pub rank: usize,
    /// Where, as a share of the noise schedule
    #[arg(long, value_name = "SHARE", default_value_t = 0.6)]
    pub at: f64,
    /// DDIM steps from noise to picture
    #[arg(long, default_value_t = 50)]
    pub steps: usize,
    /// How a walk moves
    #[arg(long, value_enum, default_value_t = Method::Guidance)]
    pub method: Method,
    /// Length of a walk to each end: root mean square change of a noisy pixel
    /// [default: 0.3; 0.1 of geodesics, which longer walks lose]
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<f64>,
    /// Updates from the sample to each end of a walk
    #[arg(long, default_value_t = 8)]
    pub iterations: usize,
    /// Pictures from the sample to each end of a walk
    #[arg(long, default_value_t = 4)]
    pub frames: usize,
    /// Read the factors of the puppet show from the pictures of another model
    #[arg(long)]
    pub puppets: bool,
}

/// The direction at one sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Arrival {
    /// The sample.
    pub sample: usize,
    /// The share of u that lies in the tangent space there, in 0..1.
    pub inside: f64,
    /// ‖J v‖ there.
    pub pullback_length: f64,
    /// Of a geodesic, the least share of its direction in H that lay in the
    /// tangent space on the way. Of one that is lost nothing is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// The factor with the largest change.
    pub strongest: Option<String>,
    /// What the instrument reads along the walk; empty without one.
    pub factors: Vec<FactorResponse>,
}

/// `report.json` of `transport`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TransportReport {
    /// The model.
    pub model: ModelReference,
    /// The training timestep.
    pub timestep: usize,
    /// The timestep at which the direction of a file was found, if it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_at: Option<usize>,
    /// The direction at each sample, its own first if it is of one.
    pub arrivals: Vec<Arrival>,
    /// Seconds in all.
    pub seconds: f64,
}

impl TransportArguments {
    fn walk(&self) -> Walk {
        let reach = self.reach.unwrap_or(self.method.usual_reach());
        Walk::new(self.method, self.iterations, self.frames, reach)
    }

    /// The samples walked at, the direction's own first.
    fn samples(&self) -> Vec<usize> {
        let own = self.basis.is_none().then_some(self.from);
        let others = self.to.iter().filter(|to| Some(**to) != own);
        own.iter().chain(others).copied().collect()
    }
}

/// Refuses what does not fit, before anything is written.
///
/// # Errors
/// Naming the first argument that does not make sense.
pub fn check(arguments: &TransportArguments, model: &DiffusionModel) -> Result<(), StudyError> {
    if arguments.to.is_empty() {
        return Err(StudyError::argument("--to", "must name a sample"));
    }
    check_distinct(&arguments.to, "--to")?;
    if let Some(far) = arguments.samples().iter().find(|s| **s > 4096) {
        let why = format!("{far}; samples are counted from 0 to 4096");
        return Err(StudyError::argument("--from and --to", why));
    }
    check_share(arguments.at, "--at")?;
    if arguments.basis.is_none() && arguments.direction >= arguments.rank {
        let why = format!("{}; the rank is {}", arguments.direction, arguments.rank);
        return Err(StudyError::argument("--direction", why));
    }
    if let Some(file) = &arguments.basis {
        require_same_model(file, model)?;
        read_direction(file, arguments, model)?;
    }
    arguments.walk().check()
}

/// Carries, walks and writes `sheet.png` and `transported.safetensors`; the
/// caller writes `report.json`.
///
/// # Errors
/// When an argument does not fit the model, the direction has no part in a
/// sample's tangent space, the network fails or the user asks to stop.
pub fn run(
    arguments: &TransportArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<TransportReport, StudyError> {
    let clock = Instant::now();
    let reader = Reader::for_model(model, arguments.puppets)?;
    let network = model.at(model.size()?)?;
    let sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
    let train_steps = model.schedule.num_train_timesteps;
    let index = index_at(&sampler, arguments.at, train_steps, "--at")?;
    let timestep = sampler.timesteps()[index];
    let wanted = arguments.samples();
    let count = wanted.iter().max().map_or(1, |last| last + 1);
    progress.begin("drawing samples", (count * index) as u64);
    let samples = noisy_samples(&network, &sampler, seed, count, index, progress)?;
    let basis_at = |sample: usize| -> Result<Spectrum, StudyError> {
        let state = &samples[sample];
        spectrum_at(&network, state, timestep, arguments.rank, seed)
    };
    let (left, found) = match &arguments.basis {
        Some(file) => (read_direction(file, arguments, model)?, found_at(file)?),
        None => {
            let own = basis_at(arguments.from)?;
            (own.left.row(arguments.direction).to_vec(), None)
        }
    };
    let walk = arguments.walk();
    let positions = walk.positions();
    let frames = positions.len() * (sampler.timesteps().len() - index);
    let units = 2 * arguments.iterations + frames;
    progress.begin("carrying and walking", (wanted.len() * units) as u64);
    let mut arrivals = Vec::with_capacity(wanted.len());
    let mut shown: Option<Pictures> = None;
    let (mut carried, mut precision) = (Vec::with_capacity(wanted.len()), None);
    for &sample in &wanted {
        let spectrum = basis_at(sample)?;
        precision = precision
            .into_iter()
            .chain(precision_of([&spectrum]))
            .reduce(Precision::and);
        let here = carry(&left, &spectrum.into()).map_err(|e| match e {
            GeometryError::Degenerate { .. } => StudyError::argument(
                "--to",
                format!("{sample}: {e}; raise --rank or leave it out"),
            ),
            other => other.into(),
        })?;
        let state = &samples[sample];
        let start = Start {
            model,
            network: &network,
            sampler: &sampler,
            index,
            timestep,
            state,
            seed,
        };
        let direction = start.layout(&here.direction, 1)?;
        let drawn = walk.draw(start, &direction, &mut Within(progress))?;
        let held = drawn.held.into_iter().flatten().next();
        let drawn = drawn.pictures;
        let readable = reader.as_ref().filter(|_| !held.is_some_and(Held::is_lost));
        let factors = match readable {
            Some(reader) => reader.along(&positions, &reader.validity(&drawn)?).0,
            None => Vec::new(),
        };
        arrivals.push(Arrival {
            sample,
            inside: here.inside,
            pullback_length: here.stretch,
            held,
            strongest: strongest(&factors).map(|(f, _)| factors[f].factor.clone()),
            factors,
        });
        carried.push(here);
        match &mut shown {
            Some(shown) => shown.values.extend(drawn.values),
            None => shown = Some(drawn),
        }
    }
    if let Some(shown) = shown {
        let labels: Vec<String> = wanted
            .iter()
            .flat_map(|sample| {
                let label = move |p: &f64| format!("{sample}: {p:+.2}").replace('-', "−");
                positions.iter().map(label)
            })
            .collect();
        let picture = sheet(&shown, positions.len(), &labels)?;
        let metadata = drawn_by(folder.recipe(), shown.size);
        folder.write_png("sheet.png", &picture, &metadata)?;
    }
    let file = file_for(&model.reference, timestep, precision);
    write_carried(&carried, file, folder)?;
    Ok(TransportReport {
        model: model.reference.clone(),
        timestep,
        found_at: found,
        arrivals,
        seconds: clock.elapsed().as_secs_f64(),
    })
}

/// The direction of H that a file gives.
fn read_direction(
    file: &InputFile,
    arguments: &TransportArguments,
    model: &DiffusionModel,
) -> Result<Vec<f32>, StudyError> {
    let hidden = model.hidden_dims(model.size()?)?;
    read_hidden(file, &arguments.rows, arguments.direction, &hidden)
}

/// A direction u of H in the tangent space at a sample.
pub(crate) struct Carried {
    /// The direction v of X, a unit vector `[1, C·H·W]`.
    pub(crate) direction: Block,
    /// The part of u inside the tangent space of H, a unit vector `[1, dim H]`:
    /// carried to this sample again it is the same v.
    pub(crate) image: Block,
    /// The length of that part as a share of u's, in 0..1.
    pub(crate) inside: f64,
    /// ‖J v‖.
    pub(crate) stretch: f64,
}

/// Carries u `[dim H]` into the tangent space that a basis spans.
///
/// # Errors
/// Those of [`transport`].
pub(crate) fn carry(u: &[f32], basis: &TangentBasis) -> Result<Carried, GeometryError> {
    let direction = transport(u, basis)?;
    let mut image = Block::from_vec(1, u.len(), u.to_vec())?;
    Span::of(basis.left())?.project(&mut image)?;
    Ok(Carried {
        stretch: basis.length_within(&direction)?,
        direction: Block::from_vec(1, direction.len(), direction)?,
        inside: norm(image.row(0)) / norm(u),
        image: image.normalised(),
    })
}

/// `right` `[N, C·H·W]`, `left` `[N, dim H]` and `singular_values` `[N]`
/// (‖J v‖): the direction at each sample, its own first if it is of one.
fn write_carried(
    carried: &[Carried],
    mut file: TensorFile,
    folder: &mut RunFolder,
) -> Result<(), StudyError> {
    mark_carried(&mut file);
    let values = carried.iter().map(|here| here.stretch as f32).collect();
    file.insert("singular_values", &[carried.len()], values)?;
    for (name, rows) in [
        ("right", (|here| &here.direction) as fn(&Carried) -> &Block),
        ("left", |here| &here.image),
    ] {
        let dimension = carried.first().map_or(0, |here| rows(here).dimension());
        let mut all = Block::zeros(0, dimension);
        for here in carried {
            all.append(rows(here))?;
        }
        insert_rows(&mut file, name, &all)?;
    }
    folder.write_tensors("transported.safetensors", &file)?;
    Ok(())
}

impl fmt::Display for TransportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(found) = self.found_at.filter(|found| *found != self.timestep) {
            writeln!(
                f,
                "carried at timestep {}; it was found at {found}",
                self.timestep
            )?;
        }
        for arrival in &self.arrivals {
            write!(
                f,
                "sample {:3}: {:5.1} % inside its tangent space, ‖J v‖ {:.2}",
                arrival.sample,
                100.0 * arrival.inside,
                arrival.pullback_length
            )?;
            let moved = arrival.strongest.as_ref().and_then(|name| {
                let named = |r: &&FactorResponse| r.factor == *name;
                arrival.factors.iter().find(named)
            });
            match moved {
                Some(moved) => writeln!(
                    f,
                    ", moves {} by {} sd",
                    numbers::factor_label(&moved.factor),
                    numbers::signed(moved.change, 2)
                )?,
                None => writeln!(f)?,
            }
            if arrival.inside < LITTLE_CARRIED {
                writeln!(
                    f,
                    "  what was walked there is a remnant of the direction, which says little \
                     about it; edit --method hspace adds all of it"
                )?;
            }
            if let Some(held) = arrival.held.filter(|held| held.is_lost()) {
                writeln!(
                    f,
                    "  its geodesic turned round and was not read: the tangent space held {} of the \
                     direction on the way, and at least {} are needed; a smaller --reach or more \
                     --iterations keep it",
                    numbers::percent(held.0),
                    numbers::percent(LEAST_HELD)
                )?;
            }
        }
        write!(
            f,
            "sheet.png, transported.safetensors, {:.1} s",
            self.seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directions::tests::plain_map;
    use alice_geometry::dense_spectrum;

    #[test]
    fn what_was_carried_to_a_sample_stays_there() {
        let basis = TangentBasis::from(dense_spectrum(&plain_map(6, 5), 3).unwrap());
        let u = [0.3, -0.8, 0.1, 0.9, -0.2, 0.4];
        let first = carry(&u, &basis).unwrap();
        assert!(
            first.inside > 0.1 && first.inside < 0.999,
            "{}",
            first.inside
        );
        let again = carry(first.image.row(0), &basis).unwrap();
        assert!((again.inside - 1.0).abs() < 1e-5);
        for (a, b) in std::iter::zip(first.direction.row(0), again.direction.row(0)) {
            assert!((a - b).abs() < 1e-5);
        }
    }
}
