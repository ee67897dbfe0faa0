//! `predict`: one raw evaluation of the network.

use crate::{DiffusionModel, Progress, StudyError};
use alice_calculus::{Interpreter, Tensor};
use alice_networks::ClassEmbedding;
use alice_runs::{ModelReference, NamedTensor, TensorFile};
use serde::Serialize;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Values of the samples that go through the network at once.
const BLOCK_VALUES: usize = 1 << 17;
/// Inputs of text-conditional networks.
const CONDITIONS: [&str; 4] = [
    "encoder_hidden_states",
    "encoder_attention_mask",
    "text_embeds",
    "time_ids",
];

/// What `predict` is told.
#[derive(clap::Args, Clone, Debug, PartialEq)]
pub struct PredictArguments {
    /// The inputs: safetensors with `sample` [N,C,H,W] and `timestep` [1] or [N]
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Where to write `prediction` [N,C,H,W] and `bottleneck`
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
}

/// What `predict` did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PredictReport {
    /// The model.
    pub model: ModelReference,
    /// Extents of `prediction`, [N, C, H, W].
    pub prediction: Vec<usize>,
    /// Extents of `bottleneck`, [N, C, H, W].
    pub bottleneck: Vec<usize>,
    /// The file.
    pub output: PathBuf,
}

impl fmt::Display for PredictReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "prediction {:?} and bottleneck {:?} in {}",
            self.prediction,
            self.bottleneck,
            self.output.display()
        )
    }
}

/// The inputs of the network, channels last.
struct Inputs {
    sample: Tensor<f32>,
    /// `[N, 1]`.
    timesteps: Vec<f32>,
    /// `[N, 1]` or `[N, E]`.
    labels: Option<Tensor<f32>>,
}

/// Evaluates the network once for each sample of the input.
///
/// # Errors
/// When the input is broken or does not fit the network, or the output cannot
/// be written.
pub fn run(
    arguments: &PredictArguments,
    model: &DiffusionModel,
    progress: &mut dyn Progress,
) -> Result<PredictReport, StudyError> {
    let real = [&arguments.input, &arguments.output].map(fs::canonicalize);
    if matches!(real, [Ok(input), Ok(output)] if input == output) {
        let why = "is the input, which would be lost";
        return Err(StudyError::argument("--output", why));
    }
    let inputs = read(&arguments.input, model)?;
    let last = model.schedule.num_train_timesteps as f32;
    let outside = |t: &&f32| !(0.0..last).contains(*t);
    if let Some(t) = inputs.timesteps.iter().find(outside) {
        let why = format!("timestep {t} does not lie in 0..{last}");
        return Err(StudyError::argument("--input", why));
    }
    let [count, height, width, _] = inputs.sample.dims()[..] else {
        return Err(StudyError::argument(
            "--input",
            "four dimensions are needed",
        ));
    };
    let network = model.at((height, width))?;
    let graph = network.graph();
    let outputs = [
        graph.find_output("prediction")?,
        graph.find_output("bottleneck")?,
    ];
    let mut values = [Vec::new(), Vec::new()];
    progress.begin("predicting", count as u64);
    let block = (BLOCK_VALUES / inputs.sample.item_len().max(1)).clamp(1, 32);
    for first in (0..count).step_by(block) {
        if progress.is_cancelled() {
            return Err(StudyError::Cancelled);
        }
        let items = first..count.min(first + block);
        let sample = slice(&inputs.sample, items.clone())?;
        let timestep = Tensor::new(&[items.len(), 1], inputs.timesteps[items.clone()].to_vec())?;
        let labels = inputs
            .labels
            .as_ref()
            .map(|all| slice(all, items.clone()))
            .transpose()?;
        let mut named = vec![("sample", &sample), ("timestep", &timestep)];
        named.extend(labels.as_ref().map(|labels| ("class_label", labels)));
        for (all, value) in values.iter_mut().zip(network.evaluate(&named, &outputs)?) {
            all.extend(value.to_channels_first()?.into_data());
        }
        progress.advance(items.len() as u64);
    }
    let mut file = TensorFile::new();
    let mut shapes = Vec::new();
    for (values, (name, output)) in values
        .into_iter()
        .zip(["prediction", "bottleneck"].iter().zip(outputs))
    {
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let item = at / (values.len() / count.max(1)).max(1);
            return Err(StudyError::argument(
                "--model",
                format!(
                    "the {name} of sample {item} is not finite. Check the input's range and the weights"
                ),
            ));
        }
        let [h, w, c] = graph.dims(output)[..] else {
            return Err(StudyError::argument(
                "--model",
                format!("its {name} is not a picture"),
            ));
        };
        let shape = vec![count, c, h, w];
        file.insert(name, &shape, values)?;
        shapes.push(shape);
    }
    file.write(&arguments.output)?;
    let bottleneck = shapes.pop().unwrap_or_default();
    Ok(PredictReport {
        model: model.reference.clone(),
        prediction: shapes.pop().unwrap_or_default(),
        bottleneck,
        output: arguments.output.clone(),
    })
}

fn slice(all: &Tensor<f32>, items: std::ops::Range<usize>) -> Result<Tensor<f32>, StudyError> {
    let mut dims = all.dims().to_vec();
    dims[0] = items.len();
    let item = all.item_len();
    Ok(Tensor::new(
        &dims,
        all.data()[items.start * item..items.end * item].to_vec(),
    )?)
}

fn read(path: &Path, model: &DiffusionModel) -> Result<Inputs, StudyError> {
    let mut file = TensorFile::read(path)?;
    file.require_finite()?;
    let refuse = |why: String| StudyError::argument(path.display().to_string(), why);
    for name in CONDITIONS {
        if file.get(name).is_some() {
            return Err(refuse(format!(
                "tensor {name:?}: a UNet2DModel takes no text. Remove it, or use a conditional model"
            )));
        }
    }
    let config = &model.pixel_network()?.config;
    let [count, _, height, width] = file.require_rank("sample", 4)?.shape[..] else {
        return Err(refuse(
            "tensor \"sample\": four dimensions are needed".into(),
        ));
    };
    if count == 0 {
        return Err(refuse("tensor \"sample\" holds no sample".into()));
    }
    let shape = [count, config.in_channels, height, width];
    let sample = crate::model::channels_last(&shape, file.take("sample", &shape)?)?;
    let timesteps = take_timesteps(&mut file, count)?;
    let labels = file.tensors.remove("class_labels");
    let labels = labels
        .map(|found| labels_of(found, count, model))
        .transpose()?;
    config.check_inputs(&timesteps, labels.as_ref().map(Tensor::data))?;
    if let Some(name) = file.tensors.keys().next() {
        return Err(refuse(format!(
            "tensor {name:?} is not an input of this network. Remove it; it takes sample and timestep"
        )));
    }
    Ok(Inputs {
        sample,
        timesteps,
        labels,
    })
}

/// `[N]` from a file's `[N]`, `[1]` or scalar.
fn take_timesteps(file: &mut TensorFile, count: usize) -> Result<Vec<f32>, StudyError> {
    let shape = match file.get("timestep") {
        Some(found) if found.data.len() == 1 && found.shape.len() <= 1 => found.shape.clone(),
        _ => vec![count],
    };
    let found = file.take("timestep", &shape)?;
    Ok(if found.len() == 1 {
        found.repeat(count)
    } else {
        found
    })
}

/// `[N, 1]`, or `[N, E]` where the label is the embedding itself.
fn labels_of(
    found: NamedTensor,
    count: usize,
    model: &DiffusionModel,
) -> Result<Tensor<f32>, StudyError> {
    let config = &model.pixel_network()?.config;
    let extent = match config.class_embedding {
        Some(ClassEmbedding::Identity) => config.time_embedding_channels(),
        _ => 1,
    };
    let fits = found.data.len() == count * extent && found.shape.first() == Some(&count);
    if !fits {
        return Err(StudyError::argument(
            "--input",
            format!(
                "class_labels has the shape {:?} and needs [{count}, {extent}]",
                found.shape
            ),
        ));
    }
    Ok(Tensor::new(&[count, extent], found.data)?)
}
