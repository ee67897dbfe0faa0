//! Where networks run, as it is said on the command line.

use serde::{Deserialize, Serialize};

/// Where the arithmetic is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// The processor
    #[default]
    Cpu,
    /// A graphics card
    Wgpu,
}
