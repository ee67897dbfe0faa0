//! Networks in the diffusers layout: configs, weights, architectures.
//!
//! A network is a config, the [`alice_calculus::Graph`] that it describes and
//! the values of the graph's parameters, which carry diffusers' names. This
//! crate turns configs into graphs and files into values, and back.

mod error;
mod fields;
mod initialise;
mod unet2d;

pub use error::NetworkError;
pub use initialise::initialise;
pub use unet2d::{
    BlockType, ClassEmbedding, Sampler, TimeConditioning, TimeEmbedding, UNet2DConfig, build_unet2d,
};
