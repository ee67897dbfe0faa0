//! Times a latent diffusion model, for `bench/rates/latent.py`:
//! `latent unet|decoder FOLDER PIXELS [TILE]`, 0 for no tiles.
//!
//! Prints JSON: median seconds of one evaluation at PIXELS × PIXELS after one
//! to warm up, seconds until the first was done, and the peak of the process.

use alice_calculus::{Cpu, Model, Tensor};
use alice_networks::UNet2DCondition;
use alice_pipelines::{Latents, Tiling};
use alice_random::Stream;
use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TOKENS: usize = 77;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [part, folder, pixels, tile @ ..] = &arguments[..] else {
        return Err("usage: latent unet|decoder FOLDER PIXELS [TILE]".into());
    };
    let tiling = match tile.first().map(|tile| tile.parse()).transpose()? {
        None => Tiling::Auto,
        Some(0) => Tiling::Never,
        Some(pixels) => Tiling::Tiles(pixels),
    };
    let (folder, pixels) = (PathBuf::from(folder), pixels.parse::<usize>()?);
    let start = Instant::now();
    let normals = |dims: &[usize]| {
        let values = Stream::new(0, "latent", 0, 0).normals(dims.iter().product());
        Tensor::<f32>::new(dims, values)
    };
    let side = pixels / 8;
    let mut taken = Vec::new();
    if part == "unet" {
        let unet = UNet2DCondition::open(&folder)?;
        let channels = unet.config.in_channels;
        let context = normals(&[1, TOKENS, unet.config.cross_attention_dim])?;
        let graph = unet.graph((side, side), TOKENS)?;
        let model = Model::new(graph, unet.parameters)?;
        let prediction = model.graph().find_output("prediction")?;
        let sample = normals(&[1, side, side, channels])?;
        let time = Tensor::new(&[1, 1], vec![500.0])?;
        let mut inputs = vec![
            ("sample", &sample),
            ("timestep", &time),
            ("context", &context),
        ];
        let (text, sizes);
        if let Some(addition) = unet.config.addition_embedding {
            text = normals(&[1, addition.text_dim()])?;
            sizes = Tensor::new(&[1, 6], [pixels as f32; 6].to_vec())?;
            inputs.extend([("text_embeds", &text), ("time_ids", &sizes)]);
        }
        for _ in 0..4 {
            let clock = Instant::now();
            black_box(model.evaluate(&inputs, &[prediction])?);
            taken.push((clock.elapsed(), start.elapsed()));
        }
    } else {
        let latents = Latents::open(&folder)?;
        let sample = normals(&[1, side, side, latents.channels()])?;
        for _ in 0..3 {
            let clock = Instant::now();
            black_box(latents.decode(&Cpu, &sample, tiling)?);
            taken.push((clock.elapsed(), start.elapsed()));
        }
    }
    let first = taken[0].1.as_secs_f64();
    let mut warm: Vec<f64> = taken[1..].iter().map(|(t, _)| t.as_secs_f64()).collect();
    warm.sort_by(f64::total_cmp);
    println!(
        "{{\"seconds\": {}, \"first\": {first}, \"peak_bytes\": {}}}",
        warm[warm.len() / 2],
        peak_bytes()
    );
    Ok(())
}

/// The largest resident set so far, 0 where the system does not say.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    1024 * kibibytes.unwrap_or(0)
}
