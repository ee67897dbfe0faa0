//! What an edit did, by the truth of the world instead of raters.

use super::lab::Lab;
use crate::StudyError;
use crate::discover::findings::FactorResponse;
use crate::reader::{Reader, along_walk};
use crate::responses::{is_moved, responses};
use crate::sampling::pictures;
use crate::similarity::ssim;
use crate::walk::Held;
use alice_instruments::distance;
use alice_worlds::{Part, render_scene};
use serde::{Deserialize, Serialize};

/// The parts that are edited, with their factors.
const PARTS: [(Part, &[&str]); 4] = [
    (Part::Eye, &["eye_size", "eye_openness", "gaze"]),
    (Part::Mouth, &["smile"]),
    (Part::Nose, &["nose_size"]),
    (Part::Ear, &["ear_size"]),
];
/// Pixels of a part below which it cannot be seen.
const FEWEST: usize = 4;
/// Pixels by which a region is wider than its part, which may grow.
const MARGIN: usize = 2;

/// Where a part is, with room to grow.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) part: Part,
    /// `[H · W]`.
    pub(super) pixels: Vec<bool>,
    factors: &'static [&'static str],
    side: usize,
}

/// The regions of every sample, by what the instrument reads.
pub(super) struct Parts {
    /// For each sample, one for each of [`PARTS`] that can be seen.
    regions: Vec<Vec<Option<Region>>>,
}

impl Parts {
    pub(super) fn of(lab: &Lab<'_>, reader: &Reader) -> Result<Self, StudyError> {
        let side = lab.pictures.size.0;
        let readings = reader.read(&lab.pictures)?;
        let regions = readings.iter().map(|reading| {
            let scene = render_scene(&reading.factors, side)?;
            let region = |&(part, factors): &(Part, &'static [&'static str])| {
                let mask = scene.mask(part);
                let pixels = mask.iter().filter(|p| **p).count();
                (pixels >= FEWEST).then(|| Region {
                    part,
                    pixels: widened(&mask, side),
                    factors,
                    side,
                })
            };
            Ok(PARTS.iter().map(region).collect())
        });
        Ok(Self {
            regions: regions.collect::<Result<_, StudyError>>()?,
        })
    }

    /// The part that is this sample's turn, or the next one it shows.
    pub(super) fn region_in_turn(&self, sample: usize) -> Option<&Region> {
        let own = &self.regions[sample];
        (0..PARTS.len()).find_map(|i| own[(sample + i) % PARTS.len()].as_ref())
    }

    /// The next sample that shows a part.
    pub(super) fn next(&self, sample: usize, part: Part) -> Option<(usize, &Region)> {
        let count = self.regions.len();
        let mut others = (1..count).map(|i| (sample + i) % count);
        others.find_map(|other| {
            let mut regions = self.regions[other].iter().flatten();
            Some((other, regions.find(|r| r.part == part)?))
        })
    }
}

/// A mask with every pixel within [`MARGIN`] of it.
fn widened(mask: &[bool], side: usize) -> Vec<bool> {
    let near = |at: usize| {
        let reach = |i: usize| i.saturating_sub(MARGIN)..(i + MARGIN + 1).min(side);
        reach(at / side).any(|y| reach(at % side).any(|x| mask[y * side + x]))
    };
    (0..mask.len()).map(near).collect()
}

/// Root mean square change of a picture, values in −1..1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) inside: f64,
    pub(super) outside: f64,
}

impl Region {
    /// The change from `before` to `after`, `[H, W, C]`.
    pub(super) fn change(&self, before: &[f32], after: &[f32]) -> Change {
        let channels = before.len() / self.pixels.len();
        let (mut sums, mut counts) = ([0.0; 2], [0.0f64; 2]);
        for (i, (a, b)) in before.iter().zip(after).enumerate() {
            let side = usize::from(self.pixels[i / channels]);
            sums[side] += f64::from(a - b).powi(2);
            counts[side] += 1.0;
        }
        let [outside, inside] = [0, 1].map(|i| (sums[i] / counts[i].max(1.0)).sqrt());
        Change { inside, outside }
    }

    /// The instrument's distance of two pictures outside the region.
    fn distance_outside(&self, before: &[f32], after: &[f32]) -> f64 {
        let channels = before.len() / self.pixels.len();
        let unit = |v: f32| (0.5 * v + 0.5).clamp(0.0, 1.0);
        let a: Vec<f32> = before.iter().map(|&v| unit(v)).collect();
        let both = after.iter().enumerate();
        let b: Vec<f32> = both
            .map(|(i, &v)| {
                if self.pixels[i / channels] {
                    a[i]
                } else {
                    unit(v)
                }
            })
            .collect();
        f64::from(distance(&a, &b, self.side))
    }
}

/// What the pictures of one edit say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The factor of the part that changed most.
    pub factor: String,
    /// Its change from end to end, in standard deviations of the world.
    pub change: f64,
    /// Spearman's ρ of it with the position.
    pub spearman: f64,
    /// Root mean square change inside the region, mean of both ends, of 255.
    pub inside: f64,
    /// The same outside.
    pub outside: f64,
    /// The instrument's distance of the ends from the sample outside the
    /// region, the larger.
    pub outside_distance: f64,
    /// Structural similarity of the ends with the sample, mean of both.
    pub ssim: f64,
    /// Whether the part's factor moved: |ρ| ≥ 0.9 and a change of at least
    /// half a standard deviation.
    pub moved: bool,
    /// Whether the rest stayed: at both ends its distance is at most the
    /// bound that nearly all pictures with a wrong part exceed.
    pub kept: bool,
    /// Both, along the direction that was chosen.
    pub success: bool,
}

impl Score {
    /// Scores frames `drawn` at `positions`, the sample `before` in the middle.
    pub(super) fn of(
        reader: &Reader,
        region: &Region,
        before: &[f32],
        drawn: &[f32],
        positions: &[f64],
    ) -> Result<Self, StudyError> {
        let (left, right) = drawn.split_at(drawn.len() / 2);
        let mut places = positions.to_vec();
        places.insert(positions.len() / 2, 0.0);
        let size = (region.side, region.side);
        let all = pictures(size, 3, [left, before, right].concat());
        let responses = responses(&places, &along_walk(&reader.read(&all)?));
        let own = |r: &&FactorResponse| region.factors.contains(&r.factor.as_str());
        let larger =
            |a: &&FactorResponse, b: &&FactorResponse| a.change.abs().total_cmp(&b.change.abs());
        let strongest = responses.iter().filter(own).max_by(larger);
        let (factor, change, spearman) = strongest.map_or((String::new(), 0.0, 0.0), |r| {
            (r.factor.clone(), r.change, r.spearman)
        });
        let ends = [all.get(0), all.get(all.len() - 1)];
        let changes = ends.map(|end| region.change(before, end));
        let mean = |f: fn(&Change) -> f64| changes.iter().map(f).sum::<f64>() / 2.0;
        let distances = ends.map(|end| region.distance_outside(before, end));
        let outside_distance = distances[0].max(distances[1]);
        let moved = is_moved(change, spearman);
        let kept = outside_distance <= reader.structural_threshold();
        Ok(Self {
            factor,
            change,
            spearman,
            inside: 127.5 * mean(|c| c.inside),
            outside: 127.5 * mean(|c| c.outside),
            outside_distance,
            ssim: ends.iter().map(|end| ssim(before, end, size)).sum::<f64>() / 2.0,
            moved,
            kept,
            success: moved && kept,
        })
    }

    /// The same, no success where a geodesic was lost: what it changed, other
    /// directions than its own did.
    pub(super) fn of_held(self, held: Option<Held>) -> Self {
        let lost = held.is_some_and(Held::is_lost);
        Self {
            success: self.success && !lost,
            ..self
        }
    }

    /// Whether the same factor moves the same way.
    pub(super) fn does_the_same(&self, other: &Self) -> bool {
        self.factor == other.factor && self.change.signum() == other.change.signum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Region {
        let mut mask = vec![false; 32 * 32];
        mask[10 * 32 + 10] = true;
        Region {
            part: Part::Eye,
            pixels: widened(&mask, 32),
            factors: PARTS[0].1,
            side: 32,
        }
    }

    #[test]
    fn a_lost_geodesic_is_no_success() {
        let score = Score {
            factor: "smile".into(),
            change: 1.0,
            spearman: 1.0,
            inside: 30.0,
            outside: 3.0,
            outside_distance: 0.1,
            ssim: 0.9,
            moved: true,
            kept: true,
            success: true,
        };
        for (held, success) in [(None, true), (Some(0.9), true), (Some(0.42), false)] {
            let held = held.map(Held);
            assert_eq!(score.clone().of_held(held).success, success, "{held:?}");
        }
    }

    #[test]
    fn a_region_has_room_to_grow() {
        let region = region();
        assert_eq!(region.pixels.iter().filter(|p| **p).count(), 25);
        assert!(region.pixels[8 * 32 + 12] && !region.pixels[7 * 32 + 10]);
    }

    #[test]
    fn change_is_told_apart_by_where_it_is() {
        let region = region();
        let before = vec![0.0; 32 * 32 * 3];
        let change = |inside: bool| {
            let values = (0..before.len())
                .map(|i| f32::from(u8::from(region.pixels[i / 3] == inside)) * 0.5);
            values.collect::<Vec<f32>>()
        };
        let (here, there) = (change(true), change(false));
        assert_eq!(region.change(&before, &here).outside, 0.0);
        assert!((region.change(&before, &here).inside - 0.5).abs() < 1e-9);
        assert_eq!(region.change(&before, &there).inside, 0.0);
        assert_eq!(region.distance_outside(&before, &here), 0.0);
        assert!(region.distance_outside(&before, &there) > 0.2);
    }
}
