//! Networks in the diffusers layout: configs, weights, architectures.
//!
//! A network is a config, the [`alice_calculus::Graph`] that it describes and
//! the values of the graph's parameters, which carry diffusers' names. This
//! crate turns configs into graphs and files into values, and back.
//!
//! ```
//! use alice_networks::{UNet2D, UNet2DConfig};
//! let config = UNet2DConfig {
//!     sample_size: Some((32, 32)),
//!     block_out_channels: vec![32, 64, 64, 128],
//!     ..UNet2DConfig::default()
//! };
//! let network = UNet2D::random(config, 7)?;
//! let graph = network.graph((32, 32))?;
//! assert_eq!(graph.dims(graph.find_output("bottleneck")?), [4, 4, 128]);
//! # Ok::<(), alice_networks::NetworkError>(())
//! ```

mod autoencoder_kl;
mod blocks;
mod checkpoint;
mod clip_text;
mod controlnet;
mod error;
mod fields;
mod folder;
mod initialise;
mod location;
mod lora;
mod network;
mod parts;
mod unet2d;
mod unet2d_condition;
mod weights;

pub use autoencoder_kl::{AutoencoderKL, AutoencoderKLConfig};
pub use checkpoint::{Checkpoint, ControlFile, Family, Prediction};
pub use clip_text::{ClipText, ClipTextConfig};
pub use controlnet::{ControlNet, ControlNetConfig, controlled_graph};
pub use error::{Mismatch, NetworkError};
pub use folder::{ModelFolder, WeightsFile, shard_names};
pub use initialise::initialise;
pub use location::{ModelLocation, refuse_pickle};
pub use lora::{Lora, LoraFile, LoraLayout, LoraReport, LoraSummary, LoraTarget};
pub use network::{Architecture, Network};
pub use unet2d::{
    BlockType, ClassEmbedding, Sampler, TimeConditioning, TimeEmbedding, UNet2D, UNet2DConfig,
    build_unet2d,
};
pub use unet2d_condition::{
    AdditionEmbedding, ConditionBlock, UNet2DCondition, UNet2DConditionConfig,
};
pub use weights::{Precision, load_parameters, store_parameters};
