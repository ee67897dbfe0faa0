//! Procedural worlds with known ground truth.
