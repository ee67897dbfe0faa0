//! Noise schedules, samplers and inversion.
