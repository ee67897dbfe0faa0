//! Regressors that read a world's factors back from pictures.
