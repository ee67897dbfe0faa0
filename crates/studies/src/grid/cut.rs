//! Texts of a grid that the text encoder cannot take whole.

use super::cell::{Cells, file};
use crate::pictures::numbers;
use crate::{DiffusionModel, StudyError};
use serde::Serialize;

/// A text whose end was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CutText {
    /// `prompt` or `negative`.
    pub kind: &'static str,
    /// The text.
    pub text: String,
    /// Tokens at its end that did not fit.
    pub tokens: usize,
    /// The cells that were told it, relative to the run folder.
    pub cells: Vec<String>,
}

/// The texts of all cells that do not fit, each once, in the order of the cells.
pub(super) fn find(cells: &Cells, model: &DiffusionModel) -> Result<Vec<CutText>, StudyError> {
    let mut found: Vec<CutText> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for (index, cell) in cells.distinct.iter().enumerate() {
        let options = &cell.options;
        for (kind, text) in [("prompt", &options.prompt), ("negative", &options.negative)] {
            let Some(text) = text else { continue };
            let place = match known.get(&(kind, text)) {
                Some(&place) => place,
                None => {
                    let tokens = model.cut_of(text)?;
                    let place = (tokens > 0).then_some(found.len());
                    found.extend(place.map(|_| CutText {
                        kind,
                        text: text.clone(),
                        tokens,
                        cells: Vec::new(),
                    }));
                    known.insert((kind, text), place);
                    place
                }
            };
            if let Some(cut) = place.and_then(|place: usize| found.get_mut(place)) {
                cut.cells.push(file(index));
            }
        }
    }
    Ok(found)
}

/// How many there are, for people.
pub(super) fn sentence(cut: &[CutText]) -> Option<String> {
    let count = |kind| cut.iter().filter(|cut| cut.kind == kind).count() as u64;
    let kinds = [("prompt", "prompt"), ("negative", "negative prompt")];
    let counts = kinds.map(|(kind, name)| (count(kind), name));
    let named = counts.iter().filter(|(count, _)| *count > 0);
    let named: Vec<_> = named
        .map(|&(count, name)| numbers::counted(count, name))
        .collect();
    (!named.is_empty()).then(|| {
        let their = if cut.len() == 1 { "its" } else { "their" };
        format!(
            "{} did not fit: the end of {their} text was left out",
            named.join(" and ")
        )
    })
}
