//! Checkpoints: everything a run needs to go on as if never interrupted.

use crate::trainer::Trainer;
use crate::{TrainingError, TrainingRecipe};
use alice_runs::TensorFile;
use std::path::Path;

/// The kinds of values that a checkpoint holds for each parameter.
const PARTS: [&str; 4] = ["weights", "mean", "first", "second"];

impl Trainer {
    /// Writes the run's state to a file, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written; an earlier one is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), TrainingError> {
        let mut file = TensorFile::new();
        let parts = [
            self.model.parameters().values(),
            self.mean.values(),
            &self.optimizer.first,
            &self.optimizer.second,
        ];
        let specs = self.model.graph().parameters();
        for (part, values) in PARTS.iter().zip(parts) {
            let held = specs.iter().zip(values).filter(|(_, v)| !v.is_empty());
            for (spec, values) in held {
                let name = format!("{part}/{}", spec.name);
                file.insert(&name, &[values.len()], values.clone())?;
            }
        }
        let recipe = serde_json::to_string(self.recipe()).unwrap_or_default();
        let numbers = |values: &[f64]| serde_json::to_string(values).unwrap_or_default();
        file.metadata.extend([
            ("recipe".to_owned(), recipe),
            ("step".to_owned(), self.step().to_string()),
            ("curve".to_owned(), numbers(&self.curve)),
            ("interval".to_owned(), numbers(&[self.interval_sum])),
            ("timesteps".to_owned(), numbers(&self.timesteps.squares)),
        ]);
        file.write(path)?;
        Ok(())
    }

    /// The run of a checkpoint, which must be of this recipe. Only `steps`,
    /// `cooldown`, `checkpoint_every` and `sheet_every` may differ, and not the
    /// learning rates of the steps that were done.
    ///
    /// # Errors
    /// When the file is broken or of another recipe.
    pub fn resume(recipe: &TrainingRecipe, path: impl AsRef<Path>) -> Result<Self, TrainingError> {
        let path = path.as_ref();
        let mut file = TensorFile::read(path)?;
        let refuse = |why: String| TrainingError::Checkpoint {
            path: path.display().to_string(),
            why,
        };
        let text = |key: &str| {
            let found = file.metadata.get(key).cloned();
            found.ok_or_else(|| refuse(format!("it lacks {key}")))
        };
        let made_by: TrainingRecipe =
            serde_json::from_str(&text("recipe")?).map_err(|e| refuse(e.to_string()))?;
        let step: u64 = text("step")?
            .parse()
            .map_err(|e| refuse(format!("step: {e}")))?;
        let rates = |recipe: &TrainingRecipe| -> Vec<f64> {
            (0..step).map(|s| recipe.learning_rate_at(s)).collect()
        };
        if step > recipe.steps || rates(&made_by) != rates(recipe) {
            let why = format!(
                "its {step} steps are not the first of this recipe: their learning rates were \
                 others. Change the steps of a run before its cool-down begins"
            );
            return Err(refuse(why));
        }
        let comparable = TrainingRecipe {
            steps: recipe.steps,
            cooldown: recipe.cooldown,
            checkpoint_every: recipe.checkpoint_every,
            sheet_every: recipe.sheet_every,
            ..made_by
        };
        if let Some(field) = difference(&comparable, recipe) {
            return Err(refuse(format!("{field} differs")));
        }
        let numbers = |key: &str| -> Result<Vec<f64>, TrainingError> {
            serde_json::from_str(&text(key)?).map_err(|e| refuse(format!("{key}: {e}")))
        };
        let (curve, interval, squares) = (
            numbers("curve")?,
            numbers("interval")?,
            numbers("timesteps")?,
        );
        let mut trainer = Self::new(recipe)?;
        if squares.len() != trainer.timesteps.squares.len() {
            return Err(refuse("the number of timestep bins differs".to_owned()));
        }
        let graph = trainer.model.graph().clone();
        let mut fill = |part: &str, values: &mut [Vec<f32>]| -> Result<(), TrainingError> {
            let specs = graph.parameters().iter().zip(values);
            for (spec, values) in specs.filter(|(_, values)| !values.is_empty()) {
                *values = file.take(&format!("{part}/{}", spec.name), &[values.len()])?;
            }
            Ok(())
        };
        let [weights, mean, first, second] = PARTS;
        fill(weights, trainer.model.parameters_mut().values_mut())?;
        fill(mean, trainer.mean.values_mut())?;
        fill(first, &mut trainer.optimizer.first)?;
        fill(second, &mut trainer.optimizer.second)?;
        trainer.optimizer.updates = step;
        file.require_empty()?;
        trainer.timesteps.squares = squares;
        trainer.curve = curve;
        trainer.interval_sum = interval.first().copied().unwrap_or(0.0);
        Ok(trainer)
    }
}

/// The first field in which two recipes differ.
fn difference(a: &TrainingRecipe, b: &TrainingRecipe) -> Option<String> {
    let fields = |r| match serde_json::to_value(r) {
        Ok(serde_json::Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    let (a, b) = (fields(a), fields(b));
    a.iter()
        .find(|(key, value)| b.get(*key) != Some(value))
        .map(|(key, _)| key.clone())
}
