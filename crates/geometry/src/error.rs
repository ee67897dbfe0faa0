//! What can go wrong.

/// Errors of this crate. Each says what was asked and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// A block or vector does not have the extent an operation needs.
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
    /// More singular triplets were asked for than the map has.
    #[error(
        "rank above the dimension: rank {rank} of a map from {domain} to {codomain} dimensions; \
         ask for at most {}",
        domain.min(codomain)
    )]
    RankAboveDimension {
        /// The rank that was asked for.
        rank: usize,
        /// Dimension of the map's domain.
        domain: usize,
        /// Dimension of the map's codomain.
        codomain: usize,
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
    /// A NaN or an infinity.
    #[error("{operation}: the value in row {row}, component {component} is {value}")]
    NonFinite {
        /// The operation that produced or received the value.
        operation: &'static str,
        /// Row of the block.
        row: usize,
        /// Component within the row.
        component: usize,
        /// The value.
        value: f32,
    },
    /// Vectors that should be independent are not, or a vector has no length.
    #[error("{operation}: {detail}")]
    Degenerate {
        /// The operation that refused its input.
        operation: &'static str,
        /// What is degenerate.
        detail: String,
    },
    /// A small dense decomposition did not converge.
    #[error("the decomposition of a {rows} × {columns} matrix did not converge")]
    Decomposition {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
    },
    /// The linear map failed.
    #[error("the linear map failed: {0}")]
    Map(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl GeometryError {
    /// Wraps an error of a [`LinearMap`](crate::LinearMap)'s own.
    pub fn map(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Map(error.into())
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
