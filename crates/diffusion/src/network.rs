//! A network as a denoiser.

use std::sync::Arc;

use alice_calculus::{Derivative, Graph, GraphError, Interpreter, Model, Tensor, Value};

use crate::error::BoxError;
use crate::trajectory::Denoiser;

/// How strongly a condition counts against its opposite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guidance {
    /// w in n + w · (p − n), with p and n the predictions for the condition
    /// and for its opposite (Ho and Salimans, arXiv 2207.12598). At 1 the
    /// opposite is not evaluated.
    pub scale: f64,
    /// How far the guided prediction's deviation is brought back to that of p,
    /// from 0 to 1 (Lin et al., arXiv 2305.08891, section 3.4).
    pub rescale: f64,
}

/// A model with the inputs `sample` and `timestep` and the output
/// `prediction`, all other inputs bound to what conditions it. What is
/// linearised is the model; what samplers see is guided away from the
/// opposite of its condition. The device it runs on is its own affair.
#[derive(Debug)]
pub struct Network {
    model: Box<dyn Interpreter>,
    opposite: Option<Opposite>,
}

/// What the model is guided away from.
#[derive(Clone, Debug)]
struct Opposite {
    inputs: Vec<(String, Tensor<f32>)>,
    guidance: Guidance,
}

impl From<Model<f32>> for Network {
    fn from(model: Model<f32>) -> Self {
        let model: Box<dyn Interpreter> = Box::new(model);
        model.into()
    }
}

impl From<Box<dyn Interpreter>> for Network {
    fn from(model: Box<dyn Interpreter>) -> Self {
        Self {
            model,
            opposite: None,
        }
    }
}

/// What is linearised and evaluated plainly is the model under its condition.
impl Interpreter for Network {
    fn graph(&self) -> &Arc<Graph> {
        self.model.graph()
    }

    fn bind(&mut self, name: &str, value: Tensor<f32>) -> Result<(), GraphError> {
        self.model.bind(name, value)
    }

    fn evaluate_shifted(
        &self,
        inputs: &[(&str, &Tensor<f32>)],
        shifts: &[(Value, &Tensor<f32>)],
        outputs: &[Value],
    ) -> Result<Vec<Tensor<f32>>, GraphError> {
        self.model.evaluate_shifted(inputs, shifts, outputs)
    }

    fn linearize(
        &self,
        inputs: &[(&str, &Tensor<f32>)],
        from: Value,
        to: Value,
    ) -> Result<Box<dyn Derivative + '_>, GraphError> {
        self.model.linearize(inputs, from, to)
    }
}

impl Network {
    /// The model's graph.
    #[must_use]
    pub fn graph(&self) -> &Arc<Graph> {
        self.model.graph()
    }

    /// Binds what conditions the model and what it is guided away from, in the
    /// place of what was bound before: each input's name and value, a batch of
    /// one. A scale from 0 to 1 guides away from nothing, as in diffusers.
    ///
    /// # Errors
    /// When there is no such input, or it has another shape.
    pub fn tell(
        &mut self,
        condition: Vec<(String, Tensor<f32>)>,
        opposite: Vec<(String, Tensor<f32>)>,
        guidance: Guidance,
    ) -> Result<(), GraphError> {
        for (name, value) in &opposite {
            self.model.bind(name, value.clone())?;
        }
        for (name, value) in condition {
            self.model.bind(&name, value)?;
        }
        let needed = !(0.0..=1.0).contains(&guidance.scale);
        self.opposite = needed.then_some(Opposite {
            inputs: opposite,
            guidance,
        });
        Ok(())
    }

    /// Binds one more input, for the condition and its opposite.
    ///
    /// # Errors
    /// When there is no such input, or it has another shape.
    pub fn bind(&mut self, name: &str, value: Tensor<f32>) -> Result<(), GraphError> {
        self.model.bind(name, value)
    }

    /// It as samplers see it.
    ///
    /// # Errors
    /// When the graph lacks an input or the output.
    pub fn denoiser(&self) -> Result<NetworkDenoiser<'_>, GraphError> {
        Ok(NetworkDenoiser {
            opposite: self.opposite.as_ref(),
            ..NetworkDenoiser::new(self.model.as_ref())?
        })
    }
}

/// A model with the inputs `sample` and `timestep` and the output
/// `prediction`, seen by samplers. States are channels last.
#[derive(Clone, Debug)]
pub struct NetworkDenoiser<'a> {
    model: &'a dyn Interpreter,
    opposite: Option<&'a Opposite>,
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
    pub fn new(model: &'a dyn Interpreter) -> Result<Self, GraphError> {
        let graph = model.graph();
        let dims = graph.dims(graph.find_input("sample")?).to_vec();
        graph.find_input("timestep")?;
        Ok(Self {
            model,
            opposite: None,
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

    /// States that go through the network at once: it bounds the memory of
    /// the activations.
    #[must_use]
    pub fn block(&self) -> usize {
        const MOST: usize = 32;
        const VALUES: usize = 1 << 17;
        (VALUES / self.dim().max(1)).clamp(1, MOST)
    }

    /// The prediction for one block of states, with other inputs than the
    /// bound ones if they are given.
    fn evaluate(
        &self,
        given: &[(&str, &Tensor<f32>)],
        instead: &[(String, Tensor<f32>)],
        shifts: &[(Value, &Tensor<f32>)],
    ) -> Result<Vec<f32>, GraphError> {
        let instead = instead.iter().map(|(name, value)| (name.as_str(), value));
        let inputs: Vec<(&str, &Tensor<f32>)> = given.iter().copied().chain(instead).collect();
        let outputs = [self.prediction];
        let mut found = self.model.evaluate_shifted(&inputs, shifts, &outputs)?;
        Ok(found.swap_remove(0).into_data())
    }
}

impl Denoiser for NetworkDenoiser<'_> {
    fn predict(
        &mut self,
        x: &[f32],
        count: usize,
        timestep: f64,
    ) -> std::result::Result<Vec<f32>, BoxError> {
        let (dim, most) = (self.dim().max(1), self.block());
        let time = Tensor::new(&[1, 1], vec![timestep as f32])?;
        let mut out = Vec::with_capacity(x.len());
        let mut first = 0;
        for block in x.chunks(most * dim) {
            let items = block.len() / dim;
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
            let mut prediction = self.evaluate(&inputs, &[], &shifts)?;
            if let Some(Opposite {
                inputs: other,
                guidance,
            }) = self.opposite
            {
                let away = self.evaluate(&inputs, other, &shifts)?;
                guide(&mut prediction, &away, dim, *guidance);
            }
            out.extend(prediction);
            first += items;
        }
        debug_assert_eq!(out.len(), count * dim);
        Ok(out)
    }
}

/// n + w · (p − n) in the place of p, rescaled state by state.
fn guide(prediction: &mut [f32], away: &[f32], dim: usize, guidance: Guidance) {
    let scale = guidance.scale as f32;
    let states = prediction.chunks_exact_mut(dim).zip(away.chunks_exact(dim));
    for (state, away) in states {
        let before = (guidance.rescale > 0.0).then(|| deviation(state));
        for (p, n) in state.iter_mut().zip(away) {
            *p = n + scale * (*p - n);
        }
        if let Some(before) = before {
            let ratio = before / deviation(state).max(f64::MIN_POSITIVE);
            let factor = 1.0 + guidance.rescale * (ratio - 1.0);
            state.iter_mut().for_each(|v| *v *= factor as f32);
        }
    }
}

fn deviation(values: &[f32]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let square = |v: &f32| (f64::from(*v) - mean).powi(2);
    (values.iter().map(square).sum::<f64>() / n).sqrt()
}
