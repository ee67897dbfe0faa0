//! What can go wrong in a study.

use thiserror::Error;

/// An error of a study, with what was wrong, where, and what to do.
#[derive(Debug, Error)]
pub enum StudyError {
    /// An argument does not make sense for this model.
    #[error("{argument}: {why}")]
    Argument {
        /// The argument, as the user writes it.
        argument: String,
        /// What is wrong and what is possible.
        why: String,
    },
    /// The user asked to stop.
    #[error("interrupted; nothing half-written was left")]
    Cancelled,
    /// See [`alice_calculus::GraphError`].
    #[error(transparent)]
    Graph(#[from] alice_calculus::GraphError),
    /// See [`alice_diffusion::Error`].
    #[error(transparent)]
    Diffusion(#[from] alice_diffusion::Error),
    /// See [`alice_evolution::EvolutionError`].
    #[error(transparent)]
    Evolution(#[from] alice_evolution::EvolutionError),
    /// See [`alice_geometry::GeometryError`].
    #[error(transparent)]
    Geometry(#[from] alice_geometry::GeometryError),
    /// See [`alice_instruments::InstrumentError`].
    #[error(transparent)]
    Instrument(#[from] alice_instruments::InstrumentError),
    /// See [`alice_networks::NetworkError`].
    #[error(transparent)]
    Network(#[from] alice_networks::NetworkError),
    /// See [`alice_pipelines::PipelineError`].
    #[error(transparent)]
    Pipeline(#[from] alice_pipelines::PipelineError),
    /// See [`alice_training::TrainingError`].
    #[error(transparent)]
    Training(#[from] alice_training::TrainingError),
    /// See [`alice_worlds::WorldError`].
    #[error(transparent)]
    World(#[from] alice_worlds::WorldError),
    /// See [`alice_runs::Error`].
    #[error(transparent)]
    Run(#[from] alice_runs::Error),
}

impl StudyError {
    /// An argument that does not make sense.
    pub fn argument(argument: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Argument {
            argument: argument.into(),
            why: why.into(),
        }
    }
}
