//! Linear maps, spectra and the Grassmannian.
