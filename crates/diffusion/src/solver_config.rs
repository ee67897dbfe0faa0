//! What a scheduler's file tells samplers of higher order.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::kind::SamplerKind::{
    self, Ddim, Ddpm, DpmMultistep, DpmMultistepSde, Euler, Heun, Lcm, UniPc,
};

/// How the noise levels σ of the steps are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigmaSpacing {
    /// As the timesteps are.
    #[default]
    Timesteps,
    /// σ^(1/7) evenly (Karras et al., arXiv 2206.00364, equation 5).
    Karras,
    /// log σ evenly.
    Exponential,
}

/// Where the last step leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinalSigma {
    /// To σ = 0.
    #[default]
    Zero,
    /// To the least σ of training.
    Minimum,
}

/// Which equation DPM-Solver++ solves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DpmAlgorithm {
    /// The ordinary differential equation (`dpmsolver++`).
    #[default]
    Deterministic,
    /// The stochastic one (`sde-dpmsolver++`).
    Stochastic,
}

/// A variant of a solver's coefficients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SolverType {
    /// `midpoint` of DPM-Solver++, `bh2` of UniPC.
    #[default]
    Usual,
    /// `heun` of DPM-Solver++ at order 2.
    Heun,
    /// `bh1` of UniPC.
    Bh1,
}

/// How −∞ stands in a file.
pub(crate) const LOWEST: &str = "-Infinity";

/// What samplers of higher order are told. The defaults are diffusers'.
#[derive(Clone, Debug, PartialEq)]
pub struct SolverConfig {
    /// How the noise levels are spread.
    pub sigma_spacing: SigmaSpacing,
    /// Where the last step leads.
    pub final_sigma: FinalSigma,
    /// The order of DPM-Solver++ and UniPC, 1 to 3.
    pub order: usize,
    /// A variant of their coefficients.
    pub solver_type: SolverType,
    /// Which equation DPM-Solver++ solves.
    pub algorithm: DpmAlgorithm,
    /// Whether the last of few steps are of lower order.
    pub lower_order_final: bool,
    /// Whether the last step of DPM-Solver++ is of first order.
    pub euler_at_final: bool,
    /// The least log(√ᾱ/√(1 − ᾱ)) at which a run may begin, −∞ included. If
    /// `None`, −5.1 for cosine schedules in files of samplers of low order.
    pub lambda_min: Option<f64>,
    /// Whether PNDM begins with lower orders instead of Runge-Kutta steps.
    pub skip_prk_steps: bool,
    /// The steps that a latent consistency model was distilled from.
    pub original_inference_steps: usize,
    /// What such a model's timesteps are multiplied with.
    pub timestep_scaling: f64,
    /// Fields of the file that samplers of ours do not follow.
    pub refused: Vec<Refused>,
}

impl Default for SolverConfig {
    fn default() -> Self {
        Self {
            sigma_spacing: SigmaSpacing::Timesteps,
            final_sigma: FinalSigma::Zero,
            order: 2,
            solver_type: SolverType::Usual,
            algorithm: DpmAlgorithm::Deterministic,
            lower_order_final: true,
            euler_at_final: false,
            lambda_min: None,
            skip_prk_steps: false,
            original_inference_steps: 50,
            timestep_scaling: 10.0,
            refused: Vec::new(),
        }
    }
}

/// The fields as they are in the file.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    use_karras_sigmas: Option<bool>,
    use_exponential_sigmas: Option<bool>,
    final_sigmas_type: Option<String>,
    solver_order: Option<usize>,
    solver_type: Option<String>,
    algorithm_type: Option<String>,
    lower_order_final: Option<bool>,
    euler_at_final: Option<bool>,
    lambda_min_clipped: Option<Value>,
    skip_prk_steps: Option<bool>,
    original_inference_steps: Option<usize>,
    timestep_scaling: Option<f64>,
}

/// A field of the file that some samplers of diffusers follow and ours do not.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// The field's name in the file.
    pub field: &'static str,
    /// The value found.
    pub value: Value,
    /// What would be followed.
    pub expected: &'static str,
    /// Whose field it is.
    pub samplers: &'static [SamplerKind],
}

/// Those that take noise levels.
const BY_SIGMAS: &[SamplerKind] = &[Euler, Heun, DpmMultistep, DpmMultistepSde, UniPc];
/// Those of higher order in log σ.
const SOLVERS: &[SamplerKind] = &[DpmMultistep, DpmMultistepSde, UniPc];
const DPM: &[SamplerKind] = &[DpmMultistep, DpmMultistepSde];
const CLIPPING: &[SamplerKind] = &[Ddim, Ddpm, Lcm, DpmMultistep, DpmMultistepSde, UniPc];
/// Those that may end above σ = 0.
const ENDING: &[SamplerKind] = &[Euler, DpmMultistep, DpmMultistepSde, UniPc];

/// Fields that would change the numbers and are not supported, with the values
/// at which they do not, and the samplers that have them.
type Known = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static [SamplerKind],
);
const REFUSED: [Known; 13] = [
    ("interpolation_type", &["\"linear\""], "linear", &[Euler]),
    ("use_beta_sigmas", &["false"], "false", BY_SIGMAS),
    ("use_lu_lambdas", &["false"], "false", DPM),
    ("use_flow_sigmas", &["false"], "false", SOLVERS),
    ("use_dynamic_shifting", &["false"], "false", SOLVERS),
    ("timestep_type", &["\"discrete\""], "discrete", &[Euler]),
    ("predict_x0", &["true"], "true", &[UniPc]),
    ("disable_corrector", &["[]"], "an empty list", &[UniPc]),
    ("solver_p", &[], "null", &[UniPc]),
    ("sigma_min", &[], "null", &[Euler, UniPc]),
    ("sigma_max", &[], "null", &[Euler, UniPc]),
    ("shift_terminal", &[], "null", &[UniPc]),
    ("thresholding", &["false"], "false", CLIPPING),
];

impl SolverConfig {
    /// Reads the fields of a `scheduler_config.json`. Values that would change
    /// the numbers of some sampler are kept apart: building that one fails.
    ///
    /// # Errors
    /// [`Error::Json`]; [`Error::Unsupported`] for a λ that is no number.
    pub(crate) fn from_value(value: &Value) -> Result<Self> {
        let mut refused = Vec::new();
        for (field, harmless, expected, samplers) in REFUSED {
            let found = value.get(field).filter(|found| !found.is_null());
            let Some(found) = found else { continue };
            if !harmless.contains(&found.to_string().as_str()) {
                refused.push(Refused {
                    field,
                    value: found.clone(),
                    expected,
                    samplers,
                });
            }
        }
        let mut refuse = |field, value: Value, expected, samplers| {
            refused.push(Refused {
                field,
                value,
                expected,
                samplers,
            });
        };
        let file = File::deserialize(value)?;
        let default = Self::default();
        let sigma_spacing = match (file.use_karras_sigmas, file.use_exponential_sigmas) {
            (Some(true), Some(true)) => {
                let expected = "false beside use_karras_sigmas";
                refuse("use_exponential_sigmas", json!(true), expected, BY_SIGMAS);
                SigmaSpacing::Karras
            }
            (Some(true), _) => SigmaSpacing::Karras,
            (_, Some(true)) => SigmaSpacing::Exponential,
            _ => SigmaSpacing::Timesteps,
        };
        let final_sigma = match file.final_sigmas_type.as_deref() {
            None | Some("zero") => FinalSigma::Zero,
            Some("sigma_min") => FinalSigma::Minimum,
            Some(other) => {
                let expected = "zero or sigma_min";
                refuse("final_sigmas_type", json!(other), expected, ENDING);
                default.final_sigma
            }
        };
        let solver_type = match file.solver_type.as_deref() {
            None | Some("midpoint" | "bh2" | "logrho") => SolverType::Usual,
            Some("heun") => SolverType::Heun,
            Some("bh1") => SolverType::Bh1,
            Some(other) => {
                let expected = "midpoint, heun, bh1 or bh2";
                refuse("solver_type", json!(other), expected, SOLVERS);
                default.solver_type
            }
        };
        let algorithm = match file.algorithm_type.as_deref() {
            None | Some("dpmsolver++" | "deis") => DpmAlgorithm::Deterministic,
            Some("sde-dpmsolver++") => DpmAlgorithm::Stochastic,
            Some(other) => {
                let expected = "dpmsolver++ or sde-dpmsolver++";
                refuse("algorithm_type", json!(other), expected, DPM);
                default.algorithm
            }
        };
        let mut order = file.solver_order.unwrap_or(default.order);
        if !(1..=3).contains(&order) {
            refuse("solver_order", json!(order), "1, 2 or 3", SOLVERS);
            order = default.order;
        }
        if (order, algorithm) == (3, DpmAlgorithm::Stochastic) {
            let expected = "1 or 2 with sde-dpmsolver++";
            refuse("solver_order", json!(order), expected, DPM);
            order = default.order;
        }
        let original_inference_steps = file
            .original_inference_steps
            .unwrap_or(default.original_inference_steps);
        let timestep_scaling = file.timestep_scaling.unwrap_or(default.timestep_scaling);
        let lambda_min = match file.lambda_min_clipped {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text == LOWEST => Some(f64::NEG_INFINITY),
            Some(other) => {
                let wrong = || Error::Unsupported {
                    field: "lambda_min_clipped",
                    value: other.to_string(),
                    expected: "a number",
                };
                Some(other.as_f64().ok_or_else(wrong)?)
            }
        };
        Ok(Self {
            sigma_spacing,
            final_sigma,
            order,
            solver_type,
            algorithm,
            lower_order_final: file.lower_order_final.unwrap_or(default.lower_order_final),
            euler_at_final: file.euler_at_final.unwrap_or(default.euler_at_final),
            lambda_min,
            skip_prk_steps: file.skip_prk_steps.unwrap_or(default.skip_prk_steps),
            original_inference_steps,
            timestep_scaling,
            refused,
        })
    }

    /// Refuses a sampler that would have to follow a field that it does not.
    pub(crate) fn require(&self, sampler: SamplerKind) -> Result<()> {
        let mut refused = self.refused.iter();
        match refused.find(|refused| refused.samplers.contains(&sampler)) {
            None => Ok(()),
            Some(refused) => Err(Error::UnsupportedBy {
                field: refused.field,
                value: refused.value.to_string(),
                expected: refused.expected,
                sampler: sampler.name(),
            }),
        }
    }

    /// The fields that are not at their default, as diffusers names them.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let default = Self::default();
        let mut fields = Map::new();
        let mut add = |differs: bool, name: &str, value: Value| {
            if differs {
                fields.insert(name.to_owned(), value);
            }
        };
        let spacing = self.sigma_spacing;
        add(
            spacing == SigmaSpacing::Karras,
            "use_karras_sigmas",
            json!(true),
        );
        add(
            spacing == SigmaSpacing::Exponential,
            "use_exponential_sigmas",
            json!(true),
        );
        let minimum = self.final_sigma == FinalSigma::Minimum;
        add(minimum, "final_sigmas_type", json!("sigma_min"));
        add(
            self.order != default.order,
            "solver_order",
            json!(self.order),
        );
        add(
            self.solver_type == SolverType::Heun,
            "solver_type",
            json!("heun"),
        );
        add(
            self.solver_type == SolverType::Bh1,
            "solver_type",
            json!("bh1"),
        );
        let stochastic = self.algorithm == DpmAlgorithm::Stochastic;
        add(stochastic, "algorithm_type", json!("sde-dpmsolver++"));
        add(!self.lower_order_final, "lower_order_final", json!(false));
        add(self.euler_at_final, "euler_at_final", json!(true));
        // JSON has no infinity; for solvers it is what no value means.
        add(
            self.lambda_min.is_some_and(f64::is_finite),
            "lambda_min_clipped",
            json!(self.lambda_min),
        );
        add(self.skip_prk_steps, "skip_prk_steps", json!(true));
        let steps = self.original_inference_steps;
        let differs = steps != default.original_inference_steps;
        add(differs, "original_inference_steps", json!(steps));
        let differs = self.timestep_scaling != default.timestep_scaling;
        add(differs, "timestep_scaling", json!(self.timestep_scaling));
        for refused in &self.refused {
            add(true, refused.field, refused.value.clone());
        }
        fields
    }
}
