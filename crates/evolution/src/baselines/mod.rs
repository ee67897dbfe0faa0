//! Other evolutionary algorithms, at the same interface.
