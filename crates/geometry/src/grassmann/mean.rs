//! The intrinsic mean of subspaces.

use faer::Mat;

use crate::{GeometryError, Span, numeric::small_svd};

/// Largest mean step, in radians, at which the mean is reached.
const TOLERANCE: f64 = 1e-9;
const MAX_ITERATIONS: usize = 200;

/// The subspace with the least sum of squared geodesic distances.
#[derive(Clone, Debug)]
pub struct FrechetMean {
    /// The mean.
    pub span: Span,
    /// Length of the last step, in radians.
    pub last_step: f64,
    /// Steps that were taken.
    pub iterations: usize,
    /// Whether the last step was short enough.
    pub converged: bool,
}

/// The Fréchet (Karcher) mean of subspaces of the same rank.
///
/// Starting at the first, it steps along the mean of the logarithms until
/// that mean vanishes. Unique when the subspaces lie within π/4 of each
/// other; otherwise a local minimum near the first.
///
/// Logarithm and exponential: Bendokat, Zimmermann, Absil, "A Grassmann
/// manifold handbook" (2024). Cost per step: O(count · n k²) in f64.
///
/// # Errors
/// When there is no subspace, or ranks or dimensions differ.
pub fn frechet_mean(spans: &[Span]) -> Result<FrechetMean, GeometryError> {
    const OPERATION: &str = "Fréchet mean";
    let Some(first) = spans.first() else {
        return Err(GeometryError::Degenerate {
            operation: OPERATION,
            detail: "there is no subspace to average".into(),
        });
    };
    for span in spans {
        GeometryError::check_extent(OPERATION, "rank", span.rank(), first.rank())?;
        GeometryError::check_extent(OPERATION, "dimension", span.dimension(), first.dimension())?;
    }
    let mut mean = first.clone();
    for iterations in 1.. {
        let mut step = Mat::zeros(mean.dimension(), mean.rank());
        for span in spans {
            step += logarithm(mean.basis(), span.basis())?;
        }
        step *= faer::Scale(1.0 / spans.len() as f64);
        let last_step = step.norm_l2();
        mean = exponential(mean.basis(), &step)?;
        let converged = last_step <= TOLERANCE;
        if converged || iterations == MAX_ITERATIONS {
            return Ok(FrechetMean {
                span: mean,
                last_step,
                iterations,
                converged,
            });
        }
    }
    unreachable!("the loop ends at MAX_ITERATIONS")
}

/// The tangent at X, `[n, k]`, whose geodesic reaches Y in unit time.
fn logarithm(x: &Mat<f64>, y: &Mat<f64>) -> Result<Mat<f64>, GeometryError> {
    // The basis of Y nearest to X: Y Q Rᵀ with YᵀX = Q C Rᵀ.
    let overlap = small_svd((y.transpose() * x).as_ref())?;
    let nearest = y * (&overlap.left * overlap.right.transpose());
    let cosines = x.transpose() * &nearest; // symmetric: R C Rᵀ
    let outside = &nearest - x * &cosines;
    let svd = small_svd(outside.as_ref())?; // A sin Θ Rᵀ
    let mut tangent = svd.left;
    for i in 0..svd.values.len() {
        let r = svd.right.col(i);
        let cosine = r.transpose() * (&cosines * r);
        let angle = svd.values[i].atan2(cosine);
        for row in 0..tangent.nrows() {
            tangent[(row, i)] *= angle;
        }
    }
    Ok(tangent * svd.right.transpose())
}

/// The end of the geodesic from X along the tangent, in unit time.
fn exponential(x: &Mat<f64>, tangent: &Mat<f64>) -> Result<Span, GeometryError> {
    let svd = small_svd(tangent.as_ref())?;
    let mut end = x * &svd.right;
    for (i, angle) in svd.values.iter().enumerate() {
        let (sine, cosine) = angle.sin_cos();
        for row in 0..end.nrows() {
            end[(row, i)] = cosine * end[(row, i)] + sine * svd.left[(row, i)];
        }
    }
    Span::from_columns(end.as_ref())
}
