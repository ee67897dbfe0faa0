//! Fused CPU kernels for channels-last arrays.

pub mod activation;
pub mod attention;
pub mod convolution;
pub mod gather;
pub mod layer_norm;
pub mod layout;
mod microkernel;
pub mod norm;
pub mod pointwise;
mod real;
mod simd;

pub use real::Real;
