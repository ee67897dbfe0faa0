//! One combination of a grid's values.

use super::GridArguments;
use super::axis::Axis;
use crate::StudyError;
use crate::drawing::DrawingArguments;
use alice_runs::ModelOptions;
use serde::Serialize;
use std::collections::HashMap;

/// As many values of an axis alone stay in one line, where they are seen to
/// follow one another.
const ONE_LINE: usize = 6;

/// All that decides a cell's picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Cell {
    pub seed: u64,
    pub drawing: DrawingArguments,
    pub strength: Option<f64>,
    pub variation: Option<f64>,
    pub options: ModelOptions,
}

/// How an empty text is labelled.
const NO_TEXT: &str = "none";

/// The cells of a grid, and the values along its sides.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    /// Values along x, y and z, as they are labelled.
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
        let axes = arguments.axes();
        if axes.iter().all(Option::is_none) {
            let why = "nothing varies; name a side";
            return Err(StudyError::argument("--x, --y, --z", why));
        }
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
        let mut values = [values(axes[0])?, values(axes[1])?, values(axes[2])?];
        let count: usize = values.iter().map(Vec::len).product();
        if count > MOST {
            let why = format!("{count} cells; there may be {MOST}");
            return Err(StudyError::argument("--x, --y, --z", why));
        }
        let plain = Cell {
            seed,
            drawing: arguments.drawing.clone(),
            strength: arguments.picture.as_ref().map(|_| arguments.strength),
            variation: arguments.variation,
            options: options.clone(),
        };
        let mut known = HashMap::new();
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
        for (axis, values) in axes.iter().zip(&mut values) {
            let empty = values.iter_mut().filter(|value| value.is_empty());
            if axis.is_some() {
                empty.for_each(|value| NO_TEXT.clone_into(value));
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

    /// The distinct cells, in the order to draw them in: what is told the same
    /// prompt, then the same of everything, follows one another, since reading
    /// a text and telling the network cost more than what differs otherwise.
    pub fn order(&self) -> Vec<usize> {
        let prompts = self.ranks(|options| format!("{:?}", options.prompt));
        let negatives = self.ranks(|options| format!("{:?}", options.negative));
        let others = self.ranks(|options| format!("{options:?}"));
        let mut order: Vec<usize> = (0..self.distinct.len()).collect();
        order.sort_by_key(|&i| (prompts[i], negatives[i], others[i]));
        order
    }

    /// Of each distinct cell, how many other keys appear before its own does.
    fn ranks(&self, key: impl Fn(&ModelOptions) -> String) -> Vec<usize> {
        let mut known = HashMap::new();
        let rank = |cell: &Cell| {
            let next = known.len();
            *known.entry(key(&cell.options)).or_insert(next)
        };
        self.distinct.iter().map(rank).collect()
    }

    /// The side that varies alone, with more values than are shown in one
    /// line: its cells are wrapped as words are.
    pub fn lone(&self) -> Option<usize> {
        match self.values.each_ref().map(Vec::len) {
            [count, 1, _] if count > ONE_LINE => Some(0),
            [1, count, _] if count > ONE_LINE => Some(1),
            _ => None,
        }
    }
}

/// The file of a distinct cell.
pub(super) fn file(index: usize) -> String {
    format!("cells/{index:05}.png")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        study: GridArguments,
    }

    fn cells(line: &str) -> Cells {
        let line = Line::try_parse_from(line.split_whitespace()).unwrap();
        Cells::of(&line.study, 0, &ModelOptions::default()).unwrap()
    }

    #[test]
    fn equal_prompts_follow_one_another() {
        let cells = cells("grid --x prompt=a|b|c --y guidance=1,5 --z seed=0..4");
        let order = cells.order();
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(all, (0..24).collect::<Vec<_>>());
        let told: Vec<_> = order
            .iter()
            .map(|&i| {
                let options = &cells.distinct[i].options;
                (options.prompt.clone().unwrap(), options.guidance.unwrap())
            })
            .collect();
        let mut changes = told.clone();
        changes.dedup();
        let wanted = ["a", "b", "c"].map(|p| [(p.to_owned(), 1.0), (p.to_owned(), 5.0)]);
        assert_eq!(changes, wanted.concat());
        // What costs the same stays in the order of the sides.
        let seeds: Vec<_> = order.iter().map(|&i| cells.distinct[i].seed).collect();
        assert_eq!(seeds[..4], [0, 1, 2, 3]);
    }

    #[test]
    fn one_axis_alone_is_wrapped() {
        assert_eq!(cells("grid --x seed=0..7").lone(), Some(0));
        assert_eq!(cells("grid --y seed=0..7").lone(), Some(1));
        assert_eq!(cells("grid --y seed=0..7 --x steps=3").lone(), Some(1));
        assert_eq!(cells("grid --x seed=0..7 --z steps=3,4").lone(), Some(0));
        assert_eq!(cells("grid --x seed=0..6").lone(), None);
        assert_eq!(cells("grid --x seed=0..9 --y steps=3,4").lone(), None);
    }
}
