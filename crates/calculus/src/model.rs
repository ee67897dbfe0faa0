//! A graph with its parameters, ready to run.

use crate::feed::{Bound, Feed};
use crate::graph::Graph;
use crate::{GraphError, Parameters, Tensor};
use alice_kernels::Real;
use alice_kernels::convolution::{Convolution, Direction, Layout, PackedWeights, Plan};
use alice_kernels::gather::Epilogue;
use rayon::prelude::*;
use std::sync::{Arc, OnceLock};

/// A graph with its parameters. Weights are packed for the kernels once, at
/// their first use.
#[derive(Clone, Debug)]
pub struct Model<T> {
    graph: Arc<Graph>,
    parameters: Parameters<T>,
    /// By node.
    products: Vec<[Product<T>; 2]>,
    /// Inputs that are given once for all.
    bound: Bound<T>,
}

/// A convolution's product in one direction, made at its first use.
#[derive(Clone, Debug)]
struct Product<T> {
    plan: OnceLock<Plan>,
    weights: OnceLock<PackedWeights<T>>,
}

impl<T> Default for Product<T> {
    fn default() -> Self {
        Self {
            plan: OnceLock::new(),
            weights: OnceLock::new(),
        }
    }
}

impl<T: Real> Model<T> {
    /// Joins a graph and its parameters. Weights that lie elsewhere are read
    /// and packed now.
    ///
    /// # Errors
    /// When the parameters are not those of the graph, or cannot be read.
    pub fn new(
        graph: impl Into<Arc<Graph>>,
        parameters: Parameters<T>,
    ) -> Result<Self, GraphError> {
        let graph = graph.into();
        parameters.check(&graph)?;
        let products = graph.nodes.iter().map(|_| Default::default()).collect();
        let model = Self {
            graph,
            parameters,
            products,
            bound: Bound::default(),
        };
        model.prepare(Direction::Forward, |_| true)?;
        Ok(model)
    }

    /// Packs the weights of some nodes that lie elsewhere for products in one
    /// direction; those that are in half precision there stay so.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn prepare(
        &self,
        direction: Direction,
        wanted: impl Fn(usize) -> bool + Sync,
    ) -> Result<(), GraphError> {
        let nodes = (0..self.graph.nodes.len()).into_par_iter();
        nodes.filter(|&node| wanted(node)).try_for_each(|node| {
            let Some((weight, _, shape)) = self.graph.convolution_at(node) else {
                return Ok(());
            };
            let packed = &self.products[node][direction as usize].weights;
            if packed.get().is_none() && self.parameters.is_later(weight) {
                let spec = &self.graph.parameters()[weight.0];
                let values = self.parameters.to_file_layout(weight.0, spec)?;
                let plan = self.plan(node, &shape, direction);
                packed.get_or_init(|| plan.pack(&values, Layout::File).compact());
            }
            Ok(())
        })
    }

    /// From now on gives the input `name` this value wherever it is left out:
    /// what a prompt is to a network, say. A batch of one serves every batch.
    ///
    /// # Errors
    /// When there is no such input, or it has another shape.
    pub fn bind(&mut self, name: &str, value: Tensor<T>) -> Result<(), GraphError> {
        self.bound.set(&self.graph, name, value)
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters<T> {
        &self.parameters
    }

    /// The parameters, to change; all of them must be held.
    pub fn parameters_mut(&mut self) -> &mut Parameters<T> {
        for product in self.products.iter_mut().flatten() {
            product.weights = OnceLock::new();
        }
        &mut self.parameters
    }

    /// The same model in another precision.
    ///
    /// # Panics
    /// When weights lie elsewhere.
    #[must_use]
    pub fn cast<U: Real>(&self) -> Model<U> {
        let mut model = Model::new(self.graph.clone(), self.parameters.cast())
            .expect("the graph is the same and the weights are held");
        model.bound = self.bound.cast();
        model
    }

    /// How a node's product runs in one direction.
    pub(crate) fn plan(&self, node: usize, shape: &Convolution, direction: Direction) -> &Plan {
        let product = &self.products[node][direction as usize];
        product.plan.get_or_init(|| Plan::new(*shape, direction))
    }

    /// A node's product in one direction.
    pub(crate) fn product(
        &self,
        node: usize,
        direction: Direction,
        n: usize,
        x: &[T],
        epilogue: Epilogue<'_, T>,
        out: &mut [T],
    ) {
        let (weight, _, shape) = self.graph.convolution_at(node).expect("a product");
        let plan = self.plan(node, &shape, direction);
        let values = self.parameters.get(weight);
        let weights = &self.products[node][direction as usize].weights;
        let weights = weights.get_or_init(|| plan.pack(values, Layout::Kernel));
        plan.product(n, x, weights, epilogue, out);
    }

    /// Values of the named inputs, all of one batch; a batch of one is repeated.
    pub(crate) fn feed(
        &self,
        inputs: &[(&str, &Tensor<T>)],
        needed: &[bool],
    ) -> Result<Vec<Option<Arc<Tensor<T>>>>, GraphError> {
        let Feed { values, batch } = self.bound.feed(&self.graph, inputs, needed)?;
        let repeat = |tensor: &Tensor<T>| {
            if tensor.batch() == batch {
                return Arc::new(tensor.clone());
            }
            let mut dims = tensor.dims().to_vec();
            dims[0] = batch;
            Arc::new(Tensor::raw(dims, tensor.data().repeat(batch)))
        };
        Ok(values.into_iter().map(|v| v.map(repeat)).collect())
    }
}
