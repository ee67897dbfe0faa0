//! What can go wrong.

/// Errors of this crate. Each says what was asked, what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvolutionError {
    /// An array does not have the extent an operation needs.
    #[error("{operation}: {quantity} is {found}, expected {expected}")]
    Shape {
        /// The operation that refused its input.
        operation: &'static str,
        /// What was measured, such as "dimension".
        quantity: &'static str,
        /// The extent that was given.
        found: usize,
        /// The extent that was needed.
        expected: usize,
    },
    /// A parameter lies outside its range.
    #[error("{name} is {value}; it must be {requirement}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its value, in words.
        value: String,
        /// The range it must lie in, in words.
        requirement: String,
    },
    /// A fitness that the algorithm cannot weigh with.
    #[error("the fitness of individual {individual} is {value}; {requirement}")]
    Fitness {
        /// The individual, counted from 0.
        individual: usize,
        /// Its fitness.
        value: f64,
        /// What it must be, and what to do.
        requirement: &'static str,
    },
    /// A problem could not evaluate a batch.
    #[error("the problem {problem:?} failed: {detail}")]
    Problem {
        /// The problem.
        problem: String,
        /// What happened, and what to do.
        detail: String,
    },
}

impl EvolutionError {
    /// A parameter outside its range.
    pub fn parameter(
        name: &'static str,
        value: impl std::fmt::Display,
        requirement: impl Into<String>,
    ) -> Self {
        Self::Parameter {
            name,
            value: value.to_string(),
            requirement: requirement.into(),
        }
    }

    pub(crate) fn check_extent(
        operation: &'static str,
        quantity: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), Self> {
        if found == expected {
            return Ok(());
        }
        Err(Self::Shape {
            operation,
            quantity,
            found,
            expected,
        })
    }
}
