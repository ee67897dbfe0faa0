//! The sum-pooled codomain.

use super::LinearMap;
use crate::{Block, GeometryError};

/// A map followed by a sum over the positions of each channel.
///
/// Its codomain `[channels, positions]`, channel-major, becomes `[channels]`:
/// S J with S = I ⊗ 1ᵀ, and Jᵀ Sᵀ back. With a bottleneck of C channels this
/// is the small H of Park et al. (arXiv 2302.12469), whose spectrum
/// [`dense_spectrum`](crate::dense_spectrum) finds in C vector pullbacks.
#[derive(Clone, Debug)]
pub struct Pooled<M> {
    map: M,
    channels: usize,
}

impl<M: LinearMap> Pooled<M> {
    /// Pools the codomain of `map` into `channels` sums.
    ///
    /// # Errors
    /// When the codomain is not a whole number of positions per channel.
    pub fn new(map: M, channels: usize) -> Result<Self, GeometryError> {
        if channels == 0 || !map.codomain().is_multiple_of(channels) {
            return Err(GeometryError::Parameter {
                name: "channels",
                value: channels.to_string(),
                requirement: format!("a divisor of the codomain's {} dimensions", map.codomain()),
            });
        }
        Ok(Self { map, channels })
    }

    fn positions(&self) -> usize {
        self.map.codomain() / self.channels
    }
}

impl<M: LinearMap> LinearMap for Pooled<M> {
    fn domain(&self) -> usize {
        self.map.domain()
    }

    fn codomain(&self) -> usize {
        self.channels
    }

    fn pushforward(&self, tangents: &Block) -> Result<Block, GeometryError> {
        let full = self.map.pushforward(tangents)?; // [r, channels · positions]
        let sums = full
            .as_slice()
            .chunks_exact(self.positions().max(1))
            .map(|channel| channel.iter().map(|&x| f64::from(x)).sum::<f64>() as f32)
            .collect();
        Block::from_vec(tangents.rows(), self.channels, sums)
    }

    fn pullback(&self, cotangents: &Block) -> Result<Block, GeometryError> {
        GeometryError::check_extent(
            "pullback",
            "dimension",
            cotangents.dimension(),
            self.channels,
        )?;
        let spread = cotangents
            .as_slice()
            .iter()
            .flat_map(|&value| std::iter::repeat_n(value, self.positions()))
            .collect();
        self.map.pullback(&Block::from_vec(
            cotangents.rows(),
            self.map.codomain(),
            spread,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Matrix;

    #[test]
    fn sums_each_channel_and_spreads_it_back() {
        // Two channels of three positions, from two inputs.
        let map = Matrix::from_vec(6, 2, (0..12).map(|i| i as f32).collect()).unwrap();
        let pooled = Pooled::new(&map, 2).unwrap();
        let tangent = Block::from_vec(1, 2, vec![1.0, -1.0]).unwrap();
        assert_eq!(pooled.pushforward(&tangent).unwrap().row(0), [-3.0, -3.0]);
        let cotangent = Block::from_vec(1, 2, vec![1.0, 10.0]).unwrap();
        // Column sums 0+2+4, 1+3+5 and 6+8+10, 7+9+11.
        assert_eq!(pooled.pullback(&cotangent).unwrap().row(0), [246.0, 279.0]);
    }

    #[test]
    fn channels_must_divide_the_codomain() {
        let map = Matrix::from_vec(6, 2, vec![0.0; 12]).unwrap();
        assert!(Pooled::new(&map, 4).is_err());
        assert!(Pooled::new(&map, 0).is_err());
    }
}
