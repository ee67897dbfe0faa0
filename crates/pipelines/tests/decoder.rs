//! The decoder that stays loaded, and what inpainting networks are told.

use alice_calculus::{Cpu, Device, Graph, GraphError, Interpreter, Parameters, Tensor};
use alice_pipelines::{Decoder, Latents, Tiling};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The processor, which counts what it loads.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Device for Counting {
    fn name(&self) -> String {
        "a counting processor".to_owned()
    }

    fn load(
        &self,
        graph: Arc<Graph>,
        parameters: &Parameters<f32>,
    ) -> Result<Box<dyn Interpreter>, GraphError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Cpu.load(graph, parameters)
    }
}

fn autoencoder() -> Latents {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sd");
    Latents::open(&folder).unwrap()
}

fn latents(height: usize, width: usize, seed: usize) -> Tensor<f32> {
    let count = height * width * 4;
    let value = |i: usize| ((i * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0;
    Tensor::new(&[1, height, width, 4], (0..count).map(value).collect()).unwrap()
}

/// Equal sizes are loaded once; the pictures are those of a decoder that is
/// loaded for each, bit by bit.
#[test]
fn a_decoder_is_loaded_once_for_a_size() {
    let autoencoder = autoencoder();
    let device = Arc::new(Counting::default());
    let mut decoder = Decoder::new(autoencoder.clone(), device.clone());
    let mut check = |latents: &Tensor<f32>, tiling: Tiling, loads: usize| {
        let found = decoder.decode(latents, tiling).unwrap();
        assert_eq!(found, autoencoder.decode(&Cpu, latents, tiling).unwrap());
        assert_eq!(device.0.load(Ordering::Relaxed), loads);
    };
    for seed in 0..3 {
        check(&latents(6, 4, seed), Tiling::Auto, 1);
    }
    check(&latents(4, 6, 0), Tiling::Auto, 2);
    check(&latents(4, 6, 1), Tiling::Never, 2);
    check(&latents(6, 4, 0), Tiling::Auto, 3);
}

#[test]
fn what_an_inpainting_network_is_told() {
    let autoencoder = autoencoder();
    let picture = Tensor::new(&[1, 4, 6, 3], vec![0.25; 72]).unwrap();
    let anew = [true, false, false, false, true, false];
    let told = autoencoder.inpainting(&Cpu, &picture, &anew, Tiling::Auto);
    let told = told.unwrap();
    assert_eq!(told.dims(), [1, 2, 3, 5]);
    let encoded = autoencoder.encode(&Cpu, &picture, Tiling::Auto).unwrap();
    let cells = told.data().chunks(5).zip(encoded.data().chunks(4));
    for ((cell, encoded), anew) in cells.zip(anew) {
        assert_eq!(cell[0], f32::from(u8::from(anew)));
        assert_eq!(&cell[1..], encoded);
    }
    let grey = Tensor::zeros(&[1, 4, 6, 3]);
    let all = autoencoder.inpainting(&Cpu, &grey, &[true; 6], Tiling::Auto);
    let found = autoencoder.all_anew(&Cpu, (2, 3), Tiling::Auto).unwrap();
    assert_eq!(found, all.unwrap());
    let error = autoencoder.inpainting(&Cpu, &grey, &[true; 5], Tiling::Auto);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("the mask") && error.contains("2×3"),
        "{error}"
    );
}
