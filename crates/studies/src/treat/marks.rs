//! What marked samples have in common, and what as many samples would have
//! that nobody chose.

use super::TreatArguments;
use crate::StudyError;
use crate::pictures::numbers;
use alice_geometry::{Components, GeometryError};
use alice_random::Stream;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// Draws of as many samples at random.
const DRAWS: usize = 400;
/// The share of them that marked samples must stand apart further than.
const SURE: f64 = 0.95;

/// What the marked samples became.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Growth {
    /// Other samples show what they share: all of them are the group.
    Grown,
    /// No other sample shows it.
    Alone,
    /// More samples would show it than count as rare: the marked ones alone are
    /// the group.
    Common,
    /// More samples are marked than count as rare: they alone are the group.
    Many,
}

/// The samples that were marked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Marked {
    /// How many.
    pub samples: usize,
    /// How far they stand apart from all others, at the place where they do
    /// most, in deviations within the two groups.
    pub separation: f64,
    /// How far as many samples stand apart that are drawn at random from the
    /// same ones: 95 of 100 draws do less.
    pub chance: f64,
    /// What they became, where the group stands apart most.
    pub growth: Growth,
}

/// The marked samples in clouds of bottlenecks, one at each place.
pub(super) struct Marks {
    flags: Vec<bool>,
    largest: usize,
    separation: f64,
    chance: f64,
}

impl Marks {
    /// Compares the marked samples with random ones; all of them are shown by
    /// the picture `learnt`.
    ///
    /// # Errors
    /// When they stand apart no further.
    pub(super) fn new(
        arguments: &TreatArguments,
        clouds: &[Components],
        largest: usize,
        learnt: &Path,
    ) -> Result<Self, StudyError> {
        let (all, count) = (arguments.learn, arguments.mark.len());
        let flags: Vec<bool> = (0..all).map(|i| arguments.mark.contains(&i)).collect();
        let separation = apart(clouds, &flags)?;
        // Of their own: which samples are drawn must not follow from the seed
        // that they were made with.
        let mut stream = Stream::new(0, "marks at random", count as u64, all as u64);
        let mut chances = Vec::with_capacity(DRAWS);
        for _ in 0..DRAWS {
            chances.push(apart(clouds, &draw(all, count, &mut stream))?);
        }
        chances.sort_by(f64::total_cmp);
        let chance = chances[(SURE * DRAWS as f64) as usize];
        let marks = Self {
            flags,
            largest,
            separation,
            chance,
        };
        if separation > chance {
            return Ok(marks);
        }
        let why = format!(
            "{}. What they share cannot be told from chance. Look at {} for other samples that show \
             the same and mark those too, learn from more samples with --learn, or take fewer \
             --components",
            marks.compared(),
            learnt.display()
        );
        Err(StudyError::argument("--mark", why))
    }

    /// The group that they make in one of the clouds.
    pub(super) fn group(&self, cloud: &Components) -> Result<Vec<bool>, GeometryError> {
        Ok(cloud
            .like(&self.flags, self.largest)?
            .unwrap_or_else(|| self.flags.clone()))
    }

    /// What is said of them where `members` became the group of `cloud`.
    pub(super) fn report(
        &self,
        cloud: &Components,
        members: &[bool],
    ) -> Result<Marked, GeometryError> {
        let growth = if members != self.flags {
            Growth::Grown
        } else if self.samples() > self.largest {
            Growth::Many
        } else if cloud.like(&self.flags, self.largest)?.is_none() {
            Growth::Common
        } else {
            Growth::Alone
        };
        Ok(Marked {
            samples: self.samples(),
            separation: self.separation,
            chance: self.chance,
            growth,
        })
    }

    fn samples(&self) -> usize {
        self.flags.iter().filter(|mark| **mark).count()
    }

    fn compared(&self) -> String {
        compared(self.samples(), self.separation, self.chance)
    }
}

/// How far some samples stand apart where they do most.
fn apart(clouds: &[Components], marks: &[bool]) -> Result<f64, GeometryError> {
    let mut most = 0.0;
    for cloud in clouds {
        most = f64::max(most, cloud.separation(marks)?);
    }
    Ok(most)
}

/// `count` of `all` samples.
fn draw(all: usize, count: usize, stream: &mut Stream) -> Vec<bool> {
    let mut marks = vec![false; all];
    let mut left = count;
    while left > 0 {
        let one = stream.below(all);
        left -= usize::from(!std::mem::replace(&mut marks[one], true));
    }
    marks
}

fn compared(samples: usize, separation: f64, chance: f64) -> String {
    let said = numbers::counted(samples as u64, "marked sample");
    let stand = if samples == 1 { "stands" } else { "stand" };
    format!(
        "the {} {stand} {separation:.1} deviations apart, and 95 of 100 draws of as many samples at \
         random stand up to {chance:.1} apart",
        if samples == 1 { "marked sample" } else { &said }
    )
}

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&compared(self.samples, self.separation, self.chance))?;
        let alone = "the group is the marked samples alone";
        match self.growth {
            Growth::Grown => Ok(()),
            Growth::Alone => write!(f, "\n    no other sample shows what they share: {alone}"),
            Growth::Common => write!(
                f,
                "\n    what they share grows into what is not rare (--rare): {alone}"
            ),
            Growth::Many => write!(
                f,
                "\n    more samples are marked than count as rare (--rare): {alone}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_hold_as_many_samples() {
        let mut stream = Stream::new(0, "a test", 0, 0);
        for count in [0, 1, 5, 20] {
            let marks = draw(20, count, &mut stream);
            assert_eq!(marks.iter().filter(|mark| **mark).count(), count);
        }
        assert_ne!(draw(20, 5, &mut stream), draw(20, 5, &mut stream));
    }

    #[test]
    fn what_did_not_grow_is_said() {
        let said = |growth| {
            let marked = Marked {
                samples: 3,
                separation: 4.0,
                chance: 3.0,
                growth,
            };
            marked.to_string()
        };
        assert!(!said(Growth::Grown).contains("alone"));
        for growth in [Growth::Alone, Growth::Common, Growth::Many] {
            assert!(said(growth).contains("the marked samples alone"));
        }
    }
}
