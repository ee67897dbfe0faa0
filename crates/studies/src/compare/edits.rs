//! Every technique edits the same parts of the same samples.

use super::CompareArguments;
use super::lab::Lab;
use super::score::{Parts, Region, Score};
use super::techniques::{Aim, Direction, Edited, Technique, carry, choose, draw, learn};
use crate::drawing::drawn_by;
use crate::parts::kept;
use crate::pictures::numbers;
use crate::raster::sheet;
use crate::reader::Reader;
use crate::sampling::pictures;
use crate::walk::{Held, sides};
use crate::{Progress, StudyError};
use alice_geometry::{Block, Components};
use alice_runs::RunFolder;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Frames from the sample to each end.
const FRAMES: usize = 2;
/// Sheets are written of the first samples.
const SHEETS: usize = 4;

/// One edit of one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EditRecord {
    /// The way.
    pub technique: Technique,
    /// The sample, counted from 0.
    pub sample: usize,
    /// The part of the picture that was to change.
    pub part: String,
    /// Share of the predicted picture's change inside the region, to first
    /// order, which chose the direction.
    pub predicted_share: f64,
    /// What the pictures say. A lost geodesic is no success.
    pub score: Score,
    /// Of a geodesic, the least share of its direction in H that lay in the
    /// tangent space on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Seconds from the sample to the direction; of principal components all
    /// those that they took, once, for every sample.
    pub learning_seconds: f64,
    /// The same direction at another sample, where the edit succeeded.
    pub transfer: Option<TransferRecord>,
}

/// A direction at another sample than its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransferRecord {
    /// The other sample.
    pub sample: usize,
    /// What the pictures say. A lost geodesic is no success.
    pub score: Score,
    /// As of [`EditRecord::held`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Whether the edit succeeds there, moving the same factor the same way.
    pub success: bool,
    /// Seconds to carry the direction.
    pub seconds: f64,
}

/// Edits the first samples, one part of each.
pub(super) fn run(
    arguments: &CompareArguments,
    lab: &Lab<'_>,
    reader: &Reader,
    folder: &mut RunFolder,
    progress: &mut dyn Progress,
) -> Result<Vec<EditRecord>, StudyError> {
    let parts = Parts::of(lab, reader)?;
    let clock = Instant::now();
    let principal = Components::of(&lab.bottlenecks()?, arguments.rank)?;
    let bench = Bench {
        arguments,
        lab,
        reader,
        parts,
        principal: principal.axes().clone(),
        principal_seconds: clock.elapsed().as_secs_f64(),
    };
    progress.begin("comparing edits", arguments.count as u64);
    let mut records = Vec::new();
    for sample in 0..arguments.count {
        if progress.is_cancelled() {
            return Err(StudyError::Cancelled);
        }
        let name = format!("parts/edits-{sample:04}.json");
        let found = kept(folder, &name, |folder| bench.edit(sample, folder))?;
        records.extend(found);
        progress.advance(1);
    }
    Ok(records)
}

struct Bench<'a> {
    arguments: &'a CompareArguments,
    lab: &'a Lab<'a>,
    reader: &'a Reader,
    parts: Parts,
    /// Principal components of h, `[k, dim H]`.
    principal: Block,
    principal_seconds: f64,
}

/// The direction that each technique offers.
type Choices = Vec<(Technique, Direction)>;

impl Bench<'_> {
    fn aim<'r>(&self, region: &'r Region) -> Aim<'r> {
        Aim {
            region: &region.pixels,
            change: self.arguments.change,
            reach: self.arguments.reach,
            rank: self.arguments.rank,
            iterations: self.arguments.iterations,
        }
    }

    /// All techniques at one sample; none where no part can be seen.
    fn edit(&self, sample: usize, folder: &mut RunFolder) -> Result<Vec<EditRecord>, StudyError> {
        let Some(region) = self.parts.region_in_turn(sample) else {
            return Ok(Vec::new());
        };
        let aim = self.aim(region);
        let state = &self.lab.states[sample];
        let mut edits = Vec::new();
        let mut seconds = Vec::new();
        for technique in Technique::ALL {
            let clock = Instant::now();
            let item = sample as u64;
            let found = learn(technique, self.lab, state, item, aim, &self.principal)?;
            let direction = choose(technique, self.lab, state, &found, aim)?;
            let shared = match technique {
                Technique::Principal => self.principal_seconds,
                _ => 0.0,
            };
            seconds.push(shared + clock.elapsed().as_secs_f64());
            edits.push((technique, direction));
        }
        let (edits, drawn) = self.draw(sample, region, edits)?;
        if sample < SHEETS {
            self.write_sheet(sample, region, &edits, &drawn, folder)?;
        }
        let mut records = Vec::with_capacity(edits.len());
        for (i, (technique, direction)) in edits.iter().enumerate() {
            let score = self.score(sample, region, &drawn[i])?;
            records.push(EditRecord {
                technique: *technique,
                sample,
                part: region.part.name().to_owned(),
                predicted_share: direction.share,
                learning_seconds: seconds[i],
                transfer: None,
                held: drawn[i].1,
                score,
            });
        }
        self.transfer(sample, region, &edits, &mut records)?;
        Ok(records)
    }

    /// Draws the edits, once to measure how much they change and again with
    /// lengths that change as much as wanted.
    fn draw(
        &self,
        sample: usize,
        region: &Region,
        edits: Vec<(Technique, Direction)>,
    ) -> Result<(Choices, Edited), StudyError> {
        let (aim, state) = (self.aim(region), &self.lab.states[sample]);
        let trial = draw(self.lab, state, &edits, 1, aim)?;
        let before = self.lab.pictures.get(sample);
        let edits: Vec<_> = edits
            .into_iter()
            .zip(&trial)
            .map(|((technique, direction), (drawn, _))| {
                let sides = drawn.chunks_exact(before.len());
                let changes = sides.map(|picture| region.change(before, picture).inside);
                let change = changes.sum::<f64>() / 2.0;
                let factor = self.arguments.change / change.max(1e-9);
                (technique, direction.rescaled(factor))
            })
            .collect();
        let drawn = draw(self.lab, state, &edits, FRAMES, aim)?;
        Ok((edits, drawn))
    }

    fn score(
        &self,
        sample: usize,
        region: &Region,
        (drawn, held): &(Vec<f32>, Option<Held>),
    ) -> Result<Score, StudyError> {
        let before = self.lab.pictures.get(sample);
        let score = Score::of(self.reader, region, before, drawn, &sides(FRAMES))?;
        Ok(score.of_held(*held))
    }

    /// Carries the directions that succeeded to the next sample that shows
    /// the part.
    fn transfer(
        &self,
        sample: usize,
        region: &Region,
        edits: &[(Technique, Direction)],
        records: &mut [EditRecord],
    ) -> Result<(), StudyError> {
        let Some((other, there)) = self.parts.next(sample, region.part) else {
            return Ok(());
        };
        let (aim, state) = (self.aim(there), &self.lab.states[other]);
        let mut carried = Vec::new();
        let mut places = Vec::new();
        for (i, (technique, direction)) in edits.iter().enumerate() {
            if records[i].score.success {
                let clock = Instant::now();
                let found = carry(*technique, self.lab, direction, state, aim, &self.principal)?;
                places.push((i, clock.elapsed().as_secs_f64()));
                carried.push((*technique, found));
            }
        }
        if carried.is_empty() {
            return Ok(());
        }
        let (_, drawn) = self.draw(other, there, carried)?;
        for ((i, seconds), drawn) in places.into_iter().zip(&drawn) {
            let score = self.score(other, there, drawn)?;
            let source = &records[i].score;
            records[i].transfer = Some(TransferRecord {
                sample: other,
                success: score.success && score.does_the_same(source),
                held: drawn.1,
                score,
                seconds,
            });
        }
        Ok(())
    }

    /// One row for each technique, the sample itself in the middle.
    fn write_sheet(
        &self,
        sample: usize,
        region: &Region,
        edits: &[(Technique, Direction)],
        drawn: &Edited,
        folder: &mut RunFolder,
    ) -> Result<(), StudyError> {
        let before = self.lab.pictures.get(sample);
        let (mut values, mut labels) = (Vec::new(), Vec::new());
        let places = sides(FRAMES);
        for ((technique, _), (drawn, _)) in edits.iter().zip(drawn) {
            let (left, right) = drawn.split_at(drawn.len() / 2);
            values.extend([left, before, right].concat());
            let label = |p: &f64| numbers::position(*p);
            labels.extend(places[..FRAMES].iter().map(label));
            labels.push(format!("{}, {}", technique.label(), region.part.name()));
            labels.extend(places[FRAMES..].iter().map(label));
        }
        let shown = pictures(self.lab.pictures.size, self.lab.pictures.channels, values);
        let picture = sheet(&shown, 2 * FRAMES + 1, &labels)?;
        let metadata = drawn_by(folder.recipe(), shown.size);
        folder.write_png(&format!("edits-{sample}.png"), &picture, &metadata)?;
        Ok(())
    }
}
