//! Small networks that act.

use crate::EvolutionError;
use crate::real::vectorized;

/// A multilayer perceptron with ReLU between its layers, as a shape: the
/// parameters are a point of the search.
///
/// Per layer, the parameters hold the weights `[in, out]` in rows, then the
/// biases `[out]`. Arithmetic is single precision, in an order that does not
/// depend on the machine.
///
/// ```
/// use alice_evolution::control::Policy;
/// assert_eq!(Policy::new(&[4, 8, 2])?.parameters(), 58);
/// assert_eq!(Policy::new(&[4, 128, 128, 2])?.parameters(), 17_410);
/// # Ok::<(), alice_evolution::EvolutionError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    sizes: Vec<usize>,
    /// What an input is divided by.
    units: Vec<f32>,
}

/// The memory that an evaluation of a [`Policy`] needs.
#[derive(Clone, Debug)]
pub struct PolicyScratch {
    parameters: Vec<f32>,
    values: [Vec<f32>; 2],
    /// The inputs of a layer that are not 0.
    active: Vec<(u32, f32)>,
}

/// Writes the inputs that are not 0, each with its number: half of the hidden
/// units are off. Without a branch, as none could be predicted.
#[inline(always)]
fn active<'a>(input: &[f32], found: &'a mut [(u32, f32)]) -> &'a [(u32, f32)] {
    let mut count = 0;
    for (index, &value) in input.iter().enumerate() {
        found[count] = (index as u32, value);
        count += usize::from(value != 0.0);
    }
    &found[..count]
}

/// sums[k] += Σ input · weight[k] for the sums from `from` on, `N` at a time in
/// registers while the inputs are gone through; returns the first one left.
/// `weights` are rows as long as `sums`.
#[inline(always)]
fn add_products<const N: usize>(
    sums: &mut [f32],
    mut from: usize,
    input: &[(u32, f32)],
    weights: &[f32],
) -> usize {
    let stride = sums.len();
    while let Some(output) = sums[from..].first_chunk_mut::<N>() {
        let mut sums = *output;
        for &(index, value) in input {
            let row = weights.get(index as usize * stride + from..);
            if let Some(weights) = row.and_then(|row| row.first_chunk::<N>()) {
                for k in 0..N {
                    sums[k] += value * weights[k];
                }
            }
        }
        *output = sums;
        from += N;
    }
    from
}

impl Policy {
    /// The network with these layer sizes, inputs first.
    ///
    /// # Errors
    /// With fewer than two sizes, or a size of 0.
    pub fn new(sizes: &[usize]) -> Result<Self, EvolutionError> {
        if sizes.len() < 2 || sizes.contains(&0) {
            let requirement = "at least an input and an output size, none of them 0";
            return Err(EvolutionError::parameter(
                "the policy's layer sizes",
                format!("{sizes:?}"),
                requirement,
            ));
        }
        Ok(Self {
            sizes: sizes.to_vec(),
            units: vec![1.0; sizes[0]],
        })
    }

    /// The same network behind a division of its inputs by `units`, one per
    /// input.
    ///
    /// # Errors
    /// When their number is not that of the inputs.
    pub fn with_units(self, units: &[f32]) -> Result<Self, EvolutionError> {
        EvolutionError::check_extent("policy", "number of units", units.len(), self.sizes[0])?;
        let units = units.to_vec();
        Ok(Self { units, ..self })
    }

    /// The layer sizes, inputs first.
    #[must_use]
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Parameters: (in + 1) · out summed over the layers.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.layers().map(|(from, to)| (from + 1) * to).sum()
    }

    fn layers(&self) -> impl Iterator<Item = (usize, usize)> {
        self.sizes.windows(2).map(|pair| (pair[0], pair[1]))
    }

    /// Memory for [`load`](Self::load) and [`act`](Self::act).
    #[must_use]
    pub fn scratch(&self) -> PolicyScratch {
        let widest = self.sizes.iter().copied().max().unwrap_or(0);
        PolicyScratch {
            parameters: vec![0.0; self.parameters()],
            values: [vec![0.0; widest], vec![0.0; widest]],
            active: vec![(0, 0.0); widest],
        }
    }

    /// Takes the parameters `[d]` that the next calls of [`act`](Self::act) use.
    ///
    /// # Errors
    /// When their number is not [`parameters`](Self::parameters), one of them is
    /// not finite, or the memory is that of another network.
    pub fn load(
        &self,
        parameters: &[f64],
        scratch: &mut PolicyScratch,
    ) -> Result<(), EvolutionError> {
        let expected = self.parameters();
        for found in [parameters.len(), scratch.parameters.len()] {
            EvolutionError::check_extent("policy", "number of parameters", found, expected)?;
        }
        for (index, (single, &double)) in scratch.parameters.iter_mut().zip(parameters).enumerate()
        {
            *single = double as f32;
            if !single.is_finite() {
                return Err(EvolutionError::parameter(
                    "a parameter of the policy",
                    format!("{double} (number {index})"),
                    "finite in single precision",
                ));
            }
        }
        // To divide the weights of an input is to divide the input.
        let rows = scratch.parameters.chunks_exact_mut(self.sizes[1]);
        for (weights, unit) in rows.zip(&self.units) {
            weights.iter_mut().for_each(|weight| *weight /= unit);
        }
        Ok(())
    }

    /// The outputs for one observation, with the loaded parameters. Does not
    /// allocate; one multiplication and one addition per parameter.
    ///
    /// # Errors
    /// When the observation does not have the network's input size.
    pub fn act<'a>(
        &self,
        observation: &[f32],
        scratch: &'a mut PolicyScratch,
    ) -> Result<&'a [f32], EvolutionError> {
        let (found, expected) = (observation.len(), self.sizes[0]);
        EvolutionError::check_extent("policy", "size of the observation", found, expected)?;
        vectorized(
            #[inline(always)]
            || self.forward(observation, scratch),
        );
        // The layers write to the two buffers in turn.
        let layers = self.sizes.len() - 1;
        Ok(&scratch.values[layers % 2][..self.sizes[layers]])
    }

    #[inline(always)]
    fn forward(&self, observation: &[f32], scratch: &mut PolicyScratch) {
        let PolicyScratch {
            parameters,
            values,
            active: found,
        } = scratch;
        let [input, output] = values;
        let (mut input, mut output) = (input, output);
        input[..observation.len()].copy_from_slice(observation);
        let mut rest = parameters.as_slice();
        let last = self.sizes.len() - 2;
        for (layer, pair) in self.sizes.windows(2).enumerate() {
            let to = pair[1];
            let (weights, after) = rest.split_at(pair[0] * to);
            let (biases, after) = after.split_at(to);
            rest = after;
            let sums = &mut output[..to];
            sums.copy_from_slice(biases);
            let input_on = active(&input[..pair[0]], found);
            let from = add_products::<128>(sums, 0, input_on, weights);
            let from = add_products::<8>(sums, from, input_on, weights);
            let from = add_products::<2>(sums, from, input_on, weights);
            add_products::<1>(sums, from, input_on, weights);
            if layer < last {
                for value in sums {
                    *value = value.max(0.0);
                }
            }
            std::mem::swap(&mut input, &mut output);
        }
    }
}
