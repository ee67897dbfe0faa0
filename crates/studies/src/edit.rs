//! `edit`: walk a picture along a direction.
//!
//! The picture is inverted to the noisy state x_t (DDIM), x_t walks along the
//! direction both ways, and each state on the way is sampled back to a
//! picture (Park et al., arXiv 2307.12868).

mod direction;
mod mixture;

pub use mixture::Mixture;

use crate::directions::{found_at, read_reaches, require_same_model};
use crate::discover::findings::{FactorResponse, Pictures};
use crate::drawing::drawn_by;
use crate::input::InputFile;
use crate::invert::{
    ReconstructionError, check_refinements, difference, noised, read_picture, steps_to,
    usual_refinements,
};
use crate::mask::{cells, read_mask};
use crate::pictures::numbers;
use crate::pictures::{Tones, Zoom, to_picture};
use crate::points::check_distinct;
use crate::raster::sheet;
use crate::reader::Reader;
use crate::responses::{is_moved, rises_alone, share};
use crate::transport::LITTLE_CARRIED;
use crate::walk::{Held, LONGEST, Method, Start, Walk};
use crate::world::find_factor;
use crate::{DiffusionModel, Progress, StudyError};
use alice_diffusion::{Ddim, DdimInverse, Eta};
use alice_runs::{ModelReference, RunFolder, picture};
use direction::{Candidates, Direction, Last, local_directions, own_directions, own_slider};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// How long each frame of the animation is shown.
const MILLISECONDS_PER_FRAME: u16 = 120;

/// What `edit` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct EditArguments {
    /// The picture, a PNG of the model's size
    #[arg(value_name = "PICTURE")]
    pub picture: InputFile,
    /// Crop and scale a picture of another size
    #[arg(long)]
    pub resize: bool,
    /// Which direction to walk along, counted from 0, the strongest; or a mixture, as 3:1,7:-0.5
    #[arg(
        long,
        value_name = "INDEX[:WEIGHT],…",
        default_value = "0",
        allow_hyphen_values = true
    )]
    pub direction: Mixture,
    /// Move one factor of the puppet show (smile, light …; a wrong name lists them all), by
    /// a combination of the picture's own directions that leaves the others as they are
    #[arg(
        long,
        value_name = "FACTOR",
        conflicts_with_all = ["direction", "disentangle", "mask", "basis", "strength", "method", "iterations", "steady"]
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<String>,
    /// Directions of the mixture, or of a file of sliders, whose meaning must not change: their span is taken out
    #[arg(long, value_name = "INDEX,…", value_delimiter = ',')]
    #[serde(default)]
    pub disentangle: Vec<usize>,
    /// Look for directions that change most what is white in this PNG, or transparent, and least the rest, those of the predicted picture inside it
    #[arg(long, value_name = "FILE", conflicts_with = "basis")]
    #[serde(default)]
    pub mask: Option<InputFile>,
    /// Directions of a file: the basis of discover as it is; directions of the bottleneck, which global
    /// and transport make, carried into the picture's own tangent space, or with --method hspace, as
    /// those of hspace, added to it [default: the directions of the picture itself]
    #[arg(long, value_name = "FILE")]
    pub basis: Option<InputFile>,
    /// Where to walk, as a share of the noise schedule
    #[arg(long, value_name = "SHARE", default_value_t = 0.6)]
    pub at: f64,
    /// Length of the walk to each end: root mean square change of a noisy pixel, which walks by
    /// guidance have at first and lose as they turn; of directions of the bottleneck itself, a share
    /// of its length
    /// [default: 0.3; 0.1 of geodesics, which longer walks lose; what a file of sliders says of each]
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// How the walk moves [default: guidance; linear with --mask or a file of sliders, which keep the rest only when walked along straight]
    #[arg(long, value_enum)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Steps from picture to noise, and back
    #[arg(long, default_value_t = 100)]
    pub steps: usize,
    /// Fixed-point iterations per step of the way to noise [default: 3; 0 for latents, where they
    /// take long]
    #[arg(long, value_name = "N")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refine: Option<usize>,
    /// Updates from the picture to each end of the walk
    #[arg(long, default_value_t = 16)]
    pub iterations: usize,
    /// Pictures from the original to each end of the walk
    #[arg(long, default_value_t = 8)]
    pub frames: usize,
    /// Share of the noise schedule, at its end, sampled with fresh noise: restores texture
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    #[serde(default)]
    pub stochastic: f64,
    /// Keep the mean and the contrast of the predicted picture at every update (guidance, linear and geodesic)
    #[arg(long)]
    #[serde(default)]
    pub steady: bool,
    /// Read the factors of the puppet show from the pictures of another model
    #[arg(long)]
    #[serde(default)]
    pub puppets: bool,
}

/// What `edit` did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EditReport {
    /// The model.
    pub model: ModelReference,
    /// The factor that was to be moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<String>,
    /// The direction walked along.
    pub direction: Mixture,
    /// What `--strength` asked for: root mean square displacement of a noisy pixel at each end, had
    /// every update the length of the first; of directions of H the length of Δh as a share of ‖h‖.
    pub reach: f64,
    /// The singular values of its terms.
    pub singular_values: Vec<f64>,
    /// The timestep of the walk.
    pub timestep: usize,
    /// The timestep at which the directions of a file were found, if it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_at: Option<usize>,
    /// Of a direction of H that was carried to the picture, the share that lies
    /// in the tangent space there, in 0..1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carried: Option<f64>,
    /// Of a geodesic, the least share of its direction in H that lay in the
    /// tangent space on the way, in 0..1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// How far the middle of the strip is from the picture: what inversion
    /// and sampling lose before any edit.
    pub unedited: ReconstructionError,
    /// How far each end of the walk is from the middle.
    pub ends: [ReconstructionError; 2],
    /// Where each frame lies, in −1..1.
    pub positions: Vec<f64>,
    /// Share of the squared change, from end to end, inside the mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inside: Option<f64>,
    /// What the instrument reads along the walk; empty without one.
    pub factors: Vec<FactorResponse>,
    /// Seconds in all.
    pub seconds: f64,
}

impl fmt::Display for EditReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let at = self.timestep;
        if let Some(factor) = &self.factor {
            let directions = self.singular_values.len();
            let label = numbers::factor_label(factor);
            writeln!(f, "{label}, by {directions} directions at timestep {at}")?;
            f.write_str(&self.outcome(factor))?;
        } else {
            let figure = |s: &f64| format!("{s:.3}");
            let sigmas: Vec<_> = self.singular_values.iter().map(figure).collect();
            let (direction, sigmas) = (&self.direction, sigmas.join(", "));
            write!(f, "direction {direction} (σ {sigmas}) at timestep {at}")?;
            match self.found_at {
                Some(found) if found != at => writeln!(f, "; it was found at {found}")?,
                _ => writeln!(f)?,
            }
            if let Some(inside) = self.carried {
                let share = numbers::percent(inside);
                write!(
                    f,
                    "carried into the picture's tangent space, {share} of it inside"
                )?;
                let little = inside < LITTLE_CARRIED;
                let more = if little {
                    "; --method hspace adds all of it"
                } else {
                    ""
                };
                writeln!(f, "{more}")?;
            }
            if let Some(held) = self.held {
                let share = numbers::percent(held.0);
                writeln!(
                    f,
                    "at least {share} of it inside the tangent space on the way"
                )?;
            }
        }
        writeln!(
            f,
            "change: {:.1} and {:.1} of 255 at the ends; {:.1} before any edit (root mean square)",
            self.ends[0].root_mean_square,
            self.ends[1].root_mean_square,
            self.unedited.root_mean_square
        )?;
        if let Some(inside) = self.inside {
            writeln!(
                f,
                "{:.1} % of the change is inside the mask",
                100.0 * inside
            )?;
        }
        let mut moved: Vec<&FactorResponse> = self.factors.iter().collect();
        moved.sort_by(|a, b| b.change.abs().total_cmp(&a.change.abs()));
        for response in moved.iter().take(4) {
            writeln!(
                f,
                "  {:26} {} sd, ρ {}",
                numbers::factor_label(&response.factor),
                numbers::signed(response.change, 2),
                response.rho()
            )?;
        }
        write!(
            f,
            "strip.png, frames/ ({}), walk.png (animated), walk.gif, {:.1} s",
            self.positions.len(),
            self.seconds
        )
    }
}

impl EditReport {
    /// Whether a factor moved, and alone, in a line; none without an instrument.
    fn outcome(&self, factor: &str) -> String {
        let Some(place) = self.factors.iter().position(|r| r.factor == factor) else {
            return String::new();
        };
        let own = &self.factors[place];
        let found = if !is_moved(own.change, own.spearman) {
            "it hardly moves: another --at may move it, or another picture"
        } else if !rises_alone(&self.factors, place) {
            "it does not rise alone: another --at may do better"
        } else {
            "it rises alone"
        };
        let share = numbers::percent(share(&self.factors, place).abs());
        format!("{found}; {share} of all change is its own\n")
    }
}

impl EditArguments {
    /// How far a file of sliders says that these are to be walked along, the
    /// shortest of a mixture's; nothing of other files.
    fn slider_reach(&self) -> Result<Option<f64>, StudyError> {
        let reaches = self.basis.as_ref().map(read_reaches).transpose()?.flatten();
        Ok(reaches.and_then(|reaches| {
            let own = |(index, _): &(usize, f64)| reaches.get(*index).copied();
            let own = self.direction.terms.iter().filter_map(own);
            own.reduce(f64::min)
        }))
    }

    fn walk(&self) -> Result<Walk, StudyError> {
        if self.factor.is_some() {
            let reach = Method::Linear.usual_reach();
            let walk = Walk::new(Method::Linear, self.frames, self.frames, reach);
            walk.check()?;
            return Ok(walk);
        }
        let slider = self.slider_reach()?;
        // Guidance goes where the prediction changes, not along the direction:
        // what the mask's directions or a slider's leave alone would move too.
        let straight = self.mask.is_some() || slider.is_some();
        let method = self.method.unwrap_or(if straight {
            Method::Linear
        } else {
            Method::Guidance
        });
        // A slider's length is for walks straight ahead.
        let usual = slider.filter(|_| method == Method::Linear);
        let usual = usual.unwrap_or(method.usual_reach());
        let strength = self.strength.unwrap_or(usual);
        let walk = Walk {
            steady: self.steady,
            ..Walk::new(method, self.iterations, self.frames, strength)
        };
        if !(strength > 0.0 && strength <= LONGEST) {
            let why = format!("must lie above 0 and at most at {LONGEST}");
            return Err(StudyError::argument("--strength", why));
        }
        walk.check()?;
        Ok(walk)
    }

    /// The place of `--factor` in the world's order.
    fn find_factor(&self) -> Result<Option<usize>, StudyError> {
        let find = |name: &String| find_factor("--factor", name);
        self.factor.as_ref().map(find).transpose()
    }

    /// The instrument, which moving a factor cannot do without.
    fn reader(&self, model: &DiffusionModel) -> Result<Option<Reader>, StudyError> {
        if self.factor.is_some() {
            return Reader::required(model, self.puppets, "edit --factor").map(Some);
        }
        Reader::for_model(model, self.puppets)
    }

    fn eta(&self) -> Eta {
        Eta::Tail {
            eta: if self.stochastic > 0.0 { 1.0 } else { 0.0 },
            fraction: self.stochastic,
        }
    }
}

/// Refuses arguments that do not fit the model, and files that cannot be read.
///
/// # Errors
/// Names the argument, or the file and what is wrong with it.
pub fn check(arguments: &EditArguments, model: &DiffusionModel) -> Result<(), StudyError> {
    arguments.walk()?;
    check_refinements(arguments.refine.unwrap_or(0))?;
    let inverse = DdimInverse::new(&model.schedule.invertible(), arguments.steps)?;
    steps_to(&inverse, arguments.at)?;
    Ddim::new(
        &model.schedule.invertible(),
        arguments.steps,
        arguments.eta(),
    )?;
    let others = !arguments.disentangle.is_empty()
        || arguments.mask.is_some()
        || arguments.basis.is_some()
        || arguments.steady;
    if arguments.factor.is_some() && others {
        let why = "takes no --disentangle, --mask, --basis and --steady";
        return Err(StudyError::argument("--factor", why));
    }
    check_distinct(&arguments.disentangle, "--disentangle")?;
    arguments.find_factor()?;
    arguments.reader(model)?;
    let picture = read_picture(&arguments.picture, Some(arguments.resize), model)?;
    if let Some(mask) = &arguments.mask {
        let size = (picture.dims()[1], picture.dims()[2]);
        let inside = cells(&read_mask(mask, size)?, size, model.scale());
        if !inside.contains(&false) {
            let scale = model.scale();
            let why = format!(
                "some of every cell of {scale} × {scale} pixels is bright, and the model works on \
                 whole cells: nothing would be kept. Leave a cell dark"
            );
            return Err(StudyError::argument(mask.path.display().to_string(), why));
        }
    }
    if let Some(basis) = &arguments.basis {
        require_same_model(basis, model)?;
        let scale = model.scale();
        let dims = [
            1,
            picture.dims()[1] / scale,
            picture.dims()[2] / scale,
            model.channels(),
        ];
        let candidates = Candidates::read(basis, &dims)?;
        let size = (dims[1], dims[2]);
        candidates.check_space(basis, || model.hidden_dims(size))?;
        candidates.check("--direction", &[arguments.direction.last()])?;
        candidates.check("--disentangle", &arguments.disentangle)?;
        candidates.mix(&arguments.direction, &arguments.disentangle, None, &dims)?;
    }
    Ok(())
}

/// Inverts, walks, samples back and writes the strip and the animations.
///
/// # Errors
/// Those of [`check`]; when the network fails, the folder cannot be written or
/// the user asks to stop.
pub fn run(
    arguments: &EditArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<EditReport, StudyError> {
    let clock = Instant::now();
    let mut walk = arguments.walk()?;
    let picture = read_picture(&arguments.picture, Some(arguments.resize), model)?;
    let clean = model.state(picture.clone())?;
    let network = model.at((clean.dims()[1], clean.dims()[2]))?;
    let mut denoiser = network.denoiser()?;
    let inverse = DdimInverse::new(&model.schedule.invertible(), arguments.steps)?;
    let steps = steps_to(&inverse, arguments.at)?;
    let timestep = inverse.timesteps()[steps - 1];
    progress.begin("inverting", steps as u64);
    let refine = arguments.refine.unwrap_or(usual_refinements(model));
    let noisy = noised(&mut denoiser, &inverse, &clean, steps, refine, progress)?;
    progress.begin("finding the direction", 1);
    let pixels = (picture.dims()[1], picture.dims()[2]);
    let mask = arguments.mask.as_ref();
    let mask = mask.map(|file| read_mask(file, pixels)).transpose()?;
    let inside = mask.as_ref().map(|mask| cells(mask, pixels, model.scale()));
    let sampler = Ddim::new(
        &model.schedule.invertible(),
        arguments.steps,
        arguments.eta(),
    )?;
    let start = Start {
        model,
        network: &network,
        sampler: &sampler,
        index: arguments.steps - steps,
        timestep,
        state: &noisy,
        seed,
    };
    let reader = arguments.reader(model)?;
    let basis = arguments.basis.as_ref();
    let basis_timestep = basis.map(found_at).transpose()?.flatten();
    let (mixture, direction) = match reader.as_ref().zip(arguments.find_factor()?) {
        Some((reader, factor)) => {
            let slider = own_slider(start, reader, factor, progress)?;
            walk.reach = slider.reach;
            (slider.mixture, slider.direction)
        }
        None => (
            arguments.direction.clone(),
            find_direction(arguments, start, inside.as_deref())?,
        ),
    };
    let positions = walk.positions();
    let (frames, held) = direction.draw(&walk, start, progress)?;
    write(folder, &frames, &positions)?;
    // What was carried is of the picture's own timestep.
    let found_at = match direction.carried {
        Some(_) => timestep,
        None => basis_timestep.unwrap_or(timestep),
    };
    let found = direction.tensors(clean.dims(), &model.reference, found_at)?;
    folder.write_tensors("direction.safetensors", &found)?;
    let middle = frames.get(arguments.frames);
    let last = frames.get(frames.len() - 1);
    let factors = match reader {
        Some(reader) => reader.along(&positions, &reader.validity(&frames)?).0,
        None => Vec::new(),
    };
    Ok(EditReport {
        model: model.reference.clone(),
        factor: arguments.factor.clone(),
        direction: mixture,
        reach: walk.reach,
        singular_values: direction.singular_values,
        timestep,
        found_at: basis_timestep,
        carried: direction.carried,
        held,
        unedited: difference(picture.data(), middle),
        ends: [frames.get(0), last].map(|end| difference(middle, end)),
        positions,
        inside: mask.map(|mask| share_inside(&mask, frames.get(0), last)),
        factors,
        seconds: clock.elapsed().as_secs_f64(),
    })
}

/// The mixture of the directions of a basis, of the mask, or of the picture.
fn find_direction(
    arguments: &EditArguments,
    start: Start<'_>,
    mask: Option<&[bool]>,
) -> Result<Direction, StudyError> {
    let (mixture, without) = (&arguments.direction, &arguments.disentangle);
    let last = match without.iter().max() {
        Some(&index) if index > mixture.last() => Last {
            index,
            option: "--disentangle",
        },
        _ => Last {
            index: mixture.last(),
            option: "--direction",
        },
    };
    let dims = start.state.dims();
    if let Some(mask) = mask {
        let (inside, rest) = local_directions(start, mask, last)?;
        return inside.mix(mixture, without, Some(&rest), dims);
    }
    let candidates = match &arguments.basis {
        Some(basis) => Candidates::read(basis, dims)?,
        None => own_directions(start, last)?,
    };
    let direction = candidates.mix(mixture, without, None, dims)?;
    if arguments.method == Some(Method::Hspace) {
        return Ok(direction);
    }
    direction.carried(start)
}

/// The share of the squared difference of two pictures, channels last, that
/// lies in the mask's pixels.
fn share_inside(mask: &[bool], a: &[f32], b: &[f32]) -> f64 {
    let channels = a.len() / mask.len();
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    let (mut inside, mut all) = (0.0, 0.0);
    for (i, square) in squares.enumerate() {
        all += square;
        inside += if mask[i / channels] { square } else { 0.0 };
    }
    if all > 0.0 { inside / all } else { 1.0 }
}

/// The strip, the frames and the animations there and back.
fn write(folder: &mut RunFolder, frames: &Pictures, positions: &[f64]) -> Result<(), StudyError> {
    let labels: Vec<_> = positions.iter().map(|&p| label(p)).collect();
    let strip = sheet(frames, strip_columns(frames.len()), &labels)?;
    let metadata = drawn_by(folder.recipe(), frames.size);
    folder.write_png("strip.png", &strip, &metadata)?;
    let (zoom, tones) = (Zoom::fit(frames.size, (256, 256)), Tones::of(frames));
    let digits = (frames.len() - 1).to_string().len().max(2);
    for i in 0..frames.len() {
        let frame = to_picture(frames, i, tones)?;
        let name = format!("frames/{i:0digits$}.png");
        folder.write_png(&name, &frame, &metadata)?;
    }
    let there = 0..frames.len();
    let back = (1..frames.len().saturating_sub(1)).rev();
    let animation = there
        .chain(back)
        .map(|i| zoom.apply(&to_picture(frames, i, tones)?))
        .collect::<Result<Vec<_>, _>>()?;
    folder.write_apng("walk.png", &animation, MILLISECONDS_PER_FRAME, &metadata)?;
    let gif = picture::encode_gif("walk.gif", &animation, MILLISECONDS_PER_FRAME)?;
    folder.write("walk.gif", &gif)?;
    Ok(())
}

/// Frames in a row of the strip, in rows of about equal length.
fn strip_columns(frames: usize) -> usize {
    // More in one row would be too small to see.
    const MOST: usize = 24;
    frames.div_ceil(frames.div_ceil(MOST))
}

/// A position on the walk, in −1..1.
fn label(position: f64) -> String {
    if position == 0.0 {
        "unedited".to_owned()
    } else {
        format!("{position:+.2}").replace('-', "−")
    }
}

#[cfg(test)]
mod tests {
    use super::strip_columns;

    #[test]
    fn long_strips_are_wrapped_into_equal_rows() {
        for (frames, columns) in [(3, 3), (17, 17), (24, 24), (25, 13), (201, 23)] {
            assert_eq!(strip_columns(frames), columns, "{frames}");
        }
    }
}
