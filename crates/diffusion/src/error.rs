//! What can go wrong between a configuration and a finished sample.

/// Any error of a [`Denoiser`](crate::Denoiser).
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of schedules, samplers and trajectories.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The scheduler configuration is not valid JSON or a field has the wrong type.
    #[error("the scheduler configuration cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A configuration value that would change the numbers and is not supported.
    #[error("scheduler configuration: {field} = {value} is not supported; expected {expected}")]
    Unsupported {
        /// The field's name in the file.
        field: &'static str,
        /// The value found.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A value that would change the numbers of this sampler alone.
    #[error(
        "scheduler_config.json: {field} = {value} is not supported with {sampler}; expected \
         {expected}. Choose another sampler with --sampler"
    )]
    UnsupportedBy {
        /// The field's name in the file.
        field: &'static str,
        /// The value found.
        value: String,
        /// What would be accepted.
        expected: &'static str,
        /// The sampler that has the field.
        sampler: &'static str,
    },
    /// A β outside [0, 1), not a number, or one that leaves no noise at t = 0 or
    /// no signal before the last step.
    #[error(
        "beta {value} at training step {index}: betas must lie in [0, 1), the first above 0, \
         and leave some signal before the last step"
    )]
    Beta {
        /// The training step.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// A sampler was asked for no steps, or more than it finds places for among
    /// the training steps.
    #[error(
        "{steps} sampling steps requested; this sampler takes between 1 and {most} of them on \
         this model's schedule"
    )]
    Steps {
        /// The number requested.
        steps: usize,
        /// The largest number that it takes.
        most: usize,
    },
    /// A timestep beyond the schedule.
    #[error("timestep {timestep} is outside the schedule of {train_steps} training steps")]
    Timestep {
        /// The timestep.
        timestep: usize,
        /// The number of training steps.
        train_steps: usize,
    },
    /// An evaluation beyond the sampler's grid.
    #[error("evaluation {index} of a sampler that has {count}")]
    Evaluation {
        /// The index asked for.
        index: usize,
        /// The number of evaluations.
        count: usize,
    },
    /// A range of step indices that does not fit the sampler.
    #[error("steps {start}..{end} do not fit a sampler of {steps} steps")]
    Range {
        /// First step index.
        start: usize,
        /// One past the last step index.
        end: usize,
        /// The sampler's number of steps.
        steps: usize,
    },
    /// A slice of the wrong length.
    #[error("{what} has {found} values, expected {expected}")]
    Length {
        /// Which slice.
        what: &'static str,
        /// The length needed.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// A batch whose length is not a positive multiple of its item count.
    #[error("{what} of {length} values cannot be split into {count} items")]
    Batch {
        /// Which slice.
        what: &'static str,
        /// Its length.
        length: usize,
        /// The number of items.
        count: usize,
    },
    /// A stochastic step was given no noise.
    #[error("the step at timestep {time} is stochastic and needs noise")]
    NoiseMissing {
        /// The timestep.
        time: f64,
    },
    /// A number outside its range.
    #[error("{what} = {value} must be {expected}")]
    Parameter {
        /// The parameter.
        what: &'static str,
        /// The value found.
        value: f64,
        /// What would be accepted.
        expected: &'static str,
    },
    /// ε-prediction says nothing about x₀ where ᾱ = 0.
    #[error(
        "at timestep {timestep} the signal is zero, where epsilon prediction cannot give x0; \
         use v_prediction or sample with rescale_betas_zero_snr"
    )]
    ZeroSignal {
        /// The timestep.
        timestep: usize,
    },
    /// The model failed.
    #[error("the model failed at step {step} (timestep {time})")]
    Model {
        /// Step index on the sampler's grid.
        step: usize,
        /// The timestep.
        time: f64,
        /// The model's error.
        source: BoxError,
    },
    /// The network's output, or the state after a step, has NaN or infinity.
    #[error("{what} is not finite at step {step} (timestep {time}), item {item}")]
    NotFinite {
        /// The model's output, or the state.
        what: &'static str,
        /// Step index on the sampler's grid.
        step: usize,
        /// The timestep.
        time: f64,
        /// The first item of the batch concerned.
        item: usize,
    },
    /// The observer asked to stop.
    #[error("cancelled after step {step} (timestep {time})")]
    Cancelled {
        /// Index of the last step done.
        step: usize,
        /// Its timestep.
        time: f64,
    },
}

/// An error unless `found == expected`.
pub(crate) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<()> {
    if found == expected {
        Ok(())
    } else {
        Err(Error::Length {
            what,
            expected,
            found,
        })
    }
}

/// The values per item of a batch, or an error.
pub(crate) fn item_size(what: &'static str, length: usize, count: usize) -> Result<usize> {
    if count == 0 || length == 0 || !length.is_multiple_of(count) {
        return Err(Error::Batch {
            what,
            length,
            count,
        });
    }
    Ok(length / count)
}
