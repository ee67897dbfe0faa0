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
    bottleneck: Option<Value>,
    dims: Vec<usize>,
    shift: Option<Tensor<f32>>,
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
            bottleneck: graph.find_output("bottleneck").ok(),
            dims,
            shift: None,
        })
    }

    /// From now on adds Δh, `[count, H, W, C]`, to the bottleneck of every
    /// state of a batch of `count`, at every timestep (Kwon et al., "Asyrp";
    /// Haas et al. 2024, in both terms of the step).
    ///
    /// # Errors
    /// When the network has no output `bottleneck`, or it has another shape.
    pub fn shift_bottleneck(&mut self, shift: Tensor<f32>) -> Result<(), GraphError> {
        let graph = self.model.graph();
        let dims = graph.dims(graph.find_output("bottleneck")?);
        if shift.dims().get(1..) != Some(dims) {
            return Err(GraphError::Input {
                name: "the shift of the bottleneck".to_owned(),
                expected: format!("items of {dims:?}"),
                found: shift.dims().to_vec(),
            });
        }
        self.shift = Some(shift);
        Ok(())
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
        let mut first = 0;
        for block in x.chunks(BLOCK * dim.max(1)) {
            let items = block.len() / dim.max(1);
            let dims: Vec<usize> = std::iter::once(items).chain(self.dims.clone()).collect();
            let sample = Tensor::new(&dims, block.to_vec())?;
            let inputs = [("sample", &sample), ("timestep", &time)];
            let shift = self.shift.as_ref().map(|shift| {
                if shift.batch() != count {
                    return Err(format!("{count} states, {} shifts", shift.batch()));
                }
                Ok(shift.items(first..first + items))
            });
            let shift = shift.transpose()?;
            let shifts: Vec<(Value, &Tensor<f32>)> =
                self.bottleneck.into_iter().zip(&shift).collect();
            let outputs = [self.prediction];
            for value in self.model.evaluate_shifted(&inputs, &shifts, &outputs)? {
                out.extend(value.into_data());
            }
            first += items;
        }
        debug_assert_eq!(out.len(), count * dim);
        Ok(out)
    }
}
