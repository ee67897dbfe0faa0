//! A network as a denoiser.

use alice_calculus::{GraphError, Model, Tensor, Value};

use crate::error::BoxError;
use crate::trajectory::Denoiser;

/// A model with the inputs `sample` and `timestep` and the output
/// `prediction`, seen by samplers. States are channels last.
#[derive(Clone, Debug)]
pub struct NetworkDenoiser<'a> {
    model: &'a Model<f32>,
    prediction: Value,
    dims: Vec<usize>,
}

impl<'a> NetworkDenoiser<'a> {
    /// Looks the inputs and the output up.
    ///
    /// # Errors
    /// When the model's graph lacks one of them.
    pub fn new(model: &'a Model<f32>) -> Result<Self, GraphError> {
        let graph = model.graph();
        let dims = graph.dims(graph.find_input("sample")?).to_vec();
        graph.find_input("timestep")?;
        Ok(Self {
            model,
            prediction: graph.find_output("prediction")?,
            dims,
        })
    }

    /// Values of one state, H · W · C.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dims.iter().product()
    }
}

impl Denoiser for NetworkDenoiser<'_> {
    fn predict(
        &mut self,
        x: &[f32],
        count: usize,
        timestep: f64,
    ) -> std::result::Result<Vec<f32>, BoxError> {
        // Blocks bound the memory of the activations.
        const BLOCK: usize = 32;
        let dim = self.dim();
        let time = Tensor::new(&[1, 1], vec![timestep as f32])?;
        let mut out = Vec::with_capacity(x.len());
        for block in x.chunks(BLOCK * dim.max(1)) {
            let items = block.len() / dim.max(1);
            let dims: Vec<usize> = std::iter::once(items).chain(self.dims.clone()).collect();
            let sample = Tensor::new(&dims, block.to_vec())?;
            let inputs = [("sample", &sample), ("timestep", &time)];
            for value in self.model.evaluate(&inputs, &[self.prediction])? {
                out.extend(value.into_data());
            }
        }
        debug_assert_eq!(out.len(), count * dim);
        Ok(out)
    }
}
