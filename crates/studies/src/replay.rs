//! `replay`: do what a recipe says again, and compare.

use crate::StudyError;
use crate::study::Job;
use alice_runs::{Recipe, RunFolder, RunState, disk, hash};
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};

/// The job of a run folder's recipe, a picture's or a recipe file's.
///
/// # Errors
/// When there is no recipe, or one that this Alice does not know.
pub fn job(path: &Path) -> Result<Job, StudyError> {
    Job::from_recipe(path, &Recipe::find(path)?)
}

/// Refuses the job of a recipe that would run another program: a picture or a
/// folder that somebody sends must not.
///
/// # Errors
/// Shows the program.
pub fn require_no_program(job: &Job) -> Result<(), StudyError> {
    let Some(command) = job.study.program() else {
        return Ok(());
    };
    let why = format!(
        "the recipe runs a program, and whoever wrote it chose which: {command:?}. Give \
         --run-program if you trust it"
    );
    Err(StudyError::argument("replay", why))
}

/// What is replayed: a run, where its recipe.json was named.
#[must_use]
pub fn original(path: PathBuf) -> PathBuf {
    let folder = path.parent().map(|folder| match folder.as_os_str() {
        here if here.is_empty() => PathBuf::from("."),
        _ => folder.to_path_buf(),
    });
    let is_recipe = path.file_name().is_some_and(|name| name == RECIPE);
    let run = folder.filter(|run| is_recipe && RunFolder::state(run) == RunState::Complete);
    run.unwrap_or(path)
}

/// How a replay compares with the original.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Pictures and tensors with the same bytes, relative to the run folder.
    pub same: Vec<String>,
    /// Those with other bytes, or missing in the replay.
    pub different: Vec<String>,
    /// Those of the replay that the original run has not.
    pub added: Vec<String>,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let all = self.same.len() + self.different.len();
        match (self.same.len(), self.different.len()) {
            (0, 0) => write!(f, "there was nothing to compare with"),
            (1, 0) if self.same[0] == REPORT => write!(f, "the same numbers in {REPORT}"),
            (0, 1) if self.different[0] == REPORT => write!(f, "other numbers in {REPORT}"),
            (_, 0) => write!(f, "same bytes: {all} of {all} pictures and tensor files"),
            (same, _) => write!(
                f,
                "same bytes: {same} of {all} pictures and tensor files; different: {}",
                self.different.join(", ")
            ),
        }?;
        if self.added.is_empty() {
            return Ok(());
        }
        write!(f, "; the original lacks {}", self.added.join(", "))
    }
}

/// Compares the pictures and tensor files of two run folders, or looks for a
/// picture among those of `replayed`.
///
/// # Errors
/// When a folder or file cannot be read.
pub fn compare(original: &Path, replayed: &Path) -> Result<Comparison, StudyError> {
    let mut comparison = Comparison::default();
    let shown = |name: &Path| name.to_string_lossy().replace('\\', "/");
    if disk::is_folder(original) {
        let names = results(original, 3)?;
        for name in &names {
            let twin = replayed.join(name);
            let same =
                disk::is_file(&twin) && hash::file(original.join(name))? == hash::file(&twin)?;
            if same {
                comparison.same.push(shown(name));
            } else {
                comparison.different.push(shown(name));
            }
        }
        let mut added = results(replayed, 3)?;
        added.retain(|name| !names.contains(name));
        comparison.added = added.iter().map(|name| shown(name)).collect();
        if comparison == Comparison::default() && disk::is_file(original.join(REPORT)) {
            // A study of numbers: all of them but how long it took.
            let numbers = |run: &Path| -> Result<Value, StudyError> {
                let mut report: Value = disk::read_json(run.join(REPORT))?;
                remove_times(&mut report);
                Ok(report)
            };
            let same = numbers(original)? == numbers(replayed)?;
            let list = if same {
                &mut comparison.same
            } else {
                &mut comparison.different
            };
            list.push(REPORT.to_owned());
        }
    } else if is_result(original) {
        let wanted = hash::file(original)?;
        for name in results(replayed, 3)? {
            if hash::file(replayed.join(&name))? == wanted {
                comparison.same.push(shown(&name));
                return Ok(comparison);
            }
        }
        comparison.different.push(original.display().to_string());
    }
    Ok(comparison)
}

/// What every run begins with.
const RECIPE: &str = "recipe.json";
/// What a run of numbers leaves.
const REPORT: &str = "report.json";

/// Takes out what is measured in seconds.
fn remove_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !name.contains("second"));
            fields.values_mut().for_each(remove_times);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_times),
        _ => {}
    }
}

fn is_result(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    matches!(extension, Some("png" | "gif" | "safetensors"))
}

/// Pictures and tensor files, relative to `folder`, at most so deep; other
/// runs that lie inside are not its own.
fn results(folder: &Path, depth: usize) -> Result<Vec<PathBuf>, StudyError> {
    let mut names = Vec::new();
    for path in disk::list(folder)? {
        let Some(name) = path.file_name().map(PathBuf::from) else {
            continue;
        };
        if disk::is_folder(&path) && depth > 1 {
            if RunFolder::state(&path) != RunState::None {
                continue;
            }
            names.extend(
                results(&path, depth - 1)?
                    .into_iter()
                    .map(|inner| name.join(inner)),
            );
        } else if is_result(&path) && disk::is_file(&path) {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_compared_where_there_is_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let run = |name: &str, report: Value| {
            let folder = home.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join(REPORT), report.to_string()).unwrap();
            folder
        };
        let first = run(
            "a",
            json!({"seconds": 1.0, "walks": [{"purity": 0.5, "learn_seconds": 3}]}),
        );
        let same = run(
            "b",
            json!({"seconds": 2.0, "walks": [{"purity": 0.5, "learn_seconds": 4}]}),
        );
        let other = run(
            "c",
            json!({"seconds": 1.0, "walks": [{"purity": 0.6, "learn_seconds": 3}]}),
        );
        let found = compare(&first, &same).unwrap();
        assert_eq!((found.same.len(), found.different.len()), (1, 0));
        assert_eq!(found.to_string(), "the same numbers in report.json");
        let found = compare(&first, &other).unwrap();
        assert_eq!((found.same.len(), found.different.len()), (0, 1));
        assert_eq!(found.to_string(), "other numbers in report.json");
    }
}
