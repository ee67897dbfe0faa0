//! One primal pass, and the derivatives through what it kept.

use crate::forward::{Keep, Residual};
use crate::graph::Value;
use crate::model::Model;
use crate::op::Op;
use crate::{GraphError, Tensor};
use alice_kernels::Real;
use alice_kernels::convolution::Direction;
use alice_kernels::pointwise::add_scaled;
use rayon::prelude::*;
use std::sync::Arc;

/// Runs the needed nodes; a value is dropped after its last reader.
fn run<T: Real>(
    model: &Model<T>,
    inputs: &[(&str, &Tensor<T>)],
    shifts: &[(Value, &Tensor<T>)],
    targets: &[Value],
    mut keep: impl FnMut(usize) -> Keep,
    mut on_residual: impl FnMut(usize, Residual<T>),
) -> Result<Vec<Tensor<T>>, GraphError> {
    let graph = model.graph();
    let needed = graph.needed(targets);
    let mut left = graph.readers(&needed);
    for target in targets {
        left[target.0] += 1;
    }
    let mut values = model.feed(inputs, &needed)?;
    for (index, node) in graph.nodes.iter().enumerate() {
        if !needed[index] || node.op == Op::Input {
            continue;
        }
        let mut arguments = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            left[input.0] -= 1;
            let slot = &mut values[input.0];
            let value = if left[input.0] == 0 {
                slot.take()
            } else {
                slot.clone()
            };
            arguments.push(value.expect("inputs run before their readers"));
        }
        let (mut value, residual) = model.forward(index, arguments, keep(index));
        for (_, shift) in shifts.iter().filter(|(at, _)| at.0 == index) {
            add_scaled(value.data_mut(), shift.data(), T::ONE);
        }
        on_residual(index, residual);
        values[index] = Some(Arc::new(value));
    }
    let take = |target: &Value| {
        let value = values[target.0].clone().expect("targets are needed");
        Arc::try_unwrap(value).unwrap_or_else(|shared| (*shared).clone())
    };
    Ok(targets.iter().map(take).collect())
}

impl<T: Real> Model<T> {
    /// The values of `outputs`, running only what they need. Intermediate
    /// values are dropped after their last use.
    ///
    /// Inputs are channels last, `[N, ..]`; a batch of one is repeated.
    ///
    /// # Errors
    /// When an input is unknown, missing or of another shape.
    pub fn evaluate(
        &self,
        inputs: &[(&str, &Tensor<T>)],
        outputs: &[Value],
    ) -> Result<Vec<Tensor<T>>, GraphError> {
        self.evaluate_shifted(inputs, &[], outputs)
    }

    /// As [`Model::evaluate`] with an array added to some intermediate values,
    /// as an edit of the bottleneck asks for.
    ///
    /// A shift has the value's shape, its batch that of the inputs.
    ///
    /// # Errors
    /// When an input is unknown, missing or of another shape, or a shift does
    /// not fit its value.
    pub fn evaluate_shifted(
        &self,
        inputs: &[(&str, &Tensor<T>)],
        shifts: &[(Value, &Tensor<T>)],
        outputs: &[Value],
    ) -> Result<Vec<Tensor<T>>, GraphError> {
        let batch = batch(inputs)?;
        self.graph().check_shifts(shifts, batch)?;
        let parts: Vec<Vec<Tensor<T>>> = chunks(inputs, batch)
            .par_iter()
            .zip(chunks(shifts, batch))
            .map(|(inputs, shifts)| {
                let (inputs, shifts) = (borrow(inputs), borrow(&shifts));
                run(
                    self,
                    &inputs,
                    &shifts,
                    outputs,
                    |_| Keep::Nothing,
                    |_, _| {},
                )
            })
            .collect::<Result<_, _>>()?;
        let whole = |output: usize| Tensor::stack(parts.iter().map(|part| &part[output]));
        Ok((0..outputs.len()).map(whole).collect())
    }
}

/// What one primal pass kept for the derivatives of `to`.
#[derive(Clone, Debug)]
struct Tape<T> {
    to: Value,
    /// Nodes that a derivative flows through.
    active: Vec<bool>,
    residuals: Vec<Residual<T>>,
    value: Tensor<T>,
}

impl<T: Real> Tape<T> {
    /// Records from the nodes that `starts` marks.
    fn record(
        model: &Model<T>,
        inputs: &[(&str, &Tensor<T>)],
        to: Value,
        starts: impl Fn(usize) -> bool,
        keep: Keep,
    ) -> Result<Self, GraphError> {
        let graph = model.graph();
        let active = graph.active(to, starts);
        let mut residuals = vec![Residual::Nothing; graph.nodes.len()];
        let mut values = run(
            model,
            inputs,
            &[],
            &[to],
            |index| if active[index] { keep } else { Keep::Nothing },
            |index, residual| residuals[index] = residual,
        )?;
        Ok(Self {
            to,
            active,
            residuals,
            value: values.pop().expect("one target"),
        })
    }

    /// Runs cotangents back and returns those of `from`.
    fn pull(
        &self,
        model: &Model<T>,
        cotangent: Tensor<T>,
        from: Option<Value>,
        mut gradients: Option<&mut [Vec<T>]>,
    ) -> Option<Tensor<T>> {
        let graph = model.graph();
        let mut cotangents: Vec<Option<Tensor<T>>> = vec![None; graph.nodes.len()];
        cotangents[self.to.0] = Some(cotangent);
        for index in (0..=self.to.0).rev() {
            if !self.active[index] || Some(Value(index)) == from {
                continue;
            }
            let Some(cotangent) = cotangents[index].take() else {
                continue;
            };
            let node = &graph.nodes[index];
            let wanted: Vec<bool> = node.inputs.iter().map(|i| self.active[i.0]).collect();
            let residual = &self.residuals[index];
            let parts = model.pullback(
                index,
                residual,
                &cotangent,
                &wanted,
                gradients.as_deref_mut(),
            );
            for (input, part) in node.inputs.iter().zip(parts) {
                match (&mut cotangents[input.0], part) {
                    (Some(sum), Some(part)) => add_scaled(sum.data_mut(), part.data(), T::ONE),
                    (slot, Some(part)) if self.active[input.0] => *slot = Some(part),
                    _ => {}
                }
            }
        }
        from.and_then(|from| cotangents[from.0].take())
    }
}

/// What a [`Linearization`] takes of the memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Kept for as long as it lives.
    pub kept: usize,
    /// For each vector that is on its way.
    pub per_vector: usize,
}

/// The derivative of one value in another at a point: a linear map that
/// pushes blocks of tangents forward and pulls blocks of cotangents back,
/// with no primal recomputed.
///
/// Only what lies between the two values is differentiated, and nothing
/// beyond the second is evaluated.
///
/// # Cost
/// A block of r tangents costs about r forward passes of the part between the
/// two values, a block of r cotangents about the same. Memory: the kept
/// activations of that part, once.
#[derive(Clone, Debug)]
pub struct Linearization<'a, T> {
    model: &'a Model<T>,
    from: Value,
    tape: Tape<T>,
    batch: usize,
    /// Vectors that go through the graph together.
    chunk: usize,
    /// Whether chunks go through it side by side.
    side_by_side: bool,
}

impl<'a, T: Real> Linearization<'a, T> {
    /// Runs the primal pass and keeps what the derivative of `to` in `from` needs.
    ///
    /// # Errors
    /// When an input is unknown, missing or of another shape, or when `to`
    /// does not depend on `from`.
    pub fn new(
        model: &'a Model<T>,
        inputs: &[(&str, &Tensor<T>)],
        from: Value,
        to: Value,
    ) -> Result<Self, GraphError> {
        let tape = Tape::record(model, inputs, to, |index| index == from.0, Keep::Linear)?;
        if !tape.active[to.0] {
            return Err(GraphError::Shape {
                node: model.graph().nodes[to.0].name.clone(),
                why: format!("does not depend on {}", model.graph().nodes[from.0].name),
            });
        }
        model.prepare(Direction::Adjoint, |node| tape.active[node])?;
        let batch = tape.value.batch();
        Ok(Self {
            model,
            from,
            tape,
            batch,
            chunk: CHUNK,
            side_by_side: true,
        })
    }

    /// Bytes that the point keeps, and bytes that one vector on its way
    /// through the graph takes at most, one way or the other.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let kept = self.tape.residuals.iter().map(Residual::bytes).sum();
        let graph = self.model.graph();
        Memory::of(graph, &self.tape.active, self.tape.to, kept, size_of::<T>())
    }

    /// Takes so few vectors through the graph at once that they need at most
    /// `bytes` beside what the point keeps, as far as one vector at a time
    /// allows. The results are the same to the last bit.
    ///
    /// A point of several items takes whole blocks, as their vectors must stay
    /// together.
    #[must_use]
    pub fn within(mut self, bytes: usize) -> Self {
        self.set_memory(bytes);
        self
    }

    /// As [`Linearization::within`], in place.
    pub fn set_memory(&mut self, bytes: usize) {
        let vectors = (bytes / self.memory().per_vector.max(1)).max(1);
        let threads = rayon::current_num_threads();
        self.side_by_side = vectors >= threads;
        let share = if self.side_by_side { threads } else { 1 };
        self.chunk = (vectors / share).clamp(1, CHUNK);
    }

    /// Vectors of a point of one item that are on their way at once, at most.
    #[must_use]
    pub fn vectors_at_once(&self) -> usize {
        let threads = rayon::current_num_threads();
        self.chunk * if self.side_by_side { threads } else { 1 }
    }

    /// The value of `to` at the point.
    #[must_use]
    pub fn value(&self) -> &Tensor<T> {
        &self.tape.value
    }

    /// J v for a block of tangents `[r · N, ..]`, those of item 0 first.
    ///
    /// # Errors
    /// When the block does not have the shape of `from`.
    pub fn pushforward(&self, tangents: &Tensor<T>) -> Result<Tensor<T>, GraphError> {
        self.check(tangents, self.from, "tangents")?;
        Ok(self.by_chunks(tangents, |chunk| self.push(chunk)))
    }

    fn push(&self, tangents: Tensor<T>) -> Tensor<T> {
        let graph = self.model.graph();
        let between: Vec<bool> = self.tape.active.clone();
        let mut left = graph.readers(&between);
        let mut values: Vec<Option<Tensor<T>>> = vec![None; graph.nodes.len()];
        values[self.from.0] = Some(tangents);
        left[self.tape.to.0] += 1;
        for index in self.from.0 + 1..=self.tape.to.0 {
            if !self.tape.active[index] {
                continue;
            }
            let node = &graph.nodes[index];
            let inputs: Vec<Option<&Tensor<T>>> =
                node.inputs.iter().map(|i| values[i.0].as_ref()).collect();
            let value = self
                .model
                .pushforward(index, &self.tape.residuals[index], &inputs);
            for input in &node.inputs {
                left[input.0] -= 1;
                if left[input.0] == 0 {
                    values[input.0] = None;
                }
            }
            values[index] = Some(value);
        }
        values[self.tape.to.0].take().expect("to is active")
    }

    /// Jᵀ u for a block of cotangents `[r · N, ..]`, those of item 0 first.
    ///
    /// # Errors
    /// When the block does not have the shape of `to`.
    pub fn pullback(&self, cotangents: &Tensor<T>) -> Result<Tensor<T>, GraphError> {
        self.check(cotangents, self.tape.to, "cotangents")?;
        Ok(self.by_chunks(cotangents, |chunk| {
            let pulled = self.tape.pull(self.model, chunk, Some(self.from), None);
            pulled.expect("from is active")
        }))
    }

    /// Applies a linear map to a block, a few vectors at a time when they all
    /// belong to one item; of several items the vectors of each must stay
    /// together.
    fn by_chunks(
        &self,
        block: &Tensor<T>,
        map: impl Fn(Tensor<T>) -> Tensor<T> + Sync,
    ) -> Tensor<T> {
        if self.batch > 1 || block.batch() <= self.chunk {
            return map(block.clone());
        }
        let starts: Vec<usize> = (0..block.batch()).step_by(self.chunk).collect();
        let part = |start: usize| map(block.items(start..block.batch().min(start + self.chunk)));
        let parts: Vec<Tensor<T>> = if self.side_by_side {
            starts.into_par_iter().map(part).collect()
        } else {
            starts.into_iter().map(part).collect()
        };
        Tensor::stack(parts.iter())
    }

    fn check(&self, block: &Tensor<T>, value: Value, what: &str) -> Result<(), GraphError> {
        let dims = self.model.graph().dims(value);
        let fits = block.dims().get(1..) == Some(dims)
            && block.batch() > 0
            && block.batch().is_multiple_of(self.batch);
        if fits {
            return Ok(());
        }
        Err(GraphError::Input {
            name: what.to_owned(),
            expected: format!("a multiple of {} items of {dims:?}", self.batch),
            found: block.dims().to_vec(),
        })
    }
}

/// The gradient of a loss of `to` in all parameters.
///
/// `loss` sees the value of `to` and returns the loss and its cotangent, of
/// the same shape. Returns the loss and one gradient per parameter, in the
/// graph's order and the kernels' layout.
///
/// # Errors
/// When an input is unknown, missing or of another shape, or the cotangent's
/// shape is not that of the value.
pub fn gradient<T: Real>(
    model: &Model<T>,
    inputs: &[(&str, &Tensor<T>)],
    to: Value,
    loss: impl FnOnce(&Tensor<T>) -> (f64, Tensor<T>),
) -> Result<(f64, Vec<Vec<T>>), GraphError> {
    model.prepare(Direction::Adjoint, |_| true)?;
    let graph = model.graph();
    let starts = |index: usize| graph.nodes[index].op.has_parameters();
    let chunks = chunks(inputs, batch(inputs)?);
    let tapes: Vec<Tape<T>> = chunks
        .par_iter()
        .map(|inputs| Tape::record(model, &borrow(inputs), to, starts, Keep::Gradient))
        .collect::<Result<_, _>>()?;
    let whole = Tensor::stack(tapes.iter().map(|tape| &tape.value));
    let (value, cotangent) = loss(&whole);
    if cotangent.dims() != whole.dims() {
        return Err(GraphError::Input {
            name: "the loss's cotangent".to_owned(),
            expected: format!("{:?}", whole.dims()),
            found: cotangent.dims().to_vec(),
        });
    }
    let mut first = 0;
    let mut jobs = Vec::with_capacity(tapes.len());
    for tape in tapes {
        let batch = tape.value.batch();
        jobs.push((tape, cotangent.items(first..first + batch)));
        first += batch;
    }
    let parts: Vec<Vec<Vec<T>>> = jobs
        .into_par_iter()
        .map(|(tape, cotangent)| {
            let zeros = graph.parameters().iter();
            let mut gradients: Vec<Vec<T>> = zeros.map(|p| vec![T::ZERO; p.kind.len()]).collect();
            tape.pull(model, cotangent, None, Some(&mut gradients));
            gradients
        })
        .collect();
    let mut parts = parts.into_iter();
    let mut gradients = parts.next().unwrap_or_default();
    let rest: Vec<Vec<Vec<T>>> = parts.collect();
    gradients
        .par_iter_mut()
        .enumerate()
        .for_each(|(index, sum)| {
            for part in &rest {
                add_scaled(sum, &part[index], T::ONE);
            }
        });
    Ok((value, gradients))
}

/// Items that one task takes through the whole graph: few, so
/// that the values stay in a core's cache and no thread waits between nodes;
/// a fixed number, so that sums do not depend on the number of threads.
const CHUNK: usize = 4;

/// The batch of all inputs, those of one item aside.
fn batch<T: Real>(inputs: &[(&str, &Tensor<T>)]) -> Result<usize, GraphError> {
    let batches = inputs.iter().map(|(_, tensor)| tensor.batch());
    let batch = batches.max().unwrap_or(1);
    let fits = |tensor: &Tensor<T>| tensor.batch() == batch || tensor.batch() == 1;
    match inputs.iter().find(|(_, tensor)| !fits(tensor)) {
        None => Ok(batch),
        Some((name, tensor)) => Err(GraphError::Input {
            name: (*name).to_owned(),
            expected: format!("a batch of {batch} or 1"),
            found: tensor.dims().to_vec(),
        }),
    }
}

/// Tensors by their keys, [`CHUNK`] items at a time; one item of another batch
/// than `batch` is shared.
fn chunks<K: Copy, T: Real>(tensors: &[(K, &Tensor<T>)], batch: usize) -> Vec<Vec<(K, Tensor<T>)>> {
    let part = |start: usize| {
        let end = batch.min(start + CHUNK);
        let tensors = tensors.iter().map(|(key, tensor)| {
            let shared = tensor.batch() != batch;
            let part = if shared {
                (*tensor).clone()
            } else {
                tensor.items(start..end)
            };
            (*key, part)
        });
        tensors.collect()
    };
    (0..batch).step_by(CHUNK).map(part).collect()
}

fn borrow<K: Copy, T>(tensors: &[(K, Tensor<T>)]) -> Vec<(K, &Tensor<T>)> {
    tensors.iter().map(|(key, tensor)| (*key, tensor)).collect()
}
