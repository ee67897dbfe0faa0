//! Other evolutionary algorithms, at one interface and on equal budgets.
//!
//! Each maximises. Draws come from named streams, so that a run depends on its
//! seed alone. They are ours and not a crate's because those that exist draw from
//! generators of their own, which would break that.

mod batch;
mod cma_es;
mod map_elites;
mod open_es;
mod pepg;

pub use batch::{Batch, Optimizer, optimize};
pub use cma_es::{CmaEs, CmaEsConfig};
pub use map_elites::{Elite, MapElites, MapElitesConfig};
pub use open_es::{OpenEs, OpenEsConfig};
pub use pepg::{Pepg, PepgConfig};
