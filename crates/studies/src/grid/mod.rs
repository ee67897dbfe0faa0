//! `grid`: a picture for every combination of two or three parameters.
//!
//! Equal cells are drawn once, cells with equal prompts one after the other,
//! and a cell that is there already is not drawn again: an interrupted grid
//! goes on. An axis alone is wrapped, as a text is.

mod axis;
mod cell;
mod cut;
mod layout;
mod once;
mod page;
mod sheet;
mod thumbnail;

pub use axis::{Axis, Parameter};
pub use cut::CutText;
pub use once::Once;

use crate::drawing::{
    Drawing, DrawingArguments, Made, Origin, check_model, check_some_step, check_strength,
    check_variation, decode, variation,
};
use crate::input::InputFile;
use crate::invert::read_picture;
use crate::pictures::{Tones, to_picture};
use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::Tensor;
use alice_diffusion::Network;
use alice_runs::{ModelReference, Picture, RunFolder, disk, picture};
use cell::{Cell, Cells, file};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// What `grid` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct GridArguments {
    /// What is set once. First, as it looks at options that those below take.
    #[command(flatten)]
    #[serde(skip)]
    pub once: Once,
    /// What varies from left to right: NAME=A,B,C, NAME=0..8 (which leaves out 8) or NAME@FILE, one
    /// value a line.
    /// Names are seed, steps, sampler, guidance, guidance-rescale, eta, strength, variation, prompt and
    /// negative.
    /// Texts: prompt:WHAT=A|B puts each value in the place of WHAT; without :WHAT the first value is
    /// looked for. Many values of one axis alone are wrapped, as a text is
    #[arg(long, value_name = "AXIS", required_unless_present = "y")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<Axis>,
    /// What varies from top to bottom
    #[arg(long, value_name = "AXIS")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<Axis>,
    /// What varies from sheet to sheet
    #[arg(long, value_name = "AXIS")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub z: Option<Axis>,
    /// Start from this picture instead of noise (PNG)
    #[arg(long, value_name = "PICTURE")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<InputFile>,
    /// How much of the picture becomes new
    #[arg(long, default_value_t = 0.6, requires = "picture")]
    pub strength: f64,
    /// Crop and scale the picture to the model's size
    #[arg(long, requires = "picture")]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resize: bool,
    /// Turn the noise towards that of this seed, for pictures a little different
    #[arg(long, value_name = "SEED", conflicts_with = "picture")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variation_seed: Option<u64>,
    /// How far it is turned, from 0 to 1
    #[arg(long, value_name = "STRENGTH", requires = "variation_seed")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variation: Option<f64>,
    /// How to draw.
    #[command(flatten)]
    pub drawing: DrawingArguments,
}

impl GridArguments {
    /// The files that it reads.
    pub(crate) fn files_mut(&mut self) -> Vec<&mut InputFile> {
        let axes = [self.x.as_mut(), self.y.as_mut(), self.z.as_mut()];
        let files = axes.into_iter().flatten().filter_map(|a| a.file.as_mut());
        files.chain(self.picture.as_mut()).collect()
    }

    /// What varies along x, y and z.
    fn axes(&self) -> [Option<&Axis>; 3] {
        [self.x.as_ref(), self.y.as_ref(), self.z.as_ref()]
    }
}

/// What `grid` did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GridReport {
    /// The model.
    pub model: ModelReference,
    /// Columns, rows and sheets.
    pub extents: [usize; 3],
    /// Cells that differ, and so were drawn.
    pub distinct: usize,
    /// Cells that an earlier session had drawn.
    pub found: usize,
    /// Texts that the text encoder could not take whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<CutText>,
    /// The sheets, relative to the run folder.
    pub sheets: Vec<String>,
    /// Seconds of this session.
    pub seconds: f64,
}

impl fmt::Display for GridReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let sides = self.extents.iter().filter(|&&extent| extent > 1);
        let sides: Vec<_> = sides.map(ToString::to_string).collect();
        let cells = match sides.as_slice() {
            [] => "1 cell".to_owned(),
            sides => format!("{} cells", sides.join(" × ")),
        };
        let different = match self.extents.iter().product() {
            1 => String::new(),
            _ => format!(", {} of them different", self.distinct),
        };
        writeln!(
            f,
            "{cells} by {}{different}, {:.1} s",
            self.model.name, self.seconds
        )?;
        match self.found {
            0 => {}
            1 => writeln!(f, "1 was there already")?,
            found => writeln!(f, "{found} were there already")?,
        }
        if let Some(sentence) = cut::sentence(&self.cut) {
            writeln!(f, "{sentence}")?;
        }
        let count = self.sheets.len();
        let sheets = match self.sheets.first() {
            Some(first) if count == 1 => first.clone(),
            Some(first) => format!("{first} and {} more", count - 1),
            None => String::new(),
        };
        write!(f, "report.html, {sheets} and the cells' pictures in cells/")
    }
}

/// Refuses arguments that do not fit the model, all cells of them.
///
/// # Errors
/// Names the argument or the axis.
pub fn check(arguments: &GridArguments, model: &DiffusionModel) -> Result<(), StudyError> {
    check_model(model)?;
    let cells = Cells::of(arguments, 0, &model.reference.options)?;
    if let Some(picture) = &arguments.picture {
        read_picture(picture, Some(arguments.resize), model)?;
    }
    let (mut told, mut drawn) = (None, Vec::new());
    for cell in cells.order().into_iter().map(|i| &cells.distinct[i]) {
        if told != Some(&cell.options) {
            model.check_options(&cell.options)?;
            told = Some(&cell.options);
        }
        match (cell.strength, &arguments.picture) {
            (Some(_), None) => {
                let why = "strength needs a --picture to start from";
                return Err(StudyError::argument("--picture", why));
            }
            (Some(strength), _) => check_strength(strength)?,
            _ => {}
        }
        match (arguments.variation_seed, cell.variation) {
            (None, None) => {}
            (Some(_), Some(variation)) => check_variation(variation)?,
            (None, Some(_)) => {
                let why = "name the seed whose noise a variation turns to, and no --picture";
                return Err(StudyError::argument("--variation-seed", why));
            }
            (Some(_), None) => {
                let why =
                    "say how far the noise is turned to it, with --variation or --x variation=…";
                return Err(StudyError::argument("--variation-seed", why));
            }
        }
        if !drawn.contains(&(cell.strength, &cell.drawing)) {
            let sampler = cell.drawing.build(model)?;
            check_some_step(cell.strength.unwrap_or(1.0), sampler.as_ref())?;
            drawn.push((cell.strength, &cell.drawing));
        }
    }
    Ok(())
}

/// Draws the cells that are missing, and writes sheets and page.
///
/// # Errors
/// Those of [`check`]; when a network fails, the folder cannot be written or
/// the user asks to stop.
pub fn run(
    arguments: &GridArguments,
    model: &DiffusionModel,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<GridReport, StudyError> {
    let clock = Instant::now();
    let cells = Cells::of(arguments, seed, &model.reference.options)?;
    let clean = match &arguments.picture {
        Some(file) => Some(model.state(read_picture(file, Some(arguments.resize), model)?)?),
        None => None,
    };
    let size = match &clean {
        Some(clean) => (clean.dims()[1], clean.dims()[2]),
        None => model.size()?,
    };
    let mut painter = Painter {
        network: model.at(size)?,
        model: model.clone(),
        size,
        clean,
        variation_seed: arguments.variation_seed,
    };
    let pixels = (size.0 * model.scale(), size.1 * model.scale());
    let count = cells.distinct.len();
    let mut found = 0;
    for (done, index) in cells.order().into_iter().enumerate() {
        let name = file(index);
        if disk::is_file(folder.path().join(&name)) {
            found += 1;
            folder.announce(&name)?;
            thumbnail::find(index, pixels, folder)?;
            continue;
        }
        let mut stage = Stage {
            progress,
            name: format!("cell {} of {count}", done + 1),
        };
        let picture = painter.paint(&cells.distinct[index], &name, folder, &mut stage)?;
        thumbnail::write(index, &picture, folder)?;
    }
    let sheets = sheet::write(&cells, arguments, folder)?;
    let cut = cut::find(&cells, model)?;
    let page = page::page(&cells, arguments, &cut, folder)?;
    folder.write_text("report.html", &page)?;
    Ok(GridReport {
        model: model.reference.clone(),
        extents: [0, 1, 2].map(|side| cells.values[side].len()),
        distinct: count,
        found,
        cut,
        sheets,
        seconds: clock.elapsed().as_secs_f64(),
    })
}

/// A model and its network, told what the last cell was told.
struct Painter {
    model: DiffusionModel,
    network: Network,
    /// Of states.
    size: (usize, usize),
    clean: Option<Tensor<f32>>,
    variation_seed: Option<u64>,
}

impl Painter {
    fn paint(
        &mut self,
        cell: &Cell,
        name: &str,
        folder: &mut RunFolder,
        progress: &mut dyn Progress,
    ) -> Result<Picture, StudyError> {
        if self.model.reference.options != cell.options {
            self.model = self.model.clone().told(&cell.options)?;
            self.model.retell(&mut self.network)?;
        }
        let sampler = cell.drawing.build(&self.model)?;
        let mut others = Vec::new();
        if let Some(strength) = cell.strength {
            others.push(("Denoising strength".to_owned(), strength.to_string()));
        }
        let origin = match (&self.clean, self.variation_seed, cell.variation) {
            (Some(clean), ..) => Origin::Clean(clean),
            (None, Some(seed), Some(strength)) => {
                others.extend(variation(seed, strength));
                Origin::Variation { seed, strength }
            }
            _ => Origin::Noise,
        };
        let drawing = Drawing {
            network: &self.network,
            sampler: sampler.as_ref(),
            origin,
            first: sampler.index_of_strength(cell.strength.unwrap_or(1.0)),
            held: None,
            seed: cell.seed,
        };
        let values = drawing.draw(1, progress)?;
        let drawn = decode(&self.model, self.size, values, progress)?;
        let made = Made {
            model: &self.model,
            drawing: &cell.drawing,
            seed: cell.seed,
            others,
        };
        let picture = to_picture(&drawn, 0, Tones::of(&drawn))?;
        folder.write_png(name, &picture, &made.metadata(None, drawn.size))?;
        Ok(picture)
    }
}

/// Progress under the name of a cell.
struct Stage<'a> {
    progress: &'a mut dyn Progress,
    name: String,
}

impl Progress for Stage<'_> {
    fn begin(&mut self, stage: &str, units: u64) {
        self.progress
            .begin(&format!("{}, {stage}", self.name), units);
    }

    fn advance(&mut self, units: u64) {
        self.progress.advance(units);
    }

    fn is_cancelled(&self) -> bool {
        self.progress.is_cancelled()
    }
}

/// The picture of a distinct cell.
fn read_cell(folder: &RunFolder, index: usize) -> Result<Picture, StudyError> {
    let path = folder.path().join(file(index));
    Ok(picture::decode_png(&path, &disk::read(&path)?)?.0)
}
