//! Fused CPU kernels for channels-last arrays.

pub mod activation;
pub mod attention;
mod buffer;
pub mod convolution;
pub mod gather;
pub mod layer_norm;
pub mod layout;
mod microkernel;
pub mod norm;
mod outer;
mod panels;
pub mod pointwise;
mod real;
mod simd;
mod winograd;

pub use buffer::Buffer;
pub use panels::round_to_half;
pub use real::Real;
