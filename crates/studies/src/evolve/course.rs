//! A search from its first generation, or from where it was interrupted, to
//! its last.

use super::history::History;
use super::search::{Search, Survivors};
use super::subject::Subject;
use crate::{Progress, StudyError};
use alice_runs::RunFolder;
use std::time::{Duration, Instant};

/// The population so far, of Diffusion Evolution.
pub const POPULATION: &str = "population.evolution";
/// Generations that pass more quickly are not each written.
const BETWEEN_WRITES: Duration = Duration::from_millis(500);

/// What is kept of a generation.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    /// x `[n, 2]`, of problems in the plane.
    pub points: Option<Vec<f64>>,
    /// Fitness `[n]`.
    pub fitness: Vec<f64>,
}

/// A finished search.
pub(super) struct Course {
    pub generations: Vec<Generation>,
    pub survivors: Survivors,
    /// Seconds of all generations, evaluation included.
    pub seconds: f64,
    /// Generations that earlier sessions had done.
    pub resumed_at: usize,
    pub search: Search,
}

impl Course {
    /// Fitness of every generation.
    pub fn fitness(&self) -> Vec<Vec<f64>> {
        let fitness = |g: &Generation| g.fitness.clone();
        self.generations.iter().map(fitness).collect()
    }
}

/// Runs a search to its end. With a folder it goes on from what an earlier
/// session left there, and leaves the same.
///
/// # Errors
/// When the problem fails, its fitness cannot be used, or the user asks to
/// stop. What was told until then stays in the folder.
pub(super) fn run(
    mut search: Search,
    subject: &Subject,
    mut folder: Option<&mut RunFolder>,
    progress: &mut dyn Progress,
) -> Result<Course, StudyError> {
    let planar = subject.problem().dimension() == 2;
    let kept = |points: Vec<f64>, fitness: &[f64]| Generation {
        points: planar.then_some(points),
        fitness: fitness.to_vec(),
    };
    let mut history = match &folder {
        Some(folder) => History::read(folder.path())?,
        None => History::default(),
    };
    let mut generations = Vec::new();
    history.replay(&mut search, |points, fitness| {
        generations.push(kept(points, fitness));
    })?;
    let resumed_at = generations.len();
    progress.advance(resumed_at as u64);
    let mut written = Instant::now();
    while !search.is_finished() {
        if progress.is_cancelled() {
            if let Some(folder) = &mut folder
                && !history.told.is_empty()
            {
                write(&history, &search, folder)?;
            }
            return Err(StudyError::Cancelled);
        }
        let clock = Instant::now();
        let points = search.ask();
        let mut fitness = vec![0.0; points.len() / subject.problem().dimension()];
        let told = subject
            .problem()
            .evaluate(&points, search.draws(), &mut fitness)
            .map_err(StudyError::from)
            .and_then(|()| search.tell(&fitness));
        if let Err(error) = told {
            return Err(interrupted(error, &history, &search, folder));
        }
        history.push(&points, &fitness, clock.elapsed().as_secs_f64());
        generations.push(kept(points, &fitness));
        if let Some(folder) = &mut folder
            && (written.elapsed() > BETWEEN_WRITES || search.is_finished())
        {
            write(&history, &search, folder)?;
            written = Instant::now();
        }
        let best = fitness.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        progress.note(&format!("best {best:.4}"));
        progress.advance(1);
    }
    Ok(Course {
        generations,
        survivors: search.survivors(),
        seconds: history.seconds,
        resumed_at,
        search,
    })
}

fn write(history: &History, search: &Search, folder: &mut RunFolder) -> Result<(), StudyError> {
    history.write(folder)?;
    if let Search::Diffusion(evolution) = search {
        folder.write(POPULATION, &evolution.to_bytes())?;
    }
    Ok(())
}

/// Keeps what there is and says how to go on.
fn interrupted(
    error: StudyError,
    history: &History,
    search: &Search,
    folder: Option<&mut RunFolder>,
) -> StudyError {
    let (Some(folder), 1..) = (folder, history.told.len()) else {
        return error;
    };
    if let Err(error) = write(history, search, folder) {
        return error;
    }
    let generation = format!("generation {}", history.told.len() + 1);
    let place = folder.path().display();
    let why = format!(
        "{error}. The population is kept; the same command with --out {place} goes on from there"
    );
    StudyError::argument(generation, why)
}
