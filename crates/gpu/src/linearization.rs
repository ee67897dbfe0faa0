//! One primal pass, and the derivatives through what it kept.

use crate::arrays::Array;
use crate::feed;
use crate::forward::Kept;
use crate::network::Network;
use crate::recorder::Recorder;
use alice_calculus::{Derivative, GraphError, Memory, Tensor, Value};

/// Memory of the vectors on their way, where nothing else is asked.
const VECTORS: usize = 1 << 30;

/// The derivative of one value in another at a point; what it keeps of the
/// primal pass stays on the device.
#[derive(Debug)]
pub(crate) struct Linearization<'a> {
    network: &'a Network,
    from: Value,
    to: Value,
    /// Nodes that the derivative flows through.
    active: Vec<bool>,
    kept: Vec<Kept>,
    value: Tensor<f32>,
    /// Vectors that go through the graph together.
    chunk: usize,
}

impl<'a> Linearization<'a> {
    /// Runs the primal pass and keeps what the derivative of `to` in `from`
    /// needs.
    pub(crate) fn new(
        network: &'a Network,
        inputs: &[(&str, &Tensor<f32>)],
        from: Value,
        to: Value,
    ) -> Result<Self, GraphError> {
        let graph = &network.graph;
        let active = graph.active(to, |node| node == from.index());
        let name = |value: Value| graph.nodes()[value.index()].name.clone();
        if !active[to.index()] {
            return Err(GraphError::Shape {
                node: name(to),
                why: format!("does not depend on {}", name(from)),
            });
        }
        let needed = graph.needed(&[to]);
        let feed = network.feed(inputs, &needed)?;
        let batch = feed.batch;
        let mut kept = vec![Kept::Nothing; graph.nodes().len()];
        let mut recorder = Recorder::new(&network.context);
        let values = feed::upload(&feed, &mut recorder, 0..batch, &needed)?;
        let run = network.run(
            &mut recorder,
            values,
            batch,
            &[],
            &[to],
            |node| active[node] && node != from.index(),
            |node, value| kept[node] = value,
        )?;
        let arrays: Vec<&Array> = run.iter().collect();
        let data = recorder.download(&arrays)?.swap_remove(0);
        drop(recorder);
        let mut linear = Self {
            network,
            from,
            to,
            active,
            kept,
            value: Tensor::new(&[&[batch], graph.dims(to)].concat(), data)?,
            chunk: 1,
        };
        linear.set_memory(VECTORS);
        Ok(linear)
    }

    fn push(
        &self,
        recorder: &mut Recorder<'_>,
        tangents: Array,
        blocks: usize,
    ) -> Result<Array, GraphError> {
        let graph = &self.network.graph;
        let mut left = graph.readers(&self.active);
        left[self.to.index()] += 1;
        let mut values: Vec<Option<Array>> = vec![None; graph.nodes().len()];
        values[self.from.index()] = Some(tangents);
        for index in self.from.index() + 1..=self.to.index() {
            if !self.active[index] {
                continue;
            }
            let node = &graph.nodes()[index];
            let inputs: Vec<Option<&Array>> = node
                .inputs
                .iter()
                .map(|i| values[i.index()].as_ref())
                .collect();
            let kept = &self.kept[index];
            let value = self
                .network
                .pushforward(recorder, index, kept, &inputs, blocks)?;
            for input in &node.inputs {
                left[input.index()] -= 1;
                if left[input.index()] == 0 {
                    values[input.index()] = None;
                }
            }
            values[index] = Some(value);
        }
        let found = values[self.to.index()].take();
        found.ok_or_else(|| self.network.context.refuse("no tangent arrived"))
    }

    fn pull(
        &self,
        recorder: &mut Recorder<'_>,
        cotangents: Array,
        blocks: usize,
    ) -> Result<Array, GraphError> {
        let graph = &self.network.graph;
        let mut sums: Vec<Option<Array>> = vec![None; graph.nodes().len()];
        sums[self.to.index()] = Some(cotangents);
        for index in (self.from.index() + 1..=self.to.index()).rev() {
            if !self.active[index] {
                continue;
            }
            let Some(cotangent) = sums[index].take() else {
                continue;
            };
            let node = &graph.nodes()[index];
            let wanted: Vec<bool> = node.inputs.iter().map(|i| self.active[i.index()]).collect();
            let kept = &self.kept[index];
            let parts = self
                .network
                .pullback(recorder, index, kept, &cotangent, &wanted, blocks)?;
            for ((input, part), wanted) in node.inputs.iter().zip(parts).zip(wanted) {
                let Some(part) = part.filter(|_| wanted) else {
                    continue;
                };
                let slot = &mut sums[input.index()];
                *slot = Some(match slot.take() {
                    Some(sum) => recorder.add(&sum, &part)?,
                    None => part,
                });
            }
        }
        let found = sums[self.from.index()].take();
        found.ok_or_else(|| self.network.context.refuse("no cotangent arrived"))
    }

    /// Applies a linear map to a block that has the shape of `domain`, some
    /// vectors at a time when they all belong to one item; of several items
    /// the vectors of each must stay together.
    fn by_chunks(
        &self,
        block: &Tensor<f32>,
        (domain, codomain): (Value, Value),
        what: &str,
        map: impl Fn(&mut Recorder<'_>, Array, usize) -> Result<Array, GraphError>,
    ) -> Result<Tensor<f32>, GraphError> {
        let graph = &self.network.graph;
        let dims = graph.dims(domain);
        let (batch, vectors) = (self.value.batch(), block.batch());
        let fits = block.dims().get(1..) == Some(dims) && vectors > 0;
        if !fits || !vectors.is_multiple_of(batch) {
            return Err(GraphError::Input {
                name: what.to_owned(),
                expected: format!("a multiple of {batch} items of {dims:?}"),
                found: block.dims().to_vec(),
            });
        }
        let most = if batch > 1 { vectors } else { self.chunk };
        let len = block.item_len();
        let mut values = Vec::new();
        for part in block.data().chunks(most * len) {
            let mut recorder = Recorder::new(&self.network.context);
            let array = recorder.upload(part)?;
            let found = map(&mut recorder, array, part.len() / len)?;
            values.append(&mut recorder.download(&[&found])?.swap_remove(0));
        }
        Tensor::new(&[&[vectors], graph.dims(codomain)].concat(), values)
    }
}

impl Derivative for Linearization<'_> {
    fn value(&self) -> &Tensor<f32> {
        &self.value
    }

    fn memory(&self) -> Memory {
        let kept: u64 = self.kept.iter().map(Kept::bytes).sum();
        let graph = &self.network.graph;
        Memory::of(
            graph,
            &self.active,
            self.to,
            kept as usize,
            size_of::<f32>(),
        )
    }

    fn set_memory(&mut self, bytes: usize) {
        let (_, largest) = self.network.graph.peak(&self.active, &[self.to]);
        let values = self.memory().per_vector / size_of::<f32>();
        self.chunk = self.network.at_once(bytes, values, largest);
    }

    fn pushforward(&self, tangents: &Tensor<f32>) -> Result<Tensor<f32>, GraphError> {
        let ends = (self.from, self.to);
        self.by_chunks(tangents, ends, "tangents", |recorder, tangents, blocks| {
            self.push(recorder, tangents, blocks)
        })
    }

    fn pullback(&self, cotangents: &Tensor<f32>) -> Result<Tensor<f32>, GraphError> {
        let ends = (self.to, self.from);
        self.by_chunks(
            cotangents,
            ends,
            "cotangents",
            |recorder, cotangents, blocks| self.pull(recorder, cotangents, blocks),
        )
    }
}
