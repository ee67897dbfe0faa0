//! The fitness told so far, from which an interrupted run goes on.
//!
//! Every algorithm here is decided by its seed and the fitness it was told, so
//! telling it again what it was told leads to where it was, with every
//! population on the way, and nothing is evaluated twice.

use super::search::Search;
use crate::StudyError;
use alice_runs::disk;
use std::path::Path;

const MAGIC: &[u8; 16] = b"alice fitness 01";

/// Fitness `[generations, n]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct History {
    /// Fitness of each generation, the first one first.
    pub told: Vec<Vec<f64>>,
    /// Seconds of all generations, in all sessions.
    pub seconds: f64,
    /// Identifies the points that the last fitness belongs to.
    mark: u64,
}

impl History {
    /// What an earlier session left in the file; nothing if there is none.
    pub fn read(path: &Path) -> Result<Self, StudyError> {
        if !disk::is_file(path) {
            return Ok(Self::default());
        }
        Self::from_bytes(&disk::read(path)?).ok_or_else(|| {
            let why = "it is broken. Start anew with --overwrite";
            StudyError::argument(path.display().to_string(), why)
        })
    }

    /// Adds a generation.
    pub fn push(&mut self, points: &[f64], fitness: &[f64], seconds: f64) {
        self.told.push(fitness.to_vec());
        self.seconds += seconds;
        self.mark = mark(points);
    }

    /// Tells a fresh search what was told; gives each generation to `watch`.
    pub fn replay(
        &self,
        search: &mut Search,
        mut watch: impl FnMut(Vec<f64>, &[f64]),
    ) -> Result<(), StudyError> {
        let other = || {
            let why = "it belongs to another run, or to another version of Alice. Start anew with --overwrite";
            StudyError::argument("the fitness in the folder", why)
        };
        for (generation, fitness) in self.told.iter().enumerate() {
            let points = search.ask();
            let last = generation + 1 == self.told.len();
            if last && mark(&points) != self.mark {
                return Err(other());
            }
            search.tell(fitness).map_err(|_| other())?;
            watch(points, fitness);
        }
        Ok(())
    }

    /// What [`read`](Self::read) reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        let population = self.told.first().map_or(0, Vec::len) as u64;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(population.to_le_bytes());
        bytes.extend(self.mark.to_le_bytes());
        bytes.extend(self.seconds.to_le_bytes());
        let values = self.told.iter().flatten();
        bytes.extend(values.flat_map(|v| v.to_le_bytes()));
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let words = bytes.strip_prefix(MAGIC)?;
        let (words, rest) = words.as_chunks::<8>();
        let (head, values) = words.split_first_chunk::<3>()?;
        let [population, mark, seconds] = head.map(u64::from_le_bytes);
        let population = usize::try_from(population).ok()?;
        let values: Vec<f64> = values.iter().map(|v| f64::from_le_bytes(*v)).collect();
        let whole = rest.is_empty() && population > 0 && values.len().is_multiple_of(population);
        whole.then(|| Self {
            told: values
                .chunks_exact(population)
                .map(<[f64]>::to_vec)
                .collect(),
            seconds: f64::from_bits(seconds),
            mark,
        })
    }
}

/// A number that other points have not, or by chance: a cryptographic hash
/// would take as long as a generation of large policies.
fn mark(points: &[f64]) -> u64 {
    points.iter().fold(points.len() as u64, |mark, value| {
        let mixed = (mark ^ value.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_comes_back_and_a_broken_one_does_not() {
        let mut history = History::default();
        history.push(&[1.0, 2.0, 3.0], &[0.1, 0.7, f64::MIN_POSITIVE], 0.25);
        history.push(&[1.0, 2.5, 3.0], &[0.3, -0.0, 1e300], 0.5);
        let bytes = history.to_bytes();
        assert_eq!(History::from_bytes(&bytes), Some(history));
        for length in 0..bytes.len() {
            let found = History::from_bytes(&bytes[..length]);
            // Only a whole generation can be missing.
            assert!(found.is_none_or(|h| h.told.len() < 2), "{length}");
        }
    }
}
