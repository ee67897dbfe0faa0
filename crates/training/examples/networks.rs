//! Times a U-Net, for `bench/rates/networks.py`: `networks FOLDER [BATCH]`.
//!
//! Prints JSON: median seconds of the forward pass of one picture and of
//! BATCH, and of a training step of BATCH with AdamW.

use alice_calculus::{Model, Tensor, gradient};
use alice_networks::UNet2D;
use alice_random::Stream;
use alice_training::{AdamWConfig, Optimizer};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: networks FOLDER [BATCH]")?);
    let batch: usize = arguments.next().map_or(Ok(16), |b| b.parse())?;
    let nested = folder.join("unet");
    let network = UNet2D::open(if nested.is_dir() { nested } else { folder })?;
    let (height, width) = network.config.sample_size.ok_or("a sample_size")?;
    let mut model = Model::new(network.graph((height, width))?, network.parameters.clone())?;
    let prediction = model.graph().find_output("prediction")?;
    let channels = network.config.in_channels;
    let pictures = |n: usize| {
        let values = Stream::new(0, "networks", 0, 0).normals(n * height * width * channels);
        Tensor::<f32>::new(&[n, height, width, channels], values)
    };
    let times = Tensor::new(&[1, 1], vec![500.0])?;
    let mut forward = serde_json::Map::new();
    for n in [1, batch] {
        let sample = pictures(n)?;
        let inputs = [("sample", &sample), ("timestep", &times)];
        let taken = seconds(|| black_box(model.evaluate(&inputs, &[prediction])).is_ok());
        forward.insert(n.to_string(), taken.into());
    }
    let sample = pictures(batch)?;
    let inputs = [("sample", &sample), ("timestep", &times)];
    let mut optimizer = Optimizer::new(AdamWConfig::default(), None, model.graph());
    let training = seconds(|| {
        let step = gradient(&model, &inputs, prediction, |y| {
            let mut cotangent = y.clone();
            let scale = 2.0 / y.data().len() as f32;
            for (c, x) in cotangent.data_mut().iter_mut().zip(sample.data()) {
                *c = scale * (*c - x);
            }
            (0.0, cotangent)
        });
        if let Ok((_, gradients)) = step {
            optimizer.update(model.parameters_mut(), &gradients, 1e-6);
        }
    });
    let report = serde_json::json!({"forward_seconds": forward, "training_seconds": training});
    println!("{report}");
    Ok(())
}

/// The median of five calls after one to warm up.
fn seconds<R>(mut call: impl FnMut() -> R) -> f64 {
    call();
    let mut taken: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed().as_secs_f64()
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    taken[2]
}
