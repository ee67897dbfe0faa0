//! Fused CPU kernels for channels-last arrays.
