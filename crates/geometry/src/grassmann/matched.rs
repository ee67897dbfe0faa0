//! Directions of several bases, matched one to one and averaged.

use pathfinding::matrix::Matrix as Weights;
use pathfinding::prelude::kuhn_munkres;

use crate::{
    Block, GeometryError,
    numeric::{add_scaled, dot, norm, scale},
};

/// Rounds of matching and averaging.
const ROUNDS: usize = 3;
/// Cosines are matched to this precision, since the assignment counts in integers.
const PRECISION: f64 = 1e6;

/// Directions that several bases share.
#[derive(Clone, Debug)]
pub struct MatchedMean {
    /// Unit vectors `[k, h]`, the one that the bases agree on most first.
    pub directions: Block,
    /// Mean |cosine| of each with the vectors that were matched to it, `[k]`.
    pub agreement: Vec<f64>,
}

/// Matches the rows of every basis `[k, h]` (unit vectors) to those of the
/// mean so far by the assignment with the largest sum of |cosine| (Kuhn 1955),
/// and averages them, signs aligned; starts at the first basis.
///
/// Park et al. (NeurIPS 2023) average the closest vectors of other samples;
/// the assignment keeps two directions from taking the same one.
///
/// Cost: O(count · (k² h + k³)) a round.
///
/// # Errors
/// When there is no basis, or their extents differ.
pub fn matched_mean(bases: &[Block]) -> Result<MatchedMean, GeometryError> {
    const OPERATION: &str = "matched mean";
    let Some(first) = bases.first() else {
        return Err(GeometryError::Degenerate {
            operation: OPERATION,
            detail: "there is no basis to average".into(),
        });
    };
    for basis in bases {
        GeometryError::check_extent(OPERATION, "rank", basis.rows(), first.rows())?;
        GeometryError::check_extent(OPERATION, "dimension", basis.dimension(), first.dimension())?;
        basis.check_finite(OPERATION)?;
    }
    let k = first.rows();
    let mut mean = first.clone();
    let mut agreement = vec![1.0; k];
    for _ in 0..ROUNDS {
        let mut sum = Block::zeros(k, first.dimension());
        agreement = vec![0.0; k];
        for basis in bases {
            let cosines: Vec<f64> = (0..k * k)
                .map(|at| dot(mean.row(at / k), basis.row(at % k)))
                .collect();
            let weights = cosines.iter().map(|c| (c.abs() * PRECISION) as i64);
            let weights = Weights::from_vec(k, k, weights.collect()).map_err(GeometryError::map)?;
            let (_, partner) = kuhn_munkres(&weights);
            for (i, &j) in partner.iter().enumerate() {
                let cosine = cosines[i * k + j];
                add_scaled(sum.row_mut(i), cosine.signum() as f32, basis.row(j));
                agreement[i] += cosine.abs() / bases.len() as f64;
            }
        }
        for i in 0..k {
            let length = norm(sum.row(i));
            scale(sum.row_mut(i), 1.0 / length.max(f64::MIN_POSITIVE));
        }
        mean = sum;
    }
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&a, &b| agreement[b].total_cmp(&agreement[a]));
    let rows = order.iter().flat_map(|&i| mean.row(i).iter().copied());
    Ok(MatchedMean {
        directions: Block::from_vec(k, first.dimension(), rows.collect())?,
        agreement: order.iter().map(|&i| agreement[i]).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;
    use alice_random::Stream;

    #[test]
    fn shuffled_signed_and_noisy_copies_are_matched() {
        let (k, h) = (6, 40);
        let mut stream = Stream::new(3, "matched", 0, 0);
        let truth = Span::of(&Block::normals(k, h, &mut stream)).unwrap();
        let truth = truth.orthonormal();
        let copy = |shift: usize, stream: &mut Stream| {
            let mut rows = Vec::new();
            for i in 0..k {
                let noise: Vec<f32> = stream.normals(h);
                let mut row = truth.row((i + shift) % k).to_vec();
                let sign = if (i + shift).is_multiple_of(2) {
                    1.0
                } else {
                    -1.0
                };
                scale(&mut row, sign);
                add_scaled(&mut row, 0.03, &noise);
                let length = norm(&row);
                scale(&mut row, 1.0 / length);
                rows.extend(row);
            }
            Block::from_vec(k, h, rows).unwrap()
        };
        let bases: Vec<Block> = (0..12).map(|i| copy(i, &mut stream)).collect();
        let found = matched_mean(&bases).unwrap();
        for i in 0..k {
            let best = (0..k)
                .map(|j| dot(found.directions.row(j), truth.row(i)).abs())
                .fold(0.0, f64::max);
            assert!(best > 0.99, "{best}");
        }
        assert!(found.agreement.iter().all(|a| *a > 0.95));
        assert!(found.agreement.windows(2).all(|pair| pair[0] >= pair[1]));
        assert!(matched_mean(&[]).is_err());
    }
}
