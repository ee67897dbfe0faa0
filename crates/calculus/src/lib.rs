//! Computation graphs, their linearisation and their gradients.
