//! `discover`: the directions in which a model's bottleneck moves most.
//!
//! At a noisy sample x_t, the map f from x to the bottleneck h has the Jacobian
//! J. Its singular vectors are the directions of the space of samples along
//! which the bottleneck moves most (Park et al., arXiv 2302.12469 and
//! 2307.12868). Walking along one and sampling to the end shows what it means.

pub(crate) mod basis;
pub mod findings;
pub mod page;
pub mod sheet;
mod sliders;
#[cfg(test)]
mod synthetic;
pub mod table;

pub use basis::{Basis, Space, find_basis};

use crate::directions::{Precision, file_for, insert_rows};
use crate::drawing::{check_bound, drawn_by};
use crate::points::{check_share, nearest};
use crate::reader::Reader;
use crate::responses::strongest;
use crate::sampling::{pictures, run_steps};
use crate::walk::{Held, Method, Start, Walk};
use crate::{DiffusionModel, InputFile, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Draws, Eta, Network, Sampler, initial_noise};
use alice_geometry::GolubKahan;
use alice_runs::{RunFolder, TensorFile};
use findings::{DiscoverReport, Findings, Pictures, WalkReport};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Instant;

/// What to discover.
#[derive(Clone, Debug, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscoverArguments {
    /// Noisy samples to start from (safetensors: `sample` [N,C,H,W], `timestep` [1] or [N]); the first is the point
    #[arg(long, value_name = "FILE", conflicts_with_all = ["at", "samples", "sample"])]
    pub input: Option<InputFile>,
    /// How many directions to find
    #[arg(long, default_value_t = 50)]
    pub rank: usize,
    /// The bottleneck as it is, or summed over its positions
    #[arg(long, value_enum, default_value_t = Space::Full)]
    pub space: Space,
    /// Largest residual of a direction, relative to the first singular value; at least 1e-6
    #[arg(long, default_value_t = 1e-4)]
    pub tolerance: f64,
    /// Memory that finding the directions may take, in MiB; without it, some
    /// vectors for each thread go through the network together
    #[arg(long, value_name = "MIB")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<usize>,
    /// Find the basis only: no samples, no walks, no pictures
    #[arg(long)]
    pub basis_only: bool,
    /// Where to linearise, as a share of the noise schedule (1 is pure noise)
    #[arg(long, default_value_t = 0.6, value_name = "SHARE")]
    pub at: f64,
    /// DDIM steps from noise to picture
    #[arg(long, default_value_t = 50)]
    pub steps: usize,
    /// How many samples to draw
    #[arg(long, default_value_t = 8)]
    pub samples: usize,
    /// Which sample to treat, counted from 0 [default: 1, the second, or 0 if there is one only]
    #[arg(long, value_name = "INDEX")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<usize>,
    /// How many directions to walk along, the strongest first
    #[arg(long, default_value_t = 12)]
    pub walks: usize,
    /// How a walk moves
    #[arg(long, value_enum, default_value_t = Method::Guidance)]
    pub method: Method,
    /// Length of a walk to each end: root mean square change of a noisy pixel, which walks by guidance
    /// have at first and lose as they turn
    /// [default: 0.3; 0.1 of geodesics, which longer walks lose]
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<f64>,
    /// Updates from the sample to each end of a walk
    #[arg(long, default_value_t = 16)]
    pub iterations: usize,
    /// Pictures from the sample to each end of a walk
    #[arg(long, default_value_t = 4)]
    pub frames: usize,
    /// Do not look for sliders: combinations of the directions that move one factor alone
    #[arg(long)]
    #[serde(default)]
    pub no_sliders: bool,
    /// Read the factors of the puppet show from the pictures of another model
    #[arg(long)]
    pub puppets: bool,
}

impl Default for DiscoverArguments {
    fn default() -> Self {
        Self {
            input: None,
            rank: 50,
            space: Space::Full,
            tolerance: 1e-4,
            memory: None,
            basis_only: false,
            at: 0.6,
            steps: 50,
            samples: 8,
            sample: None,
            walks: 12,
            method: Method::Guidance,
            reach: None,
            iterations: 16,
            frames: 4,
            no_sliders: false,
            puppets: false,
        }
    }
}

impl DiscoverArguments {
    /// The sample to treat. The bundled model's first one is a horse whose hat is
    /// undecided, so that its directions say little but that.
    fn treated(&self) -> usize {
        self.sample.unwrap_or(usize::from(self.samples > 1))
    }

    fn walk(&self) -> Walk {
        let reach = self.reach.unwrap_or(self.method.usual_reach());
        Walk::new(self.method, self.iterations, self.frames, reach)
    }
}

/// Refuses arguments that fit no model, before anything is written.
///
/// # Errors
/// Naming the first argument that does not make sense.
pub fn check(arguments: &DiscoverArguments) -> Result<(), StudyError> {
    if !(GolubKahan::FINEST..1.0).contains(&arguments.tolerance) {
        let why = format!(
            "{:e}; it must be at least {:e}, as networks compute in f32, and below 1",
            arguments.tolerance,
            GolubKahan::FINEST
        );
        return Err(StudyError::argument("--tolerance", why));
    }
    check_bound("--samples", arguments.samples)?;
    if arguments.samples == 0 {
        return Err(StudyError::argument("--samples", "must be at least 1"));
    }
    if arguments.walks == 0 && !arguments.basis_only {
        let why = "must be at least 1; --basis-only walks along none";
        return Err(StudyError::argument("--walks", why));
    }
    if arguments.input.is_none() && arguments.treated() >= arguments.samples {
        return Err(StudyError::argument(
            "--sample",
            format!(
                "{}; samples are counted from 0 to {}",
                arguments.treated(),
                arguments.samples - 1
            ),
        ));
    }
    check_share(arguments.at, "--at")?;
    arguments.walk().check()
}

/// Runs `discover` and writes its files, all but `report.json`, which the
/// caller writes last.
///
/// # Errors
/// When an argument does not fit the model, the network fails, a file cannot
/// be read or written, or the user asks to stop.
pub fn run(
    arguments: &DiscoverArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<DiscoverReport, StudyError> {
    let findings = discover(arguments, model, seed, folder, progress)?;
    if !arguments.basis_only {
        let metadata = drawn_by(folder.recipe(), findings.samples.size);
        let sheet = sheet::sheet(&findings)?;
        folder.write_png("sheet.png", &sheet, &metadata)?;
        if let Some(sheet) = sheet::sliders(&findings)? {
            folder.write_png("sliders.png", &sheet, &metadata)?;
        }
        let page = page::page(&findings, folder.recipe())?;
        folder.write_text("report.html", &page)?;
    }
    Ok(findings.report)
}

/// The point at which the bottleneck is linearised.
struct Point {
    /// x_t `[1, H, W, C]`.
    sample: Tensor<f32>,
    timestep: f64,
    /// Clean samples, the point's own among them.
    drawn: Pictures,
}

fn discover(
    arguments: &DiscoverArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<Findings, StudyError> {
    let clock = Instant::now();
    let mut sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
    let (network, point) = match &arguments.input {
        Some(file) => given_point(&file.path, model, &mut sampler, seed, arguments, progress)?,
        None => drawn_point(model, &sampler, seed, arguments, progress)?,
    };
    progress.begin("finding directions", 1);
    let timestep = Tensor::new(&[1, 1], vec![point.timestep as f32])?;
    let inputs = [("sample", &point.sample), ("timestep", &timestep)];
    let basis = find_basis(&network, &inputs, arguments, seed)?;
    progress.advance(1);
    write_basis(
        &basis,
        file_for(
            &model.reference,
            point.timestep as usize,
            Some(Precision::of(&basis.spectrum, arguments.tolerance)),
        ),
        folder,
    )?;
    let train_steps = model.schedule.num_train_timesteps;
    let mut report = DiscoverReport {
        model: model.reference.clone(),
        timestep: point.timestep as usize,
        timestep_share: point.timestep / train_steps as f64,
        sample: arguments.input.is_none().then(|| arguments.treated()),
        space: arguments.space,
        rank: arguments.rank,
        domain: basis.spectrum.right.dimension(),
        codomain: basis.spectrum.left.dimension(),
        singular_values: basis.spectrum.singular_values.clone(),
        residual: basis.spectrum.residuals.iter().copied().fold(0.0, f64::max),
        converged: basis.spectrum.converged,
        block_products: basis.spectrum.products.blocks(),
        vector_products: basis.spectrum.products.vectors(),
        seconds: basis.seconds,
        total_seconds: 0.0,
        samples: Vec::new(),
        walks: Vec::new(),
        sliders: None,
        instrument: Vec::new(),
    };
    let (mut walks, mut sliders) = (Vec::new(), Vec::new());
    if !arguments.basis_only {
        let reader = Reader::for_model(model, arguments.puppets)?;
        if let Some(reader) = &reader {
            report.instrument = reader.errors();
            report.samples = reader.describe(&point.drawn)?;
        }
        let timestep = point.timestep as usize;
        let start = Start {
            model,
            network: &network,
            sampler: &sampler,
            index: sampler.index_at(point.timestep.round()),
            timestep,
            state: &point.sample,
            seed,
        };
        (walks, report.walks) =
            walk_directions(arguments, start, &basis, reader.as_ref(), progress)?;
        if let Some(reader) = reader.filter(|_| !arguments.no_sliders) {
            let (drawn, found) =
                sliders::find(arguments, start, &basis, &reader, folder, progress)?;
            (sliders, report.sliders) = (drawn, Some(found));
        }
    }
    report.total_seconds = clock.elapsed().as_secs_f64();
    Ok(Findings {
        report,
        samples: point.drawn,
        walks,
        sliders,
    })
}

/// Draws the samples and keeps the treated one's state at the timestep.
fn drawn_point(
    model: &DiffusionModel,
    sampler: &Ddim,
    seed: u64,
    arguments: &DiscoverArguments,
    progress: &mut dyn Progress,
) -> Result<(Network, Point), StudyError> {
    let size = model.size()?;
    let network = model.at(size)?;
    let mut denoiser = network.denoiser()?;
    let dim = denoiser.dim();
    let grid = sampler.timesteps();
    let times = grid.iter().map(|&t| t as f64);
    let wanted = arguments.at * model.schedule.num_train_timesteps as f64;
    let index = nearest(times, wanted);
    // Only the treated sample is needed for a basis alone.
    let (first, count) = if arguments.basis_only {
        (arguments.treated(), 1)
    } else {
        (0, arguments.samples)
    };
    let draws = Draws {
        seed,
        first_item: first as u64,
    };
    let last = if arguments.basis_only {
        index
    } else {
        grid.len()
    };
    progress.begin("drawing samples", (count * last) as u64);
    let noise = initial_noise(draws, count, dim);
    let noisy = run_steps(
        &mut denoiser,
        sampler,
        draws,
        noise,
        count,
        0..index,
        progress,
    )?;
    let at = (arguments.treated() - first) * dim;
    let treated = noisy[at..at + dim].to_vec();
    let drawn = if arguments.basis_only {
        Vec::new()
    } else {
        let rest = index..grid.len();
        run_steps(&mut denoiser, sampler, draws, noisy, count, rest, progress)?
    };
    let channels = model.channels();
    let sample = Tensor::new(&[1, size.0, size.1, channels], treated)?;
    let drawn = model.pictures(pictures(size, channels, drawn), progress)?;
    let point = Point {
        sample,
        timestep: grid[index] as f64,
        drawn,
    };
    Ok((network, point))
}

/// Reads the noisy samples of a file, and finishes them; the sampler begins where
/// they are.
fn given_point(
    path: &Path,
    model: &DiffusionModel,
    sampler: &mut Ddim,
    seed: u64,
    arguments: &DiscoverArguments,
    progress: &mut dyn Progress,
) -> Result<(Network, Point), StudyError> {
    let file = TensorFile::read(path)?;
    let name = |key: &str| format!("{}, {key}", path.display());
    let sample = file.require_rank("sample", 4)?;
    let timestep = file.require_rank("timestep", 1)?;
    let at = timestep.data.first().copied().unwrap_or(f32::NAN);
    let limit = model.schedule.num_train_timesteps as f32;
    if !(0.0..limit).contains(&at) {
        let why = format!("the timestep {at} is not in 0..{limit}");
        return Err(StudyError::argument(name("timestep"), why));
    }
    let alike = timestep.data.iter().all(|t| *t == at);
    if !alike || ![1, sample.shape[0]].contains(&timestep.data.len()) {
        let why = "must be one for all samples, as they are finished together";
        return Err(StudyError::argument(name("timestep"), why));
    }
    if sample.shape[0] == 0 {
        return Err(StudyError::argument(name("sample"), "holds no sample"));
    }
    if let Some(i) = sample.data.iter().position(|v| !v.is_finite()) {
        let why = format!("value {i} is {}", sample.data[i]);
        return Err(StudyError::argument(name("sample"), why));
    }
    let size = (sample.shape[2], sample.shape[3]);
    let channels = model.channels();
    if sample.shape[1] != channels {
        let why = format!("has {} channels and the model {channels}", sample.shape[1]);
        return Err(StudyError::argument(name("sample"), why));
    }
    // A state is finished from the noise that it has.
    let begin = at.round().min(limit - 1.0) as usize;
    if !sampler.timesteps().contains(&begin) {
        *sampler = sampler.clone().beginning_at(begin)?;
    }
    let network = model.at(size)?;
    let all = Tensor::new(&sample.shape, sample.data.clone())?.to_channels_last()?;
    let count = all.batch();
    let first = all.data()[..all.item_len()].to_vec();
    let drawn = if arguments.basis_only {
        Vec::new()
    } else {
        let mut denoiser = network.denoiser()?;
        let steps = sampler.index_at(begin as f64)..sampler.timesteps().len();
        progress.begin("finishing samples", (count * steps.len()) as u64);
        let draws = Draws {
            seed,
            first_item: 0,
        };
        let states = all.into_data();
        run_steps(
            &mut denoiser,
            sampler,
            draws,
            states,
            count,
            steps,
            progress,
        )?
    };
    let sample = Tensor::new(&[1, size.0, size.1, channels], first)?;
    let drawn = model.pictures(pictures(size, channels, drawn), progress)?;
    let point = Point {
        sample,
        timestep: f64::from(at),
        drawn,
    };
    Ok((network, point))
}

fn write_basis(
    basis: &Basis,
    mut file: TensorFile,
    folder: &mut RunFolder,
) -> Result<(), StudyError> {
    let spectrum = &basis.spectrum;
    let values: Vec<f32> = spectrum.singular_values.iter().map(|&s| s as f32).collect();
    file.insert("singular_values", &[values.len()], values)?;
    for (name, block) in [("right", &spectrum.right), ("left", &spectrum.left)] {
        insert_rows(&mut file, name, block)?;
    }
    folder.write_tensors("basis.safetensors", &file)?;
    Ok(())
}

/// Walks along the strongest directions and reads what each changed.
fn walk_directions(
    arguments: &DiscoverArguments,
    start: Start<'_>,
    basis: &Basis,
    reader: Option<&Reader>,
    progress: &mut dyn Progress,
) -> Result<(Vec<Pictures>, Vec<WalkReport>), StudyError> {
    let walk = arguments.walk();
    let count = arguments.walks.min(arguments.rank);
    let directions = start.layout(&basis.spectrum.right, count)?;
    let positions = walk.positions();
    let drawn = walk.draw(start, &directions, progress)?;
    let held = drawn.held;
    let drawn = drawn.pictures;
    let item = positions.len() * drawn.item_len();
    let mut walks = Vec::with_capacity(count);
    let mut reports = Vec::with_capacity(count);
    for (direction, values) in drawn.values.chunks_exact(item.max(1)).enumerate() {
        let frames = pictures(drawn.size, drawn.channels, values.to_vec());
        let sigma = basis.spectrum.singular_values[direction];
        let reach = walk.reach;
        // What a lost walk changed says nothing of its direction.
        let held = held[direction];
        let reader = reader.filter(|_| !held.is_some_and(Held::is_lost));
        let report = report_walk(direction, sigma, reach, &positions, &frames, reader)?;
        reports.push(WalkReport { held, ..report });
        walks.push(frames);
    }
    Ok((walks, reports))
}

/// What a walk says: how far apart its ends are, and what a reader sees.
pub(crate) fn report_walk(
    direction: usize,
    singular_value: f64,
    reach: f64,
    positions: &[f64],
    frames: &Pictures,
    reader: Option<&Reader>,
) -> Result<WalkReport, StudyError> {
    let ends = frames.get(0).iter().zip(frames.get(frames.len() - 1));
    let squares: f64 = ends.map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let mut report = WalkReport {
        direction,
        singular_value,
        reach,
        positions: positions.to_vec(),
        responses: Vec::new(),
        strongest: None,
        purity: None,
        sound: None,
        pixel_change: (squares / frames.item_len() as f64).sqrt(),
        held: None,
    };
    if let Some(reader) = reader {
        let (responses, sound) = reader.along(positions, &reader.validity(frames)?);
        let found = strongest(&responses);
        report.strongest = found.map(|(factor, _)| responses[factor].factor.clone());
        report.purity = found.map(|(_, purity)| purity);
        report.sound = Some(sound);
        report.responses = responses;
    }
    Ok(report)
}
