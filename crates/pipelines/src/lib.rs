//! Prompts to pictures: text encoders, guided U-Nets, autoencoders.
//!
//! A latent diffusion model is a folder with a U-Net that denoises latents on
//! the condition of a text ([`guided`]), text encoders that read
//! prompts ([`TextEncoders`]) and an autoencoder between latents and pictures
//! ([`Latents`]).

mod error;
mod guided;
mod latents;
mod pass;
mod text;
mod tiling;

pub use error::PipelineError;
pub use guided::{Control, guided, tell};
pub use latents::Latents;
pub use pass::Decoder;
pub use text::{Condition, TextEncoders};
pub use tiling::Tiling;
