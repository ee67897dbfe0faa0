//! Fused CPU kernels for channels-last arrays.

pub mod activation;
pub mod attention;
pub mod convolution;
mod fill;
pub mod gather;
pub mod layer_norm;
pub mod layout;
mod microkernel;
pub mod norm;
mod outer;
mod panels;
pub mod pointwise;
mod real;
mod scratch;
mod simd;
mod winograd;

pub use real::Real;
