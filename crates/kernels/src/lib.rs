//! Fused CPU kernels for channels-last arrays.

pub mod convolution;
pub mod gather;
pub mod layout;
mod microkernel;
mod real;

pub use real::Real;
