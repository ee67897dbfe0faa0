//! The samplers by name.

use crate::config::ScheduleConfig;
use crate::ddim::{Ddim, Eta};
use crate::ddpm::Ddpm;
use crate::dpm_multistep::DpmMultistep;
use crate::error::Result;
use crate::euler::Euler;
use crate::euler_ancestral::EulerAncestral;
use crate::heun::Heun;
use crate::lcm::Lcm;
use crate::pndm::Pndm;
use crate::sampler::Sampler;
use crate::solver_config::{DpmAlgorithm, SigmaSpacing, SolverConfig};
use crate::unipc::UniPc;

/// Every sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the samplers")]
pub enum SamplerKind {
    Ddim,
    Ddpm,
    Pndm,
    Euler,
    EulerAncestral,
    Heun,
    DpmMultistep,
    DpmMultistepSde,
    UniPc,
    Lcm,
}

impl SamplerKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Ddim,
        Self::Ddpm,
        Self::Pndm,
        Self::Euler,
        Self::EulerAncestral,
        Self::Heun,
        Self::DpmMultistep,
        Self::DpmMultistepSde,
        Self::UniPc,
        Self::Lcm,
    ];

    /// The name that pictures carry, as other programs write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddim => "DDIM",
            Self::Ddpm => "DDPM",
            Self::Pndm => "PLMS",
            Self::Euler => "Euler",
            Self::EulerAncestral => "Euler a",
            Self::Heun => "Heun",
            Self::DpmMultistep => "DPM++ 2M",
            Self::DpmMultistepSde => "DPM++ 2M SDE",
            Self::UniPc => "UniPC",
            Self::Lcm => "LCM",
        }
    }

    /// The sampler that a `scheduler_config.json` names, if we have it.
    #[must_use]
    pub fn of(config: &ScheduleConfig) -> Option<Self> {
        let stochastic = config.solver.algorithm == DpmAlgorithm::Stochastic;
        Some(match config.class_name.as_str() {
            "DDIMScheduler" | "DDIMParallelScheduler" => Self::Ddim,
            "DDPMScheduler" | "DDPMParallelScheduler" => Self::Ddpm,
            "PNDMScheduler" => Self::Pndm,
            "EulerDiscreteScheduler" => Self::Euler,
            "EulerAncestralDiscreteScheduler" => Self::EulerAncestral,
            "HeunDiscreteScheduler" => Self::Heun,
            "DPMSolverMultistepScheduler" if stochastic => Self::DpmMultistepSde,
            "DPMSolverMultistepScheduler" => Self::DpmMultistep,
            "UniPCMultistepScheduler" => Self::UniPc,
            "LCMScheduler" => Self::Lcm,
            _ => return None,
        })
    }

    /// Whether [`Eta`] means something to it.
    #[must_use]
    pub fn has_eta(self) -> bool {
        self == Self::Ddim
    }

    /// Whether it can spread its noise levels as Karras et al. do.
    #[must_use]
    pub fn has_sigmas(self) -> bool {
        !matches!(self, Self::Ddim | Self::Ddpm | Self::Pndm | Self::Lcm)
    }

    /// The sampler, of `steps` steps. `eta` counts for DDIM only; `karras`
    /// spreads the noise levels as Karras et al. do, also if the file does not.
    ///
    /// # Errors
    /// The sampler's own.
    pub fn build(
        self,
        config: &ScheduleConfig,
        steps: usize,
        eta: Eta,
        karras: bool,
    ) -> Result<Box<dyn Sampler>> {
        let mut solver = config.solver.clone();
        if karras {
            solver.sigma_spacing = SigmaSpacing::Karras;
        }
        let with = |solver: SolverConfig| ScheduleConfig {
            solver,
            ..config.clone()
        };
        Ok(match self {
            Self::Ddim => Box::new(Ddim::new(config, steps, eta)?),
            Self::Ddpm => Box::new(Ddpm::new(config, steps)?),
            Self::Pndm => Box::new(Pndm::new(config, steps)?),
            Self::Euler => Box::new(Euler::new(&with(solver), steps)?),
            Self::EulerAncestral => {
                // The file's spacing is not diffusers' EulerAncestral's.
                if !karras {
                    solver.sigma_spacing = SigmaSpacing::Timesteps;
                }
                Box::new(EulerAncestral::new(&with(solver), steps)?)
            }
            Self::Heun => Box::new(Heun::new(&with(solver), steps)?),
            Self::DpmMultistep => {
                solver.algorithm = DpmAlgorithm::Deterministic;
                Box::new(DpmMultistep::new(&with(solver), steps)?)
            }
            Self::DpmMultistepSde => {
                solver.algorithm = DpmAlgorithm::Stochastic;
                solver.order = solver.order.min(2);
                Box::new(DpmMultistep::new(&with(solver), steps)?)
            }
            Self::UniPc => Box::new(UniPc::new(&with(solver), steps)?),
            Self::Lcm => Box::new(Lcm::new(config, steps)?),
        })
    }
}
