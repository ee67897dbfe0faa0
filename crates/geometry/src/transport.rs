//! Carrying a direction from one point to another.

use crate::{
    GeometryError, TangentBasis,
    numeric::{add_scaled, dot, norm, scale},
};

/// Shortest projection, relative to the direction, that still has a meaning.
const SHORTEST: f64 = 1e-6;

/// The direction at another point that corresponds to a left direction u₀:
/// v = V₁ U₁ᵀ u₀, normalised, `[n]`.
///
/// The codomain H is flat enough that u₀ may be compared there as it is: it
/// is projected onto the span of the left vectors at the other point and
/// pulled back along their right vectors (Park et al., arXiv 2307.12868).
///
/// `left_direction` is `[h]`; `destination` is the basis at the other point.
///
/// Cost: k·(n + h) operations.
///
/// # Errors
/// When the dimension differs, a component is not finite, or the direction is
/// orthogonal to the destination's left span.
pub fn transport(
    left_direction: &[f32],
    destination: &TangentBasis,
) -> Result<Vec<f32>, GeometryError> {
    const OPERATION: &str = "transport";
    let left = destination.left();
    GeometryError::check_extent(
        OPERATION,
        "dimension",
        left_direction.len(),
        left.dimension(),
    )?;
    let length = norm(left_direction);
    if !(length.is_finite() && length > 0.0) {
        return Err(GeometryError::Degenerate {
            operation: OPERATION,
            detail: format!("the direction has length {length}"),
        });
    }
    let weights: Vec<f64> = (0..destination.rank())
        .map(|i| dot(left.row(i), left_direction) / length)
        .collect();
    let share = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
    if share < SHORTEST {
        return Err(GeometryError::Degenerate {
            operation: OPERATION,
            detail: "the direction is orthogonal to the destination's left vectors".into(),
        });
    }
    let mut direction = vec![0.0; destination.right().dimension()];
    for (i, weight) in weights.iter().enumerate() {
        add_scaled(
            &mut direction,
            (weight / share) as f32,
            destination.right().row(i),
        );
    }
    let length = norm(&direction);
    scale(&mut direction, 1.0 / length);
    Ok(direction)
}
