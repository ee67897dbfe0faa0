//! Rotating directions until each does one thing in one place.

use faer::Mat;

use crate::{Block, GeometryError, numeric::small_svd};

/// Largest number of rotations.
const ROUNDS: usize = 200;
/// Stops when a rotation raises the criterion by less than this share.
const ENOUGH: f64 = 1e-7;

/// The rotation R `[k, k]`, row-major, for which the images of the rotated
/// directions are as sparse as possible: varimax (Kaiser 1958), which
/// maximises the variance of the squared components of every row of
/// R · `images`, `images` being `[k, p]`.
///
/// Singular vectors with close singular values are mixtures in arbitrary
/// proportions; within their span this picks those that change few pixels.
///
/// Cost per round: 4·p·k² operations.
///
/// # Errors
/// When a value is not finite or a decomposition fails.
pub fn varimax(images: &Block) -> Result<Vec<f64>, GeometryError> {
    images.check_finite("varimax")?;
    let (k, p) = (images.rows(), images.dimension());
    let loadings = images.to_columns_f64(); // [p, k]
    let mut rotation = Mat::<f64>::identity(k, k);
    let mut before = 0.0;
    for _ in 0..ROUNDS {
        let rotated = &loadings * &rotation; // [p, k]
        let mut cubes = Mat::zeros(p, k);
        for j in 0..k {
            let mean = (0..p).map(|i| rotated[(i, j)].powi(2)).sum::<f64>() / p.max(1) as f64;
            for i in 0..p {
                let v = rotated[(i, j)];
                cubes[(i, j)] = v * (v * v - mean);
            }
        }
        let gradient = loadings.transpose() * cubes;
        let svd = small_svd(gradient.as_ref())?;
        rotation = &svd.left * svd.right.transpose();
        let criterion: f64 = svd.values.iter().sum();
        if criterion <= before * (1.0 + ENOUGH) {
            break;
        }
        before = criterion;
    }
    // Rows of the result are the new directions in terms of the old.
    Ok((0..k * k).map(|at| rotation[(at % k, at / k)]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::dot;
    use alice_random::Stream;

    /// Sparse images, mixed by a rotation, are found again.
    #[test]
    fn mixed_sparse_images_are_unmixed() {
        let (k, p) = (5, 60);
        let mut sparse = Block::zeros(k, p);
        let mut stream = Stream::new(2, "varimax", 0, 0);
        for i in 0..k {
            for j in 0..8 {
                sparse.row_mut(i)[i * 12 + j] = stream.range(0.5, 1.5) as f32;
            }
        }
        let mixing = crate::Span::of(&Block::normals(k, k, &mut stream)).unwrap();
        let mixing = mixing.orthonormal();
        let mixing: Vec<f64> = mixing.as_slice().iter().map(|&v| f64::from(v)).collect();
        let mixed = sparse.combined(&mixing).unwrap();
        let rotation = varimax(&mixed).unwrap();
        let found = mixed.combined(&rotation).unwrap();
        for i in 0..k {
            let wanted = sparse.row(i);
            let best = (0..k)
                .map(|j| dot(found.row(j), wanted).abs() / dot(wanted, wanted))
                .fold(0.0, f64::max);
            assert!((best - 1.0).abs() < 0.02, "{best}");
        }
        // A rotation: RᵀR = I.
        for a in 0..k {
            for b in 0..k {
                let product: f64 = (0..k)
                    .map(|i| rotation[i * k + a] * rotation[i * k + b])
                    .sum();
                assert!((product - f64::from(u8::from(a == b))).abs() < 1e-9);
            }
        }
    }
}
