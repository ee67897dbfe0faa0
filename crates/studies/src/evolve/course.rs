//! A search from its first generation, or from where it was interrupted, to
//! its last.

use super::history::History;
use super::population;
use super::report::sized;
use super::search::{Search, Survivors};
use super::subject::Subject;
use crate::{Progress, StudyError};
use alice_runs::RunFolder;
use std::time::{Duration, Instant};

/// The population so far, of Diffusion Evolution.
pub const POPULATION: &str = "population.evolution";
/// The fitness told so far.
const HISTORY: &str = "fitness.history";
/// The last individuals, as text.
const TABLE: &str = "population.csv";
/// Numbers of a table that is written on the way, for those who are killed.
const SMALL_TABLE: usize = 1 << 15;
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

/// Where an interrupted search goes on from.
pub(super) struct Place<'a> {
    pub folder: &'a mut RunFolder,
    /// Which search of the folder's it is, where there are several.
    pub part: Option<&'a str>,
}

impl Place<'_> {
    fn history(&self) -> String {
        match self.part {
            None => HISTORY.to_owned(),
            Some(part) => format!("{part}.history"),
        }
    }

    /// The table of the last individuals.
    fn table(&self) -> String {
        match self.part {
            None => TABLE.to_owned(),
            Some(part) => format!("{part}.{TABLE}"),
        }
    }

    fn write(&mut self, history: &History, search: &Search) -> Result<(), StudyError> {
        if !history.told.is_empty() {
            let name = self.history();
            self.folder.write(&name, &history.to_bytes())?;
        }
        if let (Search::Diffusion(evolution), None) = (search, self.part) {
            self.folder.write(POPULATION, &evolution.to_bytes())?;
        }
        Ok(())
    }

    fn write_table(&mut self, survivors: &Survivors, subject: &Subject) -> Result<(), StudyError> {
        let (name, table) = (self.table(), population::csv(survivors, subject));
        self.folder.write_text(&name, &table)?;
        Ok(())
    }
}

/// Runs a search to its end. With a place it goes on from what an earlier
/// session left there, and leaves the same.
///
/// # Errors
/// When the problem fails, its fitness cannot be used, or the user asks to
/// stop. What was told until then stays in the folder.
pub(super) fn run(
    mut search: Search,
    subject: &Subject,
    mut place: Option<Place>,
    progress: &mut dyn Progress,
) -> Result<Course, StudyError> {
    let planar = subject.problem().dimension() == 2;
    let kept = |points: &[f64], fitness: &[f64]| Generation {
        points: planar.then(|| points.to_vec()),
        fitness: fitness.to_vec(),
    };
    let mut history = match &place {
        Some(place) => History::read(&place.folder.path().join(place.history()))?,
        None => History::default(),
    };
    let mut generations = Vec::new();
    // The points that were told last.
    let mut last = Vec::new();
    history.replay(&mut search, |points, fitness| {
        generations.push(kept(&points, fitness));
        last = points;
    })?;
    let resumed_at = generations.len();
    progress.advance(resumed_at as u64);
    let mut written = Instant::now();
    while !search.is_finished() {
        if progress.is_cancelled() {
            if let Some(place) = &mut place
                && let Some(fitness) = history.told.last()
            {
                place.write(&history, &search)?;
                let survivors = search.survivors(last, fitness.clone());
                place.write_table(&survivors, subject)?;
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
            let survivors = match history.told.last() {
                Some(fitness) => search.survivors(last, fitness.clone()),
                None => search.survivors(points, Vec::new()),
            };
            return Err(interrupted(
                error, &history, &search, &survivors, subject, place,
            ));
        }
        history.push(&points, &fitness, clock.elapsed().as_secs_f64());
        generations.push(kept(&points, &fitness));
        last = points;
        if let Some(place) = &mut place
            && (written.elapsed() > BETWEEN_WRITES || search.is_finished())
        {
            place.write(&history, &search)?;
            if last.len() <= SMALL_TABLE && !search.is_finished() {
                let survivors = search.survivors(last.clone(), fitness.clone());
                place.write_table(&survivors, subject)?;
            }
            written = Instant::now();
        }
        let best = fitness.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        progress.note(&format!("best {}", sized(best, 4)));
        progress.advance(1);
    }
    let fitness = history.told.last().cloned().unwrap_or_default();
    let survivors = search.survivors(last, fitness);
    if let Some(place) = &mut place {
        place.write_table(&survivors, subject)?;
    }
    Ok(Course {
        generations,
        survivors,
        seconds: history.seconds,
        resumed_at,
        search,
    })
}

/// Keeps what there is, and says what that is and how to go on.
fn interrupted(
    error: StudyError,
    history: &History,
    search: &Search,
    survivors: &Survivors,
    subject: &Subject,
    place: Option<Place>,
) -> StudyError {
    let Some(mut place) = place else {
        return error;
    };
    let generation = history.told.len() + 1;
    let kept = place
        .write(history, search)
        .and_then(|()| place.write_table(survivors, subject));
    let why = match kept {
        Ok(()) => {
            let folder = place.folder.path().display();
            let table = place.table();
            let (which, begins) = match generation {
                1 => ("first points are", "begins again"),
                _ => (
                    "population of the generation before is",
                    "goes on from there",
                ),
            };
            format!(
                "{error}. The {which} kept in {folder}/{table}; the same command with \
                 --out {folder} {begins}"
            )
        }
        Err(disk) => format!("{error}. What was found until then could not be kept: {disk}"),
    };
    StudyError::argument(format!("generation {generation}"), why)
}
