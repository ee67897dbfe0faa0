//! Graphs on a graphics card.
//!
//! [`Gpu`] is a [`Device`]: it loads a graph with its parameters onto the
//! strongest adapter of this machine, where it is evaluated and linearised
//! with the rules of `alice-calculus`. The kernels are plain WGSL in single
//! precision and need no optional feature, so that every adapter runs them,
//! also a processor's Vulkan driver. Layouts are those of the processor:
//! channels last, weights as `[taps, input, output]`.
//!
//! Products run in tiles and sums in fixed orders that depend on the extents
//! of one item only: a value does not depend on its batch. It agrees with the
//! processor's to rounding, not to the bit.
#![forbid(unsafe_code)]

mod arrays;
mod attention;
mod context;
mod feed;
mod forward;
mod kernel;
mod linearization;
mod matrices;
mod network;
mod norm;
mod pointwise;
mod product;
mod pullback;
mod pushforward;
mod recorder;

use alice_calculus::{Device, Graph, GraphError, Interpreter, Parameters};
use context::Context;
use network::Network;
use std::sync::Arc;

/// A graphics card.
#[derive(Clone, Debug)]
pub struct Gpu {
    context: Arc<Context>,
}

impl Gpu {
    /// Opens the strongest adapter of this machine, through Vulkan, Metal or
    /// Direct3D 12.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn open() -> Result<Self, GraphError> {
        let context = Arc::new(Context::open()?);
        Ok(Self { context })
    }
}

impl Device for Gpu {
    fn name(&self) -> String {
        self.context.name().to_owned()
    }

    fn load(
        &self,
        graph: Arc<Graph>,
        parameters: &Parameters<f32>,
    ) -> Result<Box<dyn Interpreter>, GraphError> {
        let network = Network::new(self.context.clone(), graph, parameters)?;
        Ok(Box::new(network))
    }
}
