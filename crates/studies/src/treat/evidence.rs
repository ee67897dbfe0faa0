//! Whether a concept is gone, as the model itself sees it.
//!
//! None of this needs to know what pictures show, so it is measured for every
//! model. The score is what the treatment brings down; the other two were not
//! aimed at: which samples are nearest in the bottleneck, and how the finished
//! samples score when they are noised anew.

use super::heal::{Healed, Healer, TOO_MUCH};
use super::learn::Lesson;
use super::watch::{Watched, images};
use crate::StudyError;
use crate::discover::findings::Pictures;
use crate::drawing::noised;
use crate::pictures::numbers;
use crate::statistics::Estimate;
use alice_geometry::Block;
use alice_random::Stream;
use serde::Serialize;
use std::fmt;

/// Nearest learnt samples that are looked at.
const NEAREST: usize = 5;
/// Draws of noise for each finished sample.
const NOISES: usize = 4;
/// Untreated samples that the treated ones are compared with.
const OTHERS: usize = 32;

/// A mean over the treated samples, before the treatment and after it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// As they were drawn.
    pub before: f64,
    /// Drawn again.
    pub after: f64,
}

/// How many of the treated samples show the concept, before the treatment and
/// after it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Showing {
    /// As they were drawn.
    pub before: usize,
    /// Drawn again.
    pub after: usize,
    /// The second as a share, with Wilson's interval.
    pub share: Estimate,
}

/// What the model says of the treated samples, where the concept stands apart
/// most. Scores are in deviations of the learnt samples that do not show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// Mean score on the way from noise to picture.
    pub score: Change,
    /// Treated samples whose score there still says that they show it.
    pub showing: usize,
    /// Of the learnt samples nearest in the whitened bottleneck, the share that
    /// shows the concept.
    pub nearest: Change,
    /// Mean score of the finished samples, noised anew.
    pub renoised: Change,
    /// Treated samples whose own mean score, noised anew, says that they show it.
    pub renoised_showing: Showing,
    /// The same of samples that were not treated; nothing where all were.
    pub renoised_others: Option<f64>,
    /// Mean change of a treated picture: root mean square, pixels in −1..1.
    pub picture_change: f64,
}

impl Healer<'_> {
    /// Compares the samples `before` with those that were healed, of which
    /// there must be at least one.
    pub(super) fn evidence(
        &self,
        lesson: &Lesson,
        fresh: &Watched,
        healed: &Healed,
        before: &Pictures,
        picture_change: f64,
    ) -> Result<Evidence, StudyError> {
        let concept = &self.concepts[self.place];
        let treated = &healed.treated;
        let was: Vec<&[f32]> = treated
            .iter()
            .map(|&i| fresh.bottlenecks[self.place].row(i))
            .collect();
        let is: Vec<&[f32]> = (0..treated.len()).map(|i| healed.at_place.row(i)).collect();
        let scores = |rows: &[&[f32]]| mean(rows.iter().map(|row| concept.score(row)));
        let members = &concept.members;
        let count = NEAREST.min(members.iter().filter(|member| **member).count());
        let nearest = |rows: &[&[f32]]| -> Result<f64, StudyError> {
            let mut shares = Vec::new();
            for row in rows {
                let near = lesson.components.nearest(row, count)?;
                shares.push(mean(near.iter().map(|&i| f64::from(u8::from(members[i])))));
            }
            Ok(mean(shares.into_iter()))
        };
        let others: Vec<usize> = (0..before.len())
            .filter(|i| treated.binary_search(i).is_err())
            .take(OTHERS)
            .collect();
        let renoised = |samples: &[usize], clean: &dyn Fn(usize) -> Vec<f32>| {
            let clean: Vec<Vec<f32>> = (0..samples.len()).map(clean).collect();
            self.renoised(samples, &clean)
        };
        let renoised_before = renoised(treated, &|row| before.get(treated[row]).to_vec())?;
        let renoised_after = renoised(treated, &|row| {
            let item = before.item_len();
            healed.finals[row * item..][..item].to_vec()
        })?;
        let boundary = TOO_MUCH * concept.strength;
        let above = |scores: &[f64]| scores.iter().filter(|score| **score > boundary).count();
        let still = above(&renoised_after);
        Ok(Evidence {
            score: Change {
                before: scores(&was),
                after: scores(&is),
            },
            showing: is
                .iter()
                .filter(|row| concept.score(row) > boundary)
                .count(),
            nearest: Change {
                before: nearest(&was)?,
                after: nearest(&is)?,
            },
            renoised: Change {
                before: mean(renoised_before.iter().copied()),
                after: mean(renoised_after.iter().copied()),
            },
            renoised_showing: Showing {
                before: above(&renoised_before),
                after: still,
                share: Estimate::share(still, treated.len()).unwrap_or(Estimate::alone(0.0)),
            },
            renoised_others: (!others.is_empty())
                .then(|| renoised(&others, &|row| before.get(others[row]).to_vec()))
                .transpose()?
                .map(|scores| mean(scores.into_iter())),
            picture_change,
        })
    }

    /// Of each clean state, the mean score with fresh noise of the place where the
    /// concept stands apart most. A sample has the same noise before and after.
    fn renoised(&self, samples: &[usize], clean: &[Vec<f32>]) -> Result<Vec<f64>, StudyError> {
        let stop = self.stops[self.place];
        let mut scores = Vec::new();
        for (sample, clean) in samples.iter().zip(clean) {
            let mut noise: Vec<f32> = Vec::with_capacity(NOISES * clean.len());
            for draw in 0..NOISES {
                let item = *sample as u64;
                let mut stream = Stream::new(self.seed, "treat evidence", item, draw as u64);
                noise.extend(stream.normals::<f32>(clean.len()));
            }
            let states = noised(self.sampler, stop, clean, noise)?;
            let states = Block::from_vec(NOISES, clean.len(), states)?;
            let found = images(self.network, self.sampler.timesteps()[stop], &states)?;
            let concept = &self.concepts[self.place];
            scores.push(mean((0..NOISES).map(|row| concept.score(found.row(row)))));
        }
        Ok(scores)
    }
}

/// Mean over pictures of the root mean square difference.
pub(super) fn picture_change(before: &Pictures, after: &Pictures) -> f64 {
    mean((0..before.len()).map(|i| {
        let pairs = before.get(i).iter().zip(after.get(i));
        mean(pairs.map(|(a, b)| f64::from(a - b).powi(2))).sqrt()
    }))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), v| (sum + v, count + 1));
    sum / f64::from(count.max(1))
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let score = |value: f64| numbers::signed(value, 1);
        write!(
            f,
            "by the model itself: score of the treated {} → {}, {} of them still show it; of the \
             nearest learnt samples {} → {} show it; noised anew they score {} → {}",
            score(self.score.before),
            score(self.score.after),
            self.showing,
            percent(self.nearest.before),
            percent(self.nearest.after),
            score(self.renoised.before),
            score(self.renoised.after),
        )?;
        if let Some(others) = self.renoised_others {
            write!(f, " (others {})", score(others))?;
        }
        let Showing {
            before,
            after,
            share,
        } = self.renoised_showing;
        write!(
            f,
            ", and {before} → {after} of {} still show it then ({:.0} %)",
            share.count,
            share.times(100.0)
        )?;
        let change = numbers::figures(self.picture_change);
        write!(f, "; their pictures changed by {change}")
    }
}
