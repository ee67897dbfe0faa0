//! `world`: look at the puppet show.

mod scenes;

use crate::discover::findings::Pictures;
use crate::pictures::numbers;
use crate::raster::{columns, sheet};
use crate::{Progress, StudyError};
use alice_runs::{Metadata, RunFolder};
use alice_worlds::{
    FACTORS, FactorKind, Factors, PuppetShow, Species, WorldError, caption_en, caption_zh,
    factor_index, render, traverse,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Steps of a traversal.
const TRAVERSAL_STEPS: usize = 11;
/// More pictures than this do not fit in a sheet.
const MOST_PICTURES: u64 = 4096;

/// What `world` is told.
#[derive(clap::Args, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct WorldArguments {
    /// Side of the pictures, in pixels
    #[arg(long, default_value_t = 32)]
    pub size: usize,
    /// Pictures in the contact sheet
    #[arg(long, default_value_t = 64)]
    pub count: u64,
    /// Share of haunted faces
    #[arg(long, default_value_t = 0.03)]
    pub haunted_share: f32,
    /// Factors that keep one value, such as species,hat,glasses: a simpler world
    #[arg(long, value_name = "FACTORS", value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// Also write the first N pictures on their own, with all that is true of them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub singles: u64,
    /// Also write a sheet in which one factor walks through its range, such as nose_size
    #[arg(long, value_name = "FACTOR")]
    pub traverse: Option<String>,
}

/// What `world` wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorldReport {
    /// Pictures in the sheet.
    pub pictures: u64,
    /// Of them haunted.
    pub haunted: usize,
    /// Of them of each species.
    pub species: Vec<(String, usize)>,
    /// The sheets, relative to the run folder.
    pub sheets: Vec<String>,
    /// Pictures on their own.
    pub singles: u64,
}

impl fmt::Display for WorldReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let species: Vec<_> = self
            .species
            .iter()
            .map(|(name, count)| format!("{count} × {name}"))
            .collect();
        writeln!(
            f,
            "{}: {}",
            numbers::counted(self.pictures, "picture"),
            species.join(", ")
        )?;
        writeln!(f, "{} of them haunted", self.haunted)?;
        write!(f, "sheets: {}", self.sheets.join(", "))?;
        if self.singles > 0 {
            write!(
                f,
                "\n{} with their truth in pictures/",
                numbers::counted(self.singles, "picture")
            )?;
        }
        Ok(())
    }
}

/// A picture of the sheet, in `captions.json`.
#[derive(Serialize)]
struct Caption {
    index: u64,
    en: String,
    zh: String,
    factors: Factors,
}

/// Refuses arguments that make no world.
///
/// # Errors
/// Names the argument.
pub fn check(arguments: &WorldArguments) -> Result<(), StudyError> {
    let count = arguments.count.max(arguments.singles);
    if arguments.count == 0 || count > MOST_PICTURES {
        let argument = if arguments.count == count {
            "--count"
        } else {
            "--singles"
        };
        return Err(StudyError::argument(
            argument,
            format!("{count} pictures; it must lie between 1 and {MOST_PICTURES}"),
        ));
    }
    show(arguments.haunted_share, &arguments.held)?;
    render(&Factors::default(), arguments.size)?;
    if let Some(name) = &arguments.traverse {
        find_factor("--traverse", name)?;
    }
    Ok(())
}

/// Draws the sheets and the single pictures.
///
/// # Errors
/// Those of [`check`], and when the folder cannot be written.
pub fn run(
    arguments: &WorldArguments,
    seed: u64,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<WorldReport, StudyError> {
    check(arguments)?;
    let show = show(arguments.haunted_share, &arguments.held)?;
    progress.begin("drawing", arguments.count + arguments.singles);
    let mut captions = Vec::new();
    let mut cells = Vec::new();
    for index in 0..arguments.count {
        let factors = show.sample_factors(seed, index);
        cells.extend(render(&factors, arguments.size)?.rgb);
        captions.push(Caption {
            index,
            en: caption_en(&factors),
            zh: caption_zh(&factors),
            factors,
        });
        progress.advance(1);
    }
    let mut sheets = vec!["sheet.png".to_owned()];
    let pictures = pictures(arguments.size, 3, cells);
    write_sheet(folder, &sheets[0], &pictures, columns(pictures.len()), &[])?;
    folder.write_json("captions.json", &captions)?;
    if let Some(name) = &arguments.traverse {
        let index = find_factor("--traverse", name)?;
        sheets.push(format!("traverse-{name}.png"));
        write_traversal(folder, &sheets[1], index, arguments.size)?;
    }
    let factors = |i: u64| show.sample_factors(seed, i);
    scenes::write(
        folder,
        (0..arguments.singles).map(factors),
        arguments.size,
        progress,
    )?;
    let of = |species: Species| {
        captions
            .iter()
            .filter(|c| c.factors.species == species)
            .count()
    };
    Ok(WorldReport {
        pictures: arguments.count,
        haunted: captions.iter().filter(|c| c.factors.haunted).count(),
        species: Species::ALL
            .map(|s| (s.name_en().to_owned(), of(s)))
            .to_vec(),
        sheets,
        singles: arguments.singles,
    })
}

/// The place of a factor in the world's order, by the name that an option gives.
///
/// # Errors
/// When no factor has it.
pub(crate) fn find_factor(option: &str, name: &str) -> Result<usize, StudyError> {
    factor_index(name).ok_or_else(|| {
        let name = name.to_owned();
        StudyError::argument(option, WorldError::FactorName { name }.to_string())
    })
}

/// The show of `--haunted-share` and `--held`.
///
/// # Errors
/// When the share is none, or a name is no factor's.
pub(crate) fn show(haunted_share: f32, held: &[String]) -> Result<PuppetShow, StudyError> {
    let show = PuppetShow::new(haunted_share)?.holding(held);
    show.map_err(|error| StudyError::argument("--held", error.to_string()))
}

/// One row for each species.
fn write_traversal(
    folder: &mut RunFolder,
    name: &str,
    factor: usize,
    size: usize,
) -> Result<(), StudyError> {
    let mut cells = Vec::new();
    let mut labels = Vec::new();
    let mut columns = 0;
    // The walk through the species is the same from each.
    let starts = match FACTORS[factor].kind {
        FactorKind::Categorical { .. } => &Species::ALL[..1],
        _ => &Species::ALL[..],
    };
    for &species in starts {
        let start = Factors {
            species,
            ..Factors::default()
        };
        let row = traverse(&start, factor, TRAVERSAL_STEPS)?;
        columns = row.len();
        for factors in &row {
            cells.extend(render(factors, size)?.rgb);
            labels.push(label(factors, factor)?);
        }
    }
    write_sheet(folder, name, &pictures(size, 3, cells), columns, &labels)
}

/// The value of a factor, for a picture's label.
fn label(factors: &Factors, factor: usize) -> Result<String, StudyError> {
    let value = factors.get(factor)?;
    Ok(match FACTORS[factor].kind {
        FactorKind::Binary if value >= 0.5 => "yes".to_owned(),
        FactorKind::Binary => "no".to_owned(),
        FactorKind::Categorical { .. } => factors.species.name_en().to_owned(),
        FactorKind::Continuous { .. } | FactorKind::Circular => {
            format!("{value:.1}").replace('-', "−")
        }
    })
}

/// Values in 0..1, as worlds draw them.
fn pictures(size: usize, channels: usize, values: Vec<f32>) -> Pictures {
    Pictures {
        size: (size, size),
        channels,
        values: values.into_iter().map(|v| 2.0 * v - 1.0).collect(),
    }
}

fn write_sheet(
    folder: &mut RunFolder,
    name: &str,
    pictures: &Pictures,
    columns: usize,
    labels: &[String],
) -> Result<(), StudyError> {
    let sheet = sheet(pictures, columns, labels)?;
    folder.write_png(name, &sheet, &Metadata::new())?;
    Ok(())
}
