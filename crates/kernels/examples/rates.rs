//! Prints the rate of the products on the bundled model's shapes.
use alice_kernels::convolution::Convolution;
use alice_kernels::gather::{Epilogue, matrix_gradient, product};
use std::time::Instant;

fn main() {
    for (n, side, input, output) in [
        (16, 32, 32, 32),
        (16, 16, 64, 64),
        (16, 8, 128, 128),
        (16, 8, 256, 128),
        (1, 32, 128, 128),
        (1, 8, 512, 512),
    ] {
        let c = Convolution {
            from: [side; 2],
            to: [side; 2],
            input,
            output,
            kernel: 3,
            stride: 1,
            before: [1, 1],
        };
        let x = vec![0.5f32; n * side * side * input];
        let weight = vec![0.25f32; 9 * input * output];
        let mut y = vec![0f32; n * side * side * output];
        let mut gradient = vec![0f32; weight.len()];
        let table = c.forward_table();
        let packed = c.pack_forward(&weight);
        let gigaflop = 2e-9 * (n * side * side * 9 * input * output) as f64;
        let rate = |f: &mut dyn FnMut()| {
            f();
            let mut best = f64::MAX;
            for _ in 0..10 {
                let start = Instant::now();
                f();
                best = best.min(start.elapsed().as_secs_f64());
            }
            gigaflop / best
        };
        let forward = rate(&mut || product(n, &table, &x, &packed, Epilogue::Store, &mut y));
        let pack = rate(&mut || {
            std::hint::black_box(c.pack_forward(&weight));
        });
        let weights =
            rate(&mut || matrix_gradient(n, &table, &x, &y, input, output, &mut gradient));
        println!(
            "{n}×{side}²×{input}→{output}: forward {forward:.0}, weights {weights:.0}, packing {pack:.0} GFLOP/s"
        );
    }
}
