//! Fused CPU kernels for channels-last arrays.

pub mod layout;
mod real;

pub use real::Real;
