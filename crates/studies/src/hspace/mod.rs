//! `hspace`: directions of the bottleneck itself, and what they mean.
//!
//! `discover` finds directions of X by what they do to H. Here the directions
//! are of H, found without a direction of X: the principal components of h over
//! samples, or the directions in which the predicted noise answers most, the
//! leading right singular vectors of ∂ε/∂h (Haas et al., arXiv 2303.11073,
//! section IV). Each is added to the bottleneck at every step from `--at` on
//! (Kwon et al., arXiv 2210.10960) while a sample is drawn.
//!
//! A verb of its own and no option of `global`: that averages subspaces of
//! ∂h/∂x over samples and draws nothing, and its directions have an image in X
//! at each of them; these have none.

mod find;

use crate::bottleneck::Bottleneck;
use crate::directions::file_for;
use crate::discover::findings::WalkReport;
use crate::discover::{report_walk, sheet, table};
use crate::drawing::{check_bound, drawn_by};
use crate::pictures::numbers;
use crate::points::{check_share, index_at};
use crate::reader::Reader;
use crate::sampling::{pictures, run_steps};
use crate::walk::{LONGEST, Start, positions};
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::{Ddim, Draws, Eta, initial_noise};
use alice_geometry::geodesic::SmoothMap;
use alice_runs::{ModelReference, RunFolder, TensorFile};
use find::Found;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// Samples whose principal components are found.
const SAMPLES: usize = 32;
/// Most walks of a sheet.
const MOST_WALKS: usize = 100;

/// How directions of H are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Principal components of h over samples, anew at every step
    #[default]
    Pca,
    /// Leading right singular vectors of ∂ε/∂h, the same at every step
    Jacobian,
}

/// What `hspace` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct HspaceArguments {
    /// How directions are found
    #[arg(long, value_enum, default_value_t = By::Pca)]
    pub by: By,
    /// Samples that they are directions of [default: 32 for pca, 1 for jacobian]
    #[arg(long, value_name = "COUNT")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// The first of them, counted from 0: the one that is walked
    #[arg(long, default_value_t = 0, value_name = "INDEX")]
    pub sample: usize,
    /// How many directions to find
    #[arg(long, default_value_t = 10)]
    pub rank: usize,
    /// Where to find them and to begin, as a share of the noise schedule (1 is pure noise)
    #[arg(long, default_value_t = 0.6, value_name = "SHARE")]
    pub at: f64,
    /// DDIM steps from noise to picture
    #[arg(long, default_value_t = 50)]
    pub steps: usize,
    /// How many directions to walk along, the strongest first
    #[arg(long, default_value_t = 8)]
    pub walks: usize,
    /// Length of what is added to h at each end of a walk, as a share of ‖h‖ where it begins
    #[arg(long, default_value_t = 0.5)]
    pub reach: f64,
    /// Pictures from the sample to each end of a walk
    #[arg(long, default_value_t = 4)]
    pub frames: usize,
    /// Read the factors of the puppet show from the pictures of another model
    #[arg(long)]
    pub puppets: bool,
}

impl HspaceArguments {
    fn samples(&self) -> usize {
        let own = match self.by {
            By::Pca => SAMPLES,
            By::Jacobian => 1,
        };
        self.samples.unwrap_or(own)
    }
}

/// `report.json` of `hspace`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HspaceReport {
    /// The model.
    pub model: ModelReference,
    /// How the directions were found.
    pub by: By,
    /// Samples that they are directions of.
    pub samples: usize,
    /// The sample that was walked.
    pub sample: usize,
    /// The training timestep at which walks begin.
    pub timestep: usize,
    /// The same as a share of the schedule's length.
    pub timestep_share: f64,
    /// Steps from there on: h is shifted at each.
    pub steps: usize,
    /// Dimension of H.
    pub dimension: usize,
    /// Standard deviations over the samples (pca), or what a unit vector
    /// changes in ε (jacobian), descending.
    pub singular_values: Vec<f64>,
    /// Share of the variance of h along all directions together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<f64>,
    /// Of each direction, the mean cosine of what it is at two steps that
    /// follow each other; empty where it is the same at all, or one step is
    /// left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steadiness: Vec<f64>,
    /// The walks, strongest direction first; `reach` is a share of ‖h‖.
    pub walks: Vec<WalkReport>,
    /// Seconds in all.
    pub seconds: f64,
}

/// Refuses arguments that fit no model, before anything is written.
///
/// # Errors
/// Naming the first argument that does not make sense.
pub fn check(arguments: &HspaceArguments) -> Result<(), StudyError> {
    let (samples, rank) = (arguments.samples(), arguments.rank);
    check_bound("--samples", samples)?;
    check_bound("--sample", arguments.sample)?;
    // Components of a cloud need three states.
    let least = match arguments.by {
        By::Pca => 3,
        By::Jacobian => 1,
    };
    if samples < least {
        return Err(StudyError::argument(
            "--samples",
            format!("{samples}; must be at least {least}"),
        ));
    }
    if rank == 0 {
        return Err(StudyError::argument("--rank", "must be at least 1"));
    }
    if arguments.by == By::Pca && rank >= samples {
        let why = format!(
            "{rank}; {samples} samples have at most {} principal components. Raise --samples",
            samples - 1
        );
        return Err(StudyError::argument("--rank", why));
    }
    check_share(arguments.at, "--at")?;
    for (name, value, most) in [
        ("--walks", arguments.walks, MOST_WALKS),
        ("--frames", arguments.frames, MOST_WALKS),
    ] {
        if !(1..=most).contains(&value) {
            let why = format!("{value}; must lie between 1 and {most}");
            return Err(StudyError::argument(name, why));
        }
    }
    if !(arguments.reach > 0.0 && arguments.reach <= LONGEST) {
        let why = format!("must lie above 0 and at most at {LONGEST}");
        return Err(StudyError::argument("--reach", why));
    }
    Ok(())
}

/// Finds the directions, walks along the leading ones and writes
/// `basis.safetensors` and `sheet.png`; the caller writes `report.json`.
///
/// Cost: to draw the samples; for principal components half an evaluation more
/// for each sample and step from `--at` on, and the Gram matrix of the samples
/// at each; for singular vectors some products of ∂ε/∂h and its transpose with
/// blocks of 8 vectors, for each sample. Then an evaluation for each frame and
/// step. Memory: k directions of H for each step (pca), the linearisations of
/// all samples (jacobian).
///
/// # Errors
/// When an argument does not fit the model, the network fails or the user asks
/// to stop.
pub fn run(
    arguments: &HspaceArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<HspaceReport, StudyError> {
    let clock = Instant::now();
    let reader = Reader::for_model(model, arguments.puppets)?;
    let size = model.size()?;
    let network = model.at(size)?;
    let sampler = Ddim::new(&model.schedule, arguments.steps, Eta::Constant(0.0))?;
    let train_steps = model.schedule.num_train_timesteps;
    let index = index_at(&sampler, arguments.at, train_steps, "--at")?;
    let timestep = sampler.timesteps()[index];
    let count = arguments.samples();
    let dimension = Bottleneck::new(&network, timestep as f64)?.codomain();
    if arguments.rank > dimension {
        let why = format!(
            "{}; the bottleneck has {dimension} dimensions",
            arguments.rank
        );
        return Err(StudyError::argument("--rank", why));
    }
    let draws = Draws {
        seed,
        first_item: arguments.sample as u64,
    };
    let mut denoiser = network.denoiser()?;
    let dim = denoiser.dim();
    progress.begin("drawing samples", (count * index) as u64);
    let noise = initial_noise(draws, count, dim);
    let before = 0..index;
    let noisy = run_steps(
        &mut denoiser,
        &sampler,
        draws,
        noise,
        count,
        before,
        progress,
    )?;
    let dims = [&[1, size.0, size.1], &[model.channels()][..]].concat();
    let state = Tensor::new(&dims, noisy[..dim].to_vec())?;
    let start = Start {
        model,
        network: &network,
        sampler: &sampler,
        index,
        timestep,
        state: &state,
        seed,
    };
    let found = match arguments.by {
        By::Pca => find::principal(start, draws, noisy, arguments.rank, progress)?,
        By::Jacobian => find::leading(start, &noisy, arguments.rank, progress)?,
    };
    let file = file_for(&model.reference, timestep, found.precision);
    write_basis(&found, file, folder)?;
    let walked = found.injection.leading(arguments.walks);
    let drawn = walked.draw(start, arguments.reach, arguments.frames, progress)?;
    let at = positions(arguments.frames);
    let (mut frames, mut walks) = (Vec::new(), Vec::new());
    for (direction, values) in drawn
        .values
        .chunks_exact(at.len() * drawn.item_len())
        .enumerate()
    {
        let shown = pictures(drawn.size, drawn.channels, values.to_vec());
        let sigma = found.values[direction];
        let reach = arguments.reach;
        let report = report_walk(direction, sigma, reach, &at, &shown, reader.as_ref())?;
        walks.push(report);
        frames.push(shown);
    }
    let report = HspaceReport {
        model: model.reference.clone(),
        by: arguments.by,
        samples: count,
        sample: arguments.sample,
        timestep,
        timestep_share: timestep as f64 / train_steps as f64,
        steps: start.steps().len(),
        dimension,
        singular_values: found.values,
        explained: found.explained,
        steadiness: found.steadiness,
        walks,
        seconds: clock.elapsed().as_secs_f64(),
    };
    let heading = format!("h-space of {}", report.model.name);
    if let Some(sheet) = sheet::rows(&heading, &report.facts(), &report.walks, &frames)? {
        let metadata = drawn_by(folder.recipe(), frames[0].size);
        folder.write_png("sheet.png", &sheet, &metadata)?;
    }
    Ok(report)
}

/// `left` `[k, dim H]` and `singular_values` `[k]`; for principal components,
/// what they are at each step, see [`crate::injection::Injection::insert`].
fn write_basis(
    found: &Found,
    mut file: TensorFile,
    folder: &mut RunFolder,
) -> Result<(), StudyError> {
    found.injection.insert(&mut file)?;
    let values: Vec<f32> = found.values.iter().map(|&v| v as f32).collect();
    file.insert("singular_values", &[values.len()], values)?;
    folder.write_tensors("basis.safetensors", &file)?;
    Ok(())
}

impl HspaceReport {
    /// What the directions are, in a few words.
    fn kind(&self) -> String {
        let samples = numbers::counted(self.samples as u64, "sample");
        match self.by {
            By::Pca => format!("principal components of h over {samples}"),
            By::Jacobian => format!("singular vectors of ∂ε/∂h at {samples}"),
        }
    }

    fn facts(&self) -> String {
        let reach = self.walks.first().map_or(0.0, |walk| walk.reach);
        format!(
            "{}  ·  added at {} from timestep {} on  ·  ±{reach} ‖h‖ at the ends  ·  model {}",
            self.kind(),
            numbers::counted(self.steps as u64, "step"),
            self.timestep,
            alice_runs::hash::short(&self.model.hash),
        )
    }
}

impl fmt::Display for HspaceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (timestep, steps) = (self.timestep, self.steps as u64);
        let steps = numbers::counted(steps, "step");
        write!(
            f,
            "{}, added at {steps} from timestep {timestep} on",
            self.kind()
        )?;
        if let Some(explained) = self.explained {
            let share = numbers::percent(explained);
            match self.singular_values.len() {
                1 => write!(f, "; the first holds {share} of the variance")?,
                count => write!(f, "; {count} hold {share} of the variance")?,
            }
        }
        writeln!(f)?;
        f.write_str(&table::walked(&self.walks, "direction"))?;
        f.write_str(&table::rest(&self.singular_values, &self.walks))?;
        write!(f, "sheet.png, basis.safetensors, {:.1} s", self.seconds)
    }
}
