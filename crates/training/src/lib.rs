//! Losses, optimiser, averaging and resumable training.
