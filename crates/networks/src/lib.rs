//! Networks in the diffusers layout: configs, weights, architectures.
