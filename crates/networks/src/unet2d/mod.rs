//! The unconditional U-Net, diffusers' `UNet2DModel`.

mod build;
mod check;
mod config;
mod model;
mod parse;

pub use build::build_unet2d;
pub use config::{
    BlockType, ClassEmbedding, Sampler, TimeConditioning, TimeEmbedding, UNet2DConfig,
};
pub use model::UNet2D;
