//! How strong a concept is along pictures.
//!
//! The concept is a direction u of H. At each picture it is carried into the
//! tangent space there, and its pullback length ‖J v‖ says how strongly the
//! model sees it (Park et al., arXiv 2302.12469 and 2307.12868). Along the
//! pictures, taken as the stops of a path, ⟨u, h⟩ says how much of it there is.

use super::{MeasureArguments, SHARES};
use crate::bottleneck::Bottleneck;
use crate::directions::{found_at, read_hidden, require_same_model};
use crate::invert::{noised, read_picture, steps_to, usual_refinements};
use crate::pictures::numbers;
use crate::points::spectrum_at;
use crate::{DiffusionModel, InputFile, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::DdimInverse;
use alice_geometry::{Block, TangentBasis, dot, norm, pullback_length, transport};
use alice_runs::ModelReference;
use serde::Serialize;
use std::fmt;
use std::time::Instant;

/// The concept at one picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stop {
    /// The picture.
    pub picture: String,
    /// The share of u that lies in the tangent space there, in 0..1.
    pub inside: f64,
    /// ‖J v‖ of the unit direction v that u becomes there.
    pub pullback_length: f64,
    /// ⟨u, h⟩ less that of the first picture.
    pub amount: f64,
    /// ‖Δh‖ from the picture before.
    pub step: f64,
}

/// `report.json` of `measure --concept`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConceptReport {
    /// The model.
    pub model: ModelReference,
    /// The training timestep at which it is measured, that of a step.
    pub timestep: usize,
    /// The timestep at which it was found, if its file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_at: Option<usize>,
    /// Which row of the file's `left`.
    pub direction: usize,
    /// In the order of the pictures.
    pub stops: Vec<Stop>,
    /// Length in H of the path through the pictures.
    pub length: f64,
    /// The part of it along the concept: Σ |Δ⟨u, h⟩|.
    pub along: f64,
    /// Seconds in all.
    pub seconds: f64,
}

/// What the files hold.
struct Given {
    /// The concept, a unit vector of H.
    direction: Block,
    /// Where to measure it, as a share of the noise schedule.
    at: f64,
    /// The timestep at which it was found, if its file says.
    found_at: Option<usize>,
    /// `[1, H, W, C]` each.
    pictures: Vec<Tensor<f32>>,
}

fn read(
    concept: &InputFile,
    arguments: &MeasureArguments,
    model: &DiffusionModel,
) -> Result<Given, StudyError> {
    if arguments.pictures.len() < 2 {
        let why = "must name at least two pictures: they are the stops of a path";
        return Err(StudyError::argument("--pictures", why));
    }
    require_same_model(concept, model)?;
    let found_at = found_at(concept)?;
    if let Some(timestep) = found_at.filter(|_| arguments.at != SHARES) {
        let why = format!(
            "would not count, as the directions of {} were found at timestep {timestep}, and are \
             measured at the step nearest to it. Leave it out",
            concept.path.display()
        );
        return Err(StudyError::argument("--at", why));
    }
    let pictures = arguments.pictures.iter();
    let pictures = pictures.map(|file| read_picture(file, None, model));
    let pictures: Vec<Tensor<f32>> = pictures.collect::<Result<_, _>>()?;
    let [height, width] = [1, 2].map(|axis| pictures[0].dims()[axis] / model.scale());
    let hidden = model.hidden_dims((height, width))?;
    let row = read_hidden(concept, "left", arguments.direction, &hidden)?;
    Ok(Given {
        direction: Block::from_vec(1, row.len(), row)?.normalised(),
        // Elsewhere than where it was found it may mean nothing.
        at: found_at.map_or(arguments.at[0], |timestep| {
            timestep as f64 / model.schedule.num_train_timesteps as f64
        }),
        found_at,
        pictures,
    })
}

/// Refuses files that cannot be read, or do not fit the model or each other.
///
/// # Errors
/// Names the argument, or the file and what is wrong with it.
pub(super) fn check(
    concept: &InputFile,
    arguments: &MeasureArguments,
    model: &DiffusionModel,
) -> Result<(), StudyError> {
    let given = read(concept, arguments, model)?;
    let inverse = DdimInverse::new(&model.schedule.invertible(), arguments.steps)?;
    steps_to(&inverse, given.at)?;
    Ok(())
}

/// Measures the concept at each picture.
///
/// # Errors
/// When a file cannot be read or does not fit the model, the basis does not
/// converge, the network fails or the user asks to stop.
pub(super) fn run(
    concept: &InputFile,
    arguments: &MeasureArguments,
    model: &DiffusionModel,
    seed: u64,
    progress: &mut dyn Progress,
) -> Result<ConceptReport, StudyError> {
    let clock = Instant::now();
    let given = read(concept, arguments, model)?;
    let (u, found_at) = (given.direction.into_vec(), given.found_at);
    let states = given.pictures.into_iter().map(|p| model.state(p));
    let states: Vec<Tensor<f32>> = states.collect::<Result<_, _>>()?;
    let network = model.at((states[0].dims()[1], states[0].dims()[2]))?;
    let inverse = DdimInverse::new(&model.schedule.invertible(), arguments.steps)?;
    let steps = steps_to(&inverse, given.at)?;
    let timestep = inverse.timesteps()[steps - 1];
    let map = Bottleneck::new(&network, timestep as f64)?;
    let mut denoiser = network.denoiser()?;
    progress.begin("measuring pictures", (states.len() * steps) as u64);
    let mut stops: Vec<Stop> = Vec::with_capacity(states.len());
    let (mut before, mut first) = (Vec::new(), 0.0);
    for (file, clean) in arguments.pictures.iter().zip(&states) {
        let refine = usual_refinements(model);
        let noisy = noised(&mut denoiser, &inverse, clean, steps, refine, progress)?;
        let spectrum = spectrum_at(&network, &noisy, timestep, arguments.rank, seed)?;
        let basis = TangentBasis::from(spectrum);
        let vector = transport(&u, &basis)?;
        let vector = Block::from_vec(1, vector.len(), vector)?;
        let jacobian = map.jacobian(&noisy)?;
        let h = jacobian.value();
        let amount = dot(&u, &h);
        if stops.is_empty() {
            first = amount;
            before = h.clone();
        }
        let left = basis.left();
        let squares = (0..left.rows()).map(|i| dot(left.row(i), &u).powi(2));
        let step: Vec<f32> = h.iter().zip(&before).map(|(a, b)| a - b).collect();
        stops.push(Stop {
            picture: file.path.display().to_string(),
            inside: squares.sum::<f64>().sqrt(),
            pullback_length: pullback_length(&jacobian, &vector)?[0],
            amount: amount - first,
            step: norm(&step),
        });
        before = h;
    }
    let moves = stops.windows(2).map(|pair| pair[1].amount - pair[0].amount);
    Ok(ConceptReport {
        model: model.reference.clone(),
        timestep,
        found_at,
        direction: arguments.direction,
        length: stops.iter().map(|s| s.step).sum(),
        along: moves.map(f64::abs).sum(),
        stops,
        seconds: clock.elapsed().as_secs_f64(),
    })
}

impl fmt::Display for ConceptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elsewhere = match self.found_at {
            Some(found) if found != self.timestep => format!(
                " (found at {found}; this is the nearest step, and more --steps are nearer)"
            ),
            _ => String::new(),
        };
        writeln!(
            f,
            "direction {} at timestep {}{}: picture, ‖J v‖, share inside, ⟨u, h⟩, ‖Δh‖",
            self.direction, self.timestep, elsewhere
        )?;
        for stop in &self.stops {
            writeln!(
                f,
                "  {:32} {:8.3} {:5.1} % {:>9} {:8.3}",
                stop.picture,
                stop.pullback_length,
                100.0 * stop.inside,
                numbers::signed(stop.amount, 3),
                stop.step
            )?;
        }
        write!(
            f,
            "path of length {:.3} in H, {:.3} of it along the concept, {:.1} s",
            self.length, self.along, self.seconds
        )
    }
}
