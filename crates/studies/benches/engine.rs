//! The engine on the bundled model: `cargo bench -p alice-studies`.
//!
//! `bench/peer/published_method.py models/puppets-32` times the same work in
//! PyTorch on the same weights.

use alice_calculus::{Linearization, Model, Tensor};
use alice_random::Stream;
use alice_studies::DiffusionModel;
use alice_studies::discover::{DiscoverArguments, find_basis};
use alice_training::{Trainer, TrainingRecipe};
use alice_worlds::{PuppetShow, render_batch};
use divan::{Bencher, black_box};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

fn model() -> Model<f32> {
    let bundled = DiffusionModel::bundled().expect("the bundled model opens");
    let network = bundled.pixel_network().expect("it is one of pixels");
    let graph = network.graph((32, 32)).expect("its own size");
    Model::new(graph, network.parameters.clone()).expect("its own weights")
}

fn pictures(count: usize) -> Tensor<f32> {
    let values = Stream::new(0, "bench", 0, 0).normals(count * 32 * 32 * 3);
    Tensor::new(&[count, 32, 32, 3], values).expect("the extents fit")
}

fn timestep() -> Tensor<f32> {
    Tensor::new(&[1, 1], vec![600.0]).expect("the extents fit")
}

#[divan::bench(args = [1, 16])]
fn forward(bencher: Bencher, batch: usize) {
    let (model, sample, time) = (model(), pictures(batch), timestep());
    let prediction = model.graph().find_output("prediction").expect("a U-Net");
    bencher.bench_local(|| {
        let inputs = [("sample", &sample), ("timestep", &time)];
        black_box(model.evaluate(&inputs, &[prediction]))
    });
}

/// Pictures, loss, gradients, Muon and AdamW, averages.
#[divan::bench]
fn training_step_of_16(bencher: Bencher) {
    let recipe = include_str!("../../../models/puppets-32/training.json");
    let recipe: TrainingRecipe = serde_json::from_str(recipe).expect("the bundled recipe");
    assert_eq!(recipe.batch, 16);
    let mut trainer = Trainer::new(&recipe).expect("its parts fit");
    bencher.bench_local(|| black_box(trainer.advance()).is_ok());
}

#[divan::bench(args = [32, 64])]
fn world_pictures_256(bencher: Bencher, side: usize) {
    let show = PuppetShow::default();
    bencher.bench_local(|| black_box(render_batch(&show, 0, 0..256, side)).is_ok());
}

#[divan::bench(args = [1, 8])]
fn pushforward(bencher: Bencher, block: usize) {
    let (model, sample, time) = (model(), pictures(1), timestep());
    let graph = model.graph();
    let x = graph.find_input("sample").expect("a U-Net");
    let h = graph.find_output("bottleneck").expect("a U-Net");
    let inputs = [("sample", &sample), ("timestep", &time)];
    let linear = Linearization::new(&model, &inputs, x, h).expect("h depends on x");
    let tangents = pictures(block);
    bencher.bench_local(|| black_box(linear.pushforward(&tangents)));
}

#[divan::bench(args = [1, 8])]
fn pullback(bencher: Bencher, block: usize) {
    let (model, sample, time) = (model(), pictures(1), timestep());
    let graph = model.graph();
    let x = graph.find_input("sample").expect("a U-Net");
    let h = graph.find_output("bottleneck").expect("a U-Net");
    let inputs = [("sample", &sample), ("timestep", &time)];
    let linear = Linearization::new(&model, &inputs, x, h).expect("h depends on x");
    let cotangents = linear
        .pushforward(&pictures(block))
        .expect("the block fits");
    bencher.bench_local(|| black_box(linear.pullback(&cotangents)));
}

#[divan::bench(sample_count = 5)]
fn rank_50_basis(bencher: Bencher) {
    let (model, sample, time) = (model(), pictures(1), timestep());
    let arguments = DiscoverArguments::default();
    bencher.bench_local(|| {
        let inputs = [("sample", &sample), ("timestep", &time)];
        black_box(find_basis(&model, &inputs, &arguments, 0)).is_ok()
    });
}
