//! A graph with its parameters on the device.

use crate::arrays::Array;
use crate::attention::Attention;
use crate::context::Context;
use crate::feed;
use crate::forward::Kept;
use crate::linearization::Linearization;
use crate::matrices::Convolution;
use crate::norm::Norm;
use crate::recorder::Recorder;
use alice_calculus::{
    Bound, Derivative, Feed, Graph, GraphError, Interpreter, Op, Parameter, Parameters, Tensor,
    Value,
};
use std::sync::Arc;

/// Memory of the values of one run, as far as one item allows.
const RUN: usize = 1 << 30;
/// Items of one run, at most.
const ITEMS: usize = 64;
/// Bytes of weights on their way to the device at once.
const UPLOAD: usize = 1 << 26;

/// A graph with its parameters on the device, ready to run.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) context: Arc<Context>,
    pub(crate) graph: Arc<Graph>,
    parameters: Vec<Array>,
    /// Inputs that are given once for all.
    bound: Bound<f32>,
}

impl Network {
    /// Reads the parameters and brings them to the device, in the kernels'
    /// layout; no copy stays behind.
    pub(crate) fn new(
        context: Arc<Context>,
        graph: Arc<Graph>,
        parameters: &Parameters<f32>,
    ) -> Result<Self, GraphError> {
        let specs = graph.parameters();
        let found = parameters.values().len();
        if found != specs.len() {
            return Err(GraphError::Length {
                dims: vec![specs.len()],
                expected: specs.len(),
                found,
            });
        }
        for node in graph.nodes() {
            if node.dims.contains(&0) {
                return Err(GraphError::Shape {
                    node: node.name.clone(),
                    why: format!("{:?} holds no value", node.dims),
                });
            }
        }
        // What a run has told may still read the memory that is taken here.
        let turn = context.turn();
        let mut arrays = Vec::with_capacity(specs.len());
        let mut waiting = 0;
        for (index, spec) in specs.iter().enumerate() {
            let held = &parameters.values()[index];
            let read;
            let values = if held.len() == spec.kind.len() {
                held
            } else {
                read = spec
                    .kind
                    .to_kernel_layout(parameters.to_file_layout(index, spec)?);
                &read
            };
            let array = context.array(values.len())?;
            let bytes = bytemuck::cast_slice(values);
            context.queue.write_buffer(array.buffer(), 0, bytes);
            arrays.push(array);
            waiting += 4 * values.len();
            if waiting >= UPLOAD {
                // What was written waits in the processor's memory till then.
                context.queue.submit([]);
                context.wait()?;
                waiting = 0;
            }
        }
        context.queue.submit([]);
        context.wait()?;
        drop(turn);
        Ok(Self {
            context,
            graph,
            parameters: arrays,
            bound: Bound::default(),
        })
    }

    pub(crate) fn parameter(&self, parameter: Parameter) -> &Array {
        &self.parameters[parameter.index()]
    }

    /// Values of the named inputs, and of the bound ones that are left out.
    pub(crate) fn feed<'a>(
        &'a self,
        inputs: &[(&str, &'a Tensor<f32>)],
        needed: &[bool],
    ) -> Result<Feed<'a, f32>, GraphError> {
        self.bound.feed(&self.graph, inputs, needed)
    }

    /// A convolution or a linear map, with its weight and its bias.
    pub(crate) fn convolution(
        &self,
        node: usize,
    ) -> Option<(Parameter, Option<Parameter>, Convolution)> {
        let (weight, bias, extents) = self.graph.convolution_at(node)?;
        Some((weight, bias, Convolution(extents)))
    }

    /// An attention.
    pub(crate) fn attention(&self, node: usize) -> Option<Attention> {
        self.graph.attention_at(node).map(Attention)
    }

    /// The extents and parameters of a normalisation.
    pub(crate) fn norm(&self, node: usize) -> Option<Norm> {
        let this = &self.graph.nodes()[node];
        let (&channels, positions) = this.dims.split_last()?;
        let positions = positions.iter().product();
        match this.op {
            Op::GroupNorm {
                gain,
                bias,
                groups,
                eps,
                silu,
            } => Some(Norm {
                positions,
                channels,
                groups,
                inner: 1,
                eps,
                silu,
                gain: self.parameter(gain).clone(),
                bias: self.parameter(bias).clone(),
            }),
            Op::LayerNorm { gain, bias, eps } => Some(Norm {
                positions: 1,
                channels,
                groups: 1,
                inner: positions,
                eps,
                silu: false,
                gain: self.parameter(gain).clone(),
                bias: self.parameter(bias).clone(),
            }),
            _ => None,
        }
    }

    /// Items that one run takes, so that values of all of them that are alive
    /// at once stay within bounds.
    fn items_at_once(&self, needed: &[bool], outputs: &[Value]) -> usize {
        let (peak, largest) = self.graph.peak(needed, outputs);
        self.at_once(RUN, peak, largest).min(ITEMS)
    }

    /// Items or vectors that go through the graph together when each has so
    /// many values alive at once and in its largest array.
    pub(crate) fn at_once(&self, bytes: usize, peak: usize, largest: usize) -> usize {
        let by_array = self.context.most_bytes() as usize / (4 * largest.max(1));
        (bytes / (4 * peak.max(1))).min(by_array).max(1)
    }

    /// Runs the needed nodes; the memory of a value is used again after its
    /// last reader. `keep` says of which nodes what derivatives need is kept.
    pub(crate) fn run(
        &self,
        recorder: &mut Recorder<'_>,
        mut values: Vec<Option<Array>>,
        n: usize,
        shifts: &[(Value, Array)],
        targets: &[Value],
        keep: impl Fn(usize) -> bool,
        mut on_kept: impl FnMut(usize, Kept),
    ) -> Result<Vec<Array>, GraphError> {
        let needed = self.graph.needed(targets);
        let mut left = self.graph.readers(&needed);
        for target in targets {
            left[target.index()] += 1;
        }
        for (index, node) in self.graph.nodes().iter().enumerate() {
            if !needed[index] || node.op == Op::Input {
                continue;
            }
            let mut arguments = Vec::with_capacity(node.inputs.len());
            for input in &node.inputs {
                let index = input.index();
                left[index] -= 1;
                let slot = &mut values[index];
                let value = if left[index] == 0 {
                    slot.take()
                } else {
                    slot.clone()
                };
                arguments.extend(value);
            }
            let (mut value, kept) = self.forward(recorder, index, &arguments, n)?;
            for (_, shift) in shifts.iter().filter(|(at, _)| at.index() == index) {
                value = recorder.add(&value, shift)?;
            }
            if keep(index) {
                on_kept(index, kept);
            }
            values[index] = Some(value);
        }
        let found = targets.iter().map(|target| values[target.index()].clone());
        found
            .collect::<Option<_>>()
            .ok_or_else(|| self.context.refuse("an output was not made"))
    }
}

impl Interpreter for Network {
    fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    fn bind(&mut self, name: &str, value: Tensor<f32>) -> Result<(), GraphError> {
        self.bound.set(&self.graph, name, value)
    }

    fn evaluate_shifted(
        &self,
        inputs: &[(&str, &Tensor<f32>)],
        shifts: &[(Value, &Tensor<f32>)],
        outputs: &[Value],
    ) -> Result<Vec<Tensor<f32>>, GraphError> {
        let needed = self.graph.needed(outputs);
        let feed = self.feed(inputs, &needed)?;
        self.graph.check_shifts(shifts, feed.batch)?;
        let most = self.items_at_once(&needed, outputs);
        let mut found = vec![Vec::new(); outputs.len()];
        for first in (0..feed.batch).step_by(most) {
            let items = first..feed.batch.min(first + most);
            let mut recorder = Recorder::new(&self.context);
            let values = feed::upload(&feed, &mut recorder, items.clone(), &needed)?;
            let mut moved = Vec::with_capacity(shifts.len());
            for (value, shift) in shifts {
                let part = feed::part(shift, &items);
                moved.push((*value, recorder.upload(part)?));
            }
            let n = items.len();
            let run = self.run(
                &mut recorder,
                values,
                n,
                &moved,
                outputs,
                |_| false,
                |_, _| {},
            )?;
            let arrays: Vec<&Array> = run.iter().collect();
            for (all, values) in found.iter_mut().zip(recorder.download(&arrays)?) {
                all.extend(values);
            }
        }
        let whole = |(value, data): (&Value, Vec<f32>)| {
            let dims = [&[feed.batch], self.graph.dims(*value)].concat();
            Tensor::new(&dims, data)
        };
        outputs.iter().zip(found).map(whole).collect()
    }

    fn linearize(
        &self,
        inputs: &[(&str, &Tensor<f32>)],
        from: Value,
        to: Value,
    ) -> Result<Box<dyn Derivative + '_>, GraphError> {
        Ok(Box::new(Linearization::new(self, inputs, from, to)?))
    }
}
