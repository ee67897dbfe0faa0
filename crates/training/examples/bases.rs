//! Measures bases of a U-Net, for `docs/speed.md`:
//! `bases [--sweep|--walk] FOLDER POINT.safetensors [PUBLISHED.safetensors]...`.
//!
//! POINT holds `sample` [1, C, H, W] and `timestep` [1]; PUBLISHED holds the
//! `right` and `singular_values` of `bench/peer/published_method.py --basis`.
//! Prints one line of JSON for each basis: its cost, and its errors against a
//! basis of the tightest tolerance; with --sweep also over ranks, tolerances,
//! sizes and warm starts, with --walk over the steps of walks. MEMORY_MIB in the environment bounds the vectors
//! that are on their way at once.

use alice_calculus::{Linearization, Model, Tensor};
use alice_geometry::grassmann::principal_angles;
use alice_geometry::{Block, GeometryError, GolubKahan, LinearMap, Span, Spectrum, Trail};
use alice_networks::UNet2D;
use alice_random::Stream;
use alice_runs::TensorFile;
use serde_json::{Value, json};
use std::error::Error;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RANK: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let (options, arguments): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let [folder, point, published @ ..] = &arguments[..] else {
        return Err(
            "usage: bases [--sweep|--walk] FOLDER POINT.safetensors [PUBLISHED.safetensors]..."
                .into(),
        );
    };
    let nested = std::path::Path::new(folder).join("unet");
    let network = UNet2D::open(if nested.is_dir() {
        nested
    } else {
        folder.into()
    })?;
    let size = network.config.sample_size.ok_or("a sample_size")?;
    let model = Model::new(network.graph(size)?, network.parameters.clone())?;
    let file = TensorFile::read(point)?;
    let sample = file.require_rank("sample", 4)?;
    let sample = Tensor::new(&sample.shape, sample.data.clone())?.to_channels_last()?;
    let at = f64::from(file.require("timestep", &[1])?.data[0]);
    let run = |timestep: f64, method: &GolubKahan, start: Option<&Block>| {
        basis(&model, &sample, timestep, method, start)
    };

    let (default, seconds) = run(at, &GolubKahan::new(RANK), None)?;
    let peak = peak_memory();
    let tight = GolubKahan {
        tolerance: 1e-6,
        max_basis: 400,
        ..GolubKahan::new(RANK)
    };
    let reference = run(at, &tight, None)?.0;
    let errors = |found: &[f64], right: &Block| -> Result<Value, Box<dyn Error>> {
        let rank = found.len().min(RANK);
        let pairs = found.iter().zip(&reference.singular_values).take(rank);
        let worst = pairs.map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
        let angles = principal_angles(
            &Span::of(&first(right, rank)?)?,
            &Span::of(&first(&reference.right, rank)?)?,
        )?;
        let largest = angles.into_iter().fold(0.0, f64::max);
        Ok(json!({"sigma_error": worst, "cosine": largest.cos()}))
    };
    let line = |kind: &str, found: &Spectrum, seconds: f64, rest: Value| {
        println!(
            "{}",
            json!({
                "kind": kind, "rank": found.singular_values.len(), "seconds": seconds,
                "blocks": found.products.blocks(), "vectors": found.products.vectors(),
                "converged": found.converged, "more": rest,
            })
        );
    };
    let rest = errors(&default.singular_values, &default.right)?;
    line(
        "default",
        &default,
        seconds,
        json!({"errors": rest, "peak_bytes": peak}),
    );
    line(
        "reference",
        &reference,
        0.0,
        json!({"residual": largest(&reference.residuals)}),
    );
    for path in published {
        let file = TensorFile::read(path)?;
        let right = file.require_rank("right", 2)?;
        let right = Block::from_vec(right.shape[0], right.shape[1], right.data.clone())?;
        let sigma = &file.require_rank("singular_values", 1)?.data;
        let sigma: Vec<f64> = sigma.iter().map(|&s| f64::from(s)).collect();
        println!(
            "{}",
            json!({"kind": "published", "more": errors(&sigma, &right)?})
        );
    }
    if options.iter().any(|option| option == "--walk") {
        return walk(&model, &sample, at, default.right.row(0));
    }
    if options.is_empty() {
        return Ok(());
    }
    for tolerance in [1e-2, 1e-3, 1e-5] {
        let method = GolubKahan {
            tolerance,
            ..GolubKahan::new(RANK)
        };
        let (found, seconds) = run(at, &method, None)?;
        let rest = errors(&found.singular_values, &found.right)?;
        line(
            "tolerance",
            &found,
            seconds,
            json!({"tolerance": tolerance, "errors": rest}),
        );
    }
    for rank in [5, 10, 25, 100] {
        let (found, seconds) = run(at, &GolubKahan::new(rank), None)?;
        line("rank", &found, seconds, json!({}));
    }
    for side in [16, 24, 48, 64] {
        let model = Model::new(network.graph((side, side))?, network.parameters.clone())?;
        let channels = network.config.in_channels;
        let noise = Stream::new(0, "bases", 0, 0).normals(side * side * channels);
        let sample = Tensor::new(&[1, side, side, channels], noise)?;
        let (found, seconds) = basis(&model, &sample, at, &GolubKahan::new(RANK), None)?;
        let dimension = found.right.dimension();
        line(
            "dimension",
            &found,
            seconds,
            json!({"dimension": dimension}),
        );
    }
    for share in [0.99, 0.95, 0.9, 0.8] {
        let (cold, _) = run(at * share, &GolubKahan::new(RANK), None)?;
        let (warm, seconds) = run(at * share, &GolubKahan::new(RANK), Some(&default.right))?;
        let rest = json!({"share": share, "cold_vectors": cold.products.vectors()});
        line("warm", &warm, seconds, rest);
    }
    Ok(())
}

/// Products of the bases along straight walks in the direction of `row`, to
/// where the root mean square change of a pixel is 0.3, as an edit takes them.
fn walk(
    model: &Model<f32>,
    sample: &Tensor<f32>,
    at: f64,
    row: &[f32],
) -> Result<(), Box<dyn Error>> {
    for (rank, tolerance, steps) in [
        (20, 1e-3, 16),
        (50, 1e-3, 16),
        (105, 1e-3, 16),
        (50, 1e-4, 16),
        (50, 1e-3, 6),
    ] {
        let method = GolubKahan {
            tolerance,
            ..GolubKahan::new(rank)
        };
        let direction = sample_like(sample, row)?;
        let (mut trail, mut last) = (Trail::default(), None);
        let [mut cold, mut mixed, mut along] = [0; 3];
        let mut alone = Vec::new();
        for step in 0..=steps {
            let length = 0.3 * (sample.data().len() as f64).sqrt() / f64::from(steps);
            let moved = sample.data().iter().zip(direction.data());
            let moved = moved.map(|(x, v)| x + (length * f64::from(step)) as f32 * v);
            let moved = Tensor::new(sample.dims(), moved.collect())?;
            let of = |jacobian: &Jacobian<'_>| method.decompose(jacobian);
            let found = at_point(model, &moved, at, of)?;
            let next = at_point(model, &moved, at, |j| method.decompose_along(j, &mut trail))?;
            if let Some(start) = last.replace(first(&found.right, rank - 1)?) {
                cold += found.products.vectors();
                // Less than the whole space: it is mixed, however near it is.
                let of = |jacobian: &Jacobian<'_>| method.decompose_from(jacobian, &start);
                mixed += at_point(model, &moved, at, of)?.products.vectors();
                along += next.products.vectors();
                alone.push(next.products.vectors());
            }
        }
        println!(
            "{}",
            json!({
                "kind": "walk", "rank": rank, "tolerance": tolerance, "steps": steps,
                "cold": cold, "mixed": mixed, "along": along, "each": alone,
            })
        );
    }
    Ok(())
}

/// A direction in PyTorch's order, in the layout of a sample.
fn sample_like(sample: &Tensor<f32>, row: &[f32]) -> Result<Tensor<f32>, Box<dyn Error>> {
    let dims = sample.dims();
    let direction = Tensor::new(&[1, dims[3], dims[1], dims[2]], row.to_vec())?;
    Ok(direction.to_channels_last()?)
}

fn basis(
    model: &Model<f32>,
    sample: &Tensor<f32>,
    timestep: f64,
    method: &GolubKahan,
    start: Option<&Block>,
) -> Result<(Spectrum, f64), Box<dyn Error>> {
    let begun = Instant::now();
    let spectrum = at_point(model, sample, timestep, |jacobian| match start {
        None => method.decompose(jacobian),
        Some(start) => method.decompose_from(jacobian, start),
    })?;
    Ok((spectrum, begun.elapsed().as_secs_f64()))
}

fn at_point(
    model: &Model<f32>,
    sample: &Tensor<f32>,
    timestep: f64,
    decompose: impl FnOnce(&Jacobian<'_>) -> Result<Spectrum, GeometryError>,
) -> Result<Spectrum, Box<dyn Error>> {
    let timestep = Tensor::new(&[1, 1], vec![timestep as f32])?;
    let inputs = [("sample", sample), ("timestep", &timestep)];
    let graph = model.graph();
    let (x, h) = (
        graph.find_input("sample")?,
        graph.find_output("bottleneck")?,
    );
    let mut linear = Linearization::new(model, &inputs, x, h)?;
    if let Some(mebibytes) = std::env::var("MEMORY_MIB")
        .ok()
        .and_then(|m| m.parse::<usize>().ok())
    {
        linear = linear.within(mebibytes << 20);
    }
    let jacobian = Jacobian {
        from: graph.dims(x).to_vec(),
        to: graph.dims(h).to_vec(),
        linear,
    };
    Ok(decompose(&jacobian)?)
}

/// The derivative between flat spaces, in PyTorch's order C·H·W.
struct Jacobian<'a> {
    linear: Linearization<'a, f32>,
    from: Vec<usize>,
    to: Vec<usize>,
}

impl Jacobian<'_> {
    fn apply(
        &self,
        block: &Block,
        dims: &[usize],
        map: impl Fn(&Tensor<f32>) -> Result<Tensor<f32>, alice_calculus::GraphError>,
    ) -> Result<Block, GeometryError> {
        let first = [block.rows(), dims[2], dims[0], dims[1]];
        Tensor::new(&first, block.as_slice().to_vec())
            .and_then(|t| t.to_channels_last())
            .and_then(|t| map(&t))
            .and_then(|t| t.to_channels_first())
            .map_err(GeometryError::map)
            .and_then(|t| Block::from_vec(t.batch(), t.item_len(), t.into_data()))
    }
}

impl LinearMap for Jacobian<'_> {
    fn domain(&self) -> usize {
        self.from.iter().product()
    }

    fn codomain(&self) -> usize {
        self.to.iter().product()
    }

    fn pushforward(&self, tangents: &Block) -> Result<Block, GeometryError> {
        self.apply(tangents, &self.from, |t| self.linear.pushforward(t))
    }

    fn pullback(&self, cotangents: &Block) -> Result<Block, GeometryError> {
        self.apply(cotangents, &self.to, |t| self.linear.pullback(t))
    }
}

fn first(rows: &Block, count: usize) -> Result<Block, alice_geometry::GeometryError> {
    let values = rows.as_slice()[..count * rows.dimension()].to_vec();
    Block::from_vec(count, rows.dimension(), values)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |a: f64, &b| a.max(b))
}

/// The most memory that the process has held so far, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(1024 * kibibytes)
}
