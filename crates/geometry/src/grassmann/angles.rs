//! Principal angles and the geodesic distance.

use std::f64::consts::FRAC_PI_4;

use crate::{GeometryError, Span, numeric::small_svd};

/// The principal angles between two subspaces, in radians, ascending;
/// `[min(rank A, rank B)]`.
///
/// cos θ are the singular values of AᵀB, sin θ those of (I − A Aᵀ) B. The
/// cosine loses half the digits of a small angle, so angles below π/4 come
/// from the sine (Björck & Golub 1973).
///
/// Cost: O(n k²) in f64.
///
/// # Errors
/// When the spaces around have different dimensions.
pub fn principal_angles(a: &Span, b: &Span) -> Result<Vec<f64>, GeometryError> {
    GeometryError::check_extent(
        "principal angles",
        "dimension",
        b.dimension(),
        a.dimension(),
    )?;
    let (larger, smaller) = if a.rank() >= b.rank() { (a, b) } else { (b, a) };
    let overlap = larger.basis().transpose() * smaller.basis();
    let outside = smaller.basis() - larger.basis() * &overlap;
    let cosines = small_svd(overlap.as_ref())?.values; // descending
    let mut sines = small_svd(outside.as_ref())?.values;
    sines.reverse(); // ascending, as the angles
    Ok(std::iter::zip(cosines, sines)
        .map(|(cosine, sine)| {
            if sine < FRAC_PI_4.sin() {
                sine.asin()
            } else {
                cosine.clamp(0.0, 1.0).acos()
            }
        })
        .collect())
}

/// The geodesic distance √Σ θᵢ² between two subspaces of the same rank, in
/// radians; at most √k · π/2.
///
/// # Errors
/// When the ranks, or the dimensions of the spaces around, differ.
pub fn distance(a: &Span, b: &Span) -> Result<f64, GeometryError> {
    GeometryError::check_extent("Grassmann distance", "rank", b.rank(), a.rank())?;
    let angles = principal_angles(a, b)?;
    Ok(angles.iter().map(|angle| angle * angle).sum::<f64>().sqrt())
}
