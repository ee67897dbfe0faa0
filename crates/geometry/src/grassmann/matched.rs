//! Directions of several bases, matched one to one and averaged.

use pathfinding::matrix::Matrix as Weights;
use pathfinding::prelude::kuhn_munkres;

use crate::{
    Block, GeometryError,
    numeric::{add_scaled, dot, norm},
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
    /// Mean over the bases of |cosine| of the vector that was matched to each
    /// and the mean of those of the *other* bases, `[k]`: next to nothing where
    /// bases have nothing in common. Zero for a single basis.
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
    // Of the last round: vector and sign matched to each, of every basis.
    let mut partners = Vec::new();
    let mut sum = Block::zeros(0, first.dimension());
    for _ in 0..ROUNDS {
        sum = Block::zeros(k, first.dimension());
        partners.clear();
        for basis in bases {
            let cosines: Vec<f64> = (0..k * k)
                .map(|at| dot(mean.row(at / k), basis.row(at % k)))
                .collect();
            let weights = cosines.iter().map(|c| (c.abs() * PRECISION) as i64);
            let weights = Weights::from_vec(k, k, weights.collect()).map_err(GeometryError::map)?;
            let (_, partner) = kuhn_munkres(&weights);
            let signed = partner.iter().enumerate();
            let signed = signed.map(|(i, &j)| (j, cosines[i * k + j].signum() as f32));
            partners.push(signed.collect::<Vec<(usize, f32)>>());
            for (i, &(j, sign)) in partners[partners.len() - 1].iter().enumerate() {
                add_scaled(sum.row_mut(i), sign, basis.row(j));
            }
        }
        mean = sum.clone().normalised();
    }
    let mut agreement = vec![0.0; k];
    for (basis, partners) in bases.iter().zip(&partners) {
        for (i, &(j, sign)) in partners.iter().enumerate() {
            let mut others = sum.row(i).to_vec();
            add_scaled(&mut others, -sign, basis.row(j));
            let length = norm(&others).max(f64::MIN_POSITIVE);
            agreement[i] += dot(&others, basis.row(j)).abs() / length / bases.len() as f64;
        }
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
    use crate::{Span, numeric::scale};
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

    /// A basis agrees with a mean that holds itself, whatever the others are.
    #[test]
    fn random_bases_do_not_agree() {
        let mut stream = Stream::new(5, "matched", 0, 0);
        for count in [2, 12] {
            let bases: Vec<Block> = (0..count)
                .map(|_| Block::normals(8, 4096, &mut stream).normalised())
                .collect();
            let found = matched_mean(&bases).unwrap();
            assert!(found.agreement.iter().all(|a| *a < 0.06), "{found:?}");
            // As it was: about 1 / √count.
            let itself = bases[0].as_slice().chunks(4096);
            let with_itself = itself.map(|row| dot(row, found.directions.row(0)).abs());
            assert!(with_itself.fold(0.0, f64::max) > 0.15);
        }
    }
}
