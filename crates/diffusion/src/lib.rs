//! Noise schedules, samplers and inversion.
//!
//! Everything here is arithmetic on flat `f32` slices; a network is seen only
//! through [`Denoiser`]. Coefficients are computed in `f64` and each state is
//! rounded to `f32` once per step.
//!
//! Notation, as in the papers: β_t the variance added at training step t,
//! ᾱ_t = Π_{s≤t}(1 − β_s), and x_t = √ᾱ_t·x₀ + √(1 − ᾱ_t)·ε.
//!
//! ```
//! use alice_diffusion::{Ddim, Draws, Eta, ScheduleConfig, Trajectory, initial_noise};
//!
//! let config = ScheduleConfig { clip_sample: false, ..ScheduleConfig::default() };
//! let sampler = Ddim::new(&config, 10, Eta::Constant(0.0))?;
//! let draws = Draws { seed: 7, first_item: 0 };
//! let mut model = |x: &[f32], _count: usize, _t: f64| Ok(x.to_vec());
//! let noise = initial_noise(draws, 2, 3);
//! let pictures = Trajectory::new(&sampler, draws).run(&mut model, noise, 2, &mut |_| {
//!     std::ops::ControlFlow::Continue(())
//! })?;
//! assert_eq!(pictures.len(), 6);
//! # Ok::<(), alice_diffusion::Error>(())
//! ```

mod config;
mod config_file;
mod ddim;
mod ddim_inverse;
mod ddpm;
mod dpm_multistep;
mod error;
mod euler;
mod euler_ancestral;
mod grid;
mod heun;
mod kind;
mod lcm;
mod network;
mod pndm;
mod prediction;
mod sampler;
mod schedule;
mod solver_config;
mod timesteps;
mod trajectory;
mod unipc;

pub use config::{BetaSchedule, ScheduleConfig, VarianceType};
pub use ddim::{Ddim, Eta};
pub use ddim_inverse::DdimInverse;
pub use ddpm::Ddpm;
pub use dpm_multistep::DpmMultistep;
pub use error::{BoxError, Error, Result};
pub use euler::Euler;
pub use euler_ancestral::EulerAncestral;
pub use heun::Heun;
pub use kind::SamplerKind;
pub use lcm::Lcm;
pub use network::{Guidance, Network, NetworkDenoiser};
pub use pndm::Pndm;
pub use prediction::PredictionType;
pub use sampler::{History, Sampler, StepOutput, Track};
pub use schedule::NoiseSchedule;
pub use solver_config::{
    DpmAlgorithm, FinalSigma, Refused, SigmaSpacing, SolverConfig, SolverType,
};
pub use timesteps::TimestepSpacing;
pub use trajectory::{
    Denoiser, Draws, Held, Observer, StepReport, Trajectory, added_noise, initial_noise, invert,
};
pub use unipc::UniPc;
