//! One combination of a grid's values.

use super::GridArguments;
use super::axis::Axis;
use crate::StudyError;
use crate::drawing::DrawingArguments;
use alice_runs::ModelOptions;
use serde::Serialize;

/// All that decides a cell's picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Cell {
    pub seed: u64,
    pub drawing: DrawingArguments,
    pub strength: Option<f64>,
    pub options: ModelOptions,
}

/// The cells of a grid, and the values along its sides.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    /// Values along x, y and z.
    pub values: [Vec<String>; 3],
    /// Different cells, in order of appearance.
    pub distinct: Vec<Cell>,
    /// By z, y, x: which of them.
    pub places: Vec<usize>,
}

impl Cells {
    /// Every combination, equal ones once.
    pub fn of(
        arguments: &GridArguments,
        seed: u64,
        options: &ModelOptions,
    ) -> Result<Self, StudyError> {
        const MOST: usize = 1_000_000;
        let axes = [
            Some(&arguments.x),
            arguments.y.as_ref(),
            arguments.z.as_ref(),
        ];
        for (i, axis) in axes.iter().enumerate() {
            let Some(axis) = axis else { continue };
            let same = |other: &&Option<&Axis>| {
                other.is_some_and(|o| o.parameter == axis.parameter && o.replaces == axis.replaces)
            };
            if axes[..i].iter().any(|other| same(&other)) {
                let why = format!(
                    "{} varies along another side already",
                    axis.parameter.name()
                );
                return Err(StudyError::argument("--x, --y, --z", why));
            }
        }
        let values = |axis: Option<&Axis>| axis.map_or(Ok(vec![String::new()]), Axis::values);
        let values = [values(axes[0])?, values(axes[1])?, values(axes[2])?];
        let count: usize = values.iter().map(Vec::len).product();
        if count > MOST {
            let why = format!("{count} cells; there may be {MOST}");
            return Err(StudyError::argument("--x, --y, --z", why));
        }
        let plain = Cell {
            seed,
            drawing: arguments.drawing.clone(),
            strength: arguments.picture.as_ref().map(|_| arguments.strength),
            options: options.clone(),
        };
        let mut known = std::collections::HashMap::new();
        let (mut distinct, mut places) = (Vec::new(), Vec::with_capacity(count));
        for z in &values[2] {
            for y in &values[1] {
                for x in &values[0] {
                    let mut cell = plain.clone();
                    for ((axis, value), all) in axes.iter().zip([x, y, z]).zip(&values) {
                        if let Some(axis) = axis {
                            axis.apply(value, &all[0], &mut cell)?;
                        }
                    }
                    // Numbers, texts and names always serialise.
                    let key = serde_json::to_string(&cell).unwrap_or_default();
                    let next = distinct.len();
                    let place = *known.entry(key).or_insert(next);
                    if place == next {
                        distinct.push(cell);
                    }
                    places.push(place);
                }
            }
        }
        Ok(Self {
            values,
            distinct,
            places,
        })
    }

    /// Which distinct cell is at a place.
    pub fn at(&self, x: usize, y: usize, z: usize) -> usize {
        let (columns, rows) = (self.values[0].len(), self.values[1].len());
        self.places[(z * rows + y) * columns + x]
    }
}

/// The file of a distinct cell.
pub(super) fn file(index: usize) -> String {
    format!("cells/{index:05}.png")
}
