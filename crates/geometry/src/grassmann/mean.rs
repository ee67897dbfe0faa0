//! The intrinsic mean of subspaces.

use faer::Mat;

use crate::{GeometryError, Span, numeric::small_svd};

/// Length of the mean logarithm, in radians for each √k, at which the mean is
/// reached: far below what spans of f32 vectors say.
const TOLERANCE: f64 = 1e-6;
const MAX_ITERATIONS: usize = 300;
/// Longest step, in units of the mean logarithm. The Hessian of half a squared
/// distance is at most one, so that a step of one never goes too far.
const LONGEST: f64 = 32.0;
/// Relative change of the energy that is rounding.
const ROUNDING: f64 = 1e-12;

/// The subspace with the least sum of squared geodesic distances.
#[derive(Clone, Debug)]
pub struct FrechetMean {
    /// The mean.
    pub span: Span,
    /// Length of the mean of the logarithms there, in radians: of the step that
    /// would come next.
    pub last_step: f64,
    /// Steps that were tried.
    pub iterations: usize,
    /// Whether that step is at most 1e-6 · √k long.
    pub converged: bool,
}

/// A place on the way to the mean.
struct Place {
    span: Span,
    /// Mean of the logarithms, `[n, k]`: the negative gradient of the energy.
    step: Mat<f64>,
    /// Half the mean squared distance.
    energy: f64,
}

impl Place {
    fn at(span: Span, spans: &[Span]) -> Result<Self, GeometryError> {
        let mut step = Mat::zeros(span.dimension(), span.rank());
        let mut squares = 0.0;
        for other in spans {
            let tangent = logarithm(span.basis(), other.basis())?;
            squares += tangent.squared_norm_l2();
            step += tangent;
        }
        let share = 1.0 / spans.len() as f64;
        step *= faer::Scale(share);
        Ok(Self {
            span,
            step,
            energy: 0.5 * share * squares,
        })
    }
}

/// The Fréchet (Karcher) mean of subspaces of the same rank.
///
/// Starting at the first, it goes along the mean of the logarithms until that
/// mean vanishes, by steps as long as the gradient's change along the last one
/// suggests (Barzilai & Borwein 1988; on manifolds Iannazzo & Porcelli 2018),
/// shorter ones where the energy would rise. Unique when the subspaces lie
/// within π/4 of each other; otherwise a local minimum near the first, and the
/// flatter the energy around it, the more steps.
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
    let tolerance = TOLERANCE * (first.rank() as f64).sqrt();
    let mut here = Place::at(first.clone(), spans)?;
    let mut rate = 1.0;
    let mut iterations = 0;
    loop {
        let last_step = here.step.norm_l2();
        let converged = last_step <= tolerance;
        if converged || iterations == MAX_ITERATIONS {
            return Ok(FrechetMean {
                span: here.span,
                last_step,
                iterations,
                converged,
            });
        }
        iterations += 1;
        let (end, velocity) = exponential(here.span.basis(), &here.step, rate)?;
        let next = Place::at(end, spans)?;
        if rate > 1.0 && next.energy > here.energy * (1.0 + ROUNDING) {
            rate = (0.5 * rate).max(1.0);
            continue;
        }
        // Both of the tangent space at the end: how fast the gradient rose.
        let change = &velocity - &next.step;
        let curvature = inner(&velocity, &change) / velocity.squared_norm_l2();
        rate = if curvature * LONGEST > rate {
            (rate / curvature).max(1.0)
        } else {
            LONGEST
        };
        here = next;
    }
}

/// Σ aᵢⱼ bᵢⱼ.
fn inner(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    let columns = a.col_iter().zip(b.col_iter());
    columns.map(|(a, b)| a.transpose() * b).sum()
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

/// The end of the geodesic from X along the tangent after a time, and its
/// velocity there: the tangent, transported, in the end's own basis.
fn exponential(
    x: &Mat<f64>,
    tangent: &Mat<f64>,
    time: f64,
) -> Result<(Span, Mat<f64>), GeometryError> {
    let svd = small_svd(tangent.as_ref())?; // A Σ Rᵀ
    let mut end = x * &svd.right; // X R cos Σt + A sin Σt
    let mut velocity = end.clone(); // (A cos Σt − X R sin Σt) Σ
    for (i, &speed) in svd.values.iter().enumerate() {
        let (sine, cosine) = (speed * time).sin_cos();
        for row in 0..end.nrows() {
            let (from, along) = (end[(row, i)], svd.left[(row, i)]);
            end[(row, i)] = cosine * from + sine * along;
            velocity[(row, i)] = speed * (cosine * along - sine * from);
        }
    }
    let span = Span::from_columns(end.as_ref())?;
    let turn = end.transpose() * span.basis();
    Ok((span, velocity * turn))
}
