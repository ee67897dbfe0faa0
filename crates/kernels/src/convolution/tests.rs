use super::*;
use alice_random::Stream;
use proptest::prelude::*;

/// Calls `term` with the input pixel, the output pixel and the tap of each
/// term of the definition, pixels counted over all items.
fn each_term(c: &Convolution, n: usize, mut term: impl FnMut(usize, usize, usize)) {
    let source = |at: usize, tap: usize, axis: usize| {
        let place = (at * c.stride + tap) as isize - c.before[axis] as isize;
        (place >= 0 && place < c.from[axis] as isize).then_some(place as usize)
    };
    for (item, oy, ox) in (0..n * c.to[0] * c.to[1])
        .map(|to| (to / c.to[1] / c.to[0], to / c.to[1] % c.to[0], to % c.to[1]))
    {
        for (ky, kx) in (0..c.kernel * c.kernel).map(|tap| (tap / c.kernel, tap % c.kernel)) {
            if let Some((y, x)) = source(oy, ky, 0).zip(source(ox, kx, 1)) {
                let from = (item * c.from[0] + y) * c.from[1] + x;
                let to = (item * c.to[0] + oy) * c.to[1] + ox;
                term(from, to, ky * c.kernel + kx);
            }
        }
    }
}

fn reference(c: &Convolution, n: usize, x: &[f64], w: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; n * c.to[0] * c.to[1] * c.output];
    each_term(c, n, |from, to, tap| {
        for i in 0..c.input {
            for o in 0..c.output {
                out[to * c.output + o] +=
                    x[from * c.input + i] * w[(tap * c.input + i) * c.output + o];
            }
        }
    });
    out
}

fn reference_adjoint(c: &Convolution, n: usize, u: &[f64], w: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; n * c.from[0] * c.from[1] * c.input];
    each_term(c, n, |from, to, tap| {
        for i in 0..c.input {
            for o in 0..c.output {
                out[from * c.input + i] +=
                    u[to * c.output + o] * w[(tap * c.input + i) * c.output + o];
            }
        }
    });
    out
}

/// `[taps, input, output]` as `[output, input, taps]`.
fn filed(c: &Convolution, weight: &[f64]) -> Vec<f64> {
    let taps = c.kernel * c.kernel;
    let at = |i: usize| (i % taps * c.input + i / taps % c.input) * c.output;
    (0..weight.len())
        .map(|i| weight[at(i) + i / (c.input * taps)])
        .collect()
}

fn single(v: &[f64]) -> Vec<f32> {
    v.iter().map(|&a| a as f32).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn norm_of_difference(a: &[f32], b: &[f64]) -> f64 {
    let d: f64 = a
        .iter()
        .zip(b)
        .map(|(&x, y)| (f64::from(x) - y).powi(2))
        .sum();
    (d / dot(b, b).max(1e-30)).sqrt()
}

/// Wide convolutions go through the transform domain in both directions;
/// the adjoint reads the taps backwards and mirrors the padding.
#[test]
fn wide_convolutions_and_their_adjoints_agree_with_the_definition() {
    // Rows and columns from, before and after; channels in and out. Whole
    // tiles and parts of tiles, even and uneven paddings, channels that
    // fill no vector.
    for (from, before, after, [input, output]) in [
        ([8, 8], [1, 1], [1, 1], [16, 16]),
        ([9, 13], [1, 1], [1, 1], [17, 35]),
        ([10, 15], [0, 0], [0, 0], [40, 19]),
        ([11, 9], [0, 2], [1, 0], [19, 33]),
        ([8, 11], [2, 1], [2, 0], [16, 70]),
    ] {
        let n = 2;
        let c = Convolution {
            from,
            to: [0, 1].map(|axis| from[axis] + before[axis] + after[axis] - 2),
            input,
            output,
            kernel: 3,
            stride: 1,
            before,
        };
        let mut stream = Stream::new(7, "wide convolution", input as u64, 0);
        let x: Vec<f64> = stream.normals(n * from[0] * from[1] * input);
        let weight: Vec<f64> = stream.normals(9 * input * output);
        let u: Vec<f64> = stream.normals(n * c.to[0] * c.to[1] * output);
        let mut found = Vec::new();
        for (direction, argument, exact) in [
            (Direction::Forward, &x, reference(&c, n, &x, &weight)),
            (
                Direction::Adjoint,
                &u,
                reference_adjoint(&c, n, &u, &weight),
            ),
        ] {
            let plan = Plan::new(c, direction);
            assert!(matches!(plan.route, Route::Transformed), "{c:?}");
            let mut out = vec![0f64; exact.len()];
            let packed = plan.pack(&weight, Layout::Kernel);
            plan.product(n, argument, &packed, Epilogue::Store, &mut out);
            let largest = exact.iter().fold(0.0f64, |a, b| a.max(b.abs()));
            for (i, (a, b)) in out.iter().zip(&exact).enumerate() {
                assert!(
                    (a - b).abs() < 1e-12 * largest,
                    "{c:?} {direction:?} at {i}"
                );
            }
            found.push(out);

            let mut out = vec![0f32; exact.len()];
            let packed = plan.pack(&single(&weight), Layout::Kernel);
            plan.product(n, &single(argument), &packed, Epilogue::Store, &mut out);
            let error = norm_of_difference(&out, &exact);
            assert!(error < 3e-6, "{c:?} {direction:?}: {error}");
            let mut again = vec![0f32; exact.len()];
            let packed = plan.pack(&single(&filed(&c, &weight)), Layout::File);
            plan.product(n, &single(argument), &packed, Epilogue::Store, &mut again);
            assert_eq!(again, out, "{c:?} {direction:?}: layouts");
        }
        let (forward, backward) = (dot(&found[0], &u), dot(&x, &found[1]));
        let scale = dot(&found[0], &found[0]).sqrt() * dot(&u, &u).sqrt();
        assert!((forward - backward).abs() < 1e-13 * scale, "{c:?}");
    }
}

/// Strided convolutions, whose adjoints go in bands of lines or by several items
/// at once, and wide ones of small pictures, where many taps lie outside.
#[test]
fn gathered_products_agree_with_the_definition() {
    for (n, from, [input, output], stride) in [
        (2, [70, 26], [20, 17], 2),
        (9, [5, 7], [33, 40], 2),
        (1, [6, 6], [260, 270], 2),
        (5, [4, 4], [170, 180], 1),
    ] {
        let c = Convolution {
            from,
            to: from.map(|side| (side - 1) / stride + 1),
            input,
            output,
            kernel: 3,
            stride,
            before: [1, 1],
        };
        let mut stream = Stream::new(8, "gathered products", input as u64, 0);
        let weight: Vec<f64> = stream.normals(9 * input * output);
        let x: Vec<f64> = stream.normals(n * from[0] * from[1] * input);
        let u: Vec<f64> = stream.normals(n * c.to[0] * c.to[1] * output);
        for (direction, argument, exact) in [
            (Direction::Forward, &x, reference(&c, n, &x, &weight)),
            (
                Direction::Adjoint,
                &u,
                reference_adjoint(&c, n, &u, &weight),
            ),
        ] {
            let plan = Plan::new(c, direction);
            assert!(!matches!(plan.route, Route::Transformed));
            let packed = plan.pack(&single(&weight), Layout::Kernel);
            let mut out = vec![0f32; exact.len()];
            plan.product(n, &single(argument), &packed, Epilogue::Store, &mut out);
            assert!(norm_of_difference(&out, &exact) < 1e-6, "{c:?}");
            let bias = vec![1.5; exact.len() / n];
            let columns = if direction == Direction::Forward {
                output
            } else {
                input
            };
            plan.product(
                n,
                &single(argument),
                &packed,
                Epilogue::Bias(&bias[..columns]),
                &mut out,
            );
            let shifted: Vec<f64> = exact.iter().map(|v| v + 1.5).collect();
            assert!(norm_of_difference(&out, &shifted) < 1e-6, "{c:?}");
            plan.product(
                n,
                &single(argument),
                &packed,
                Epilogue::Accumulate,
                &mut out,
            );
            let twice: Vec<f64> = exact.iter().map(|v| 2.0 * v + 1.5).collect();
            assert!(norm_of_difference(&out, &twice) < 1e-6, "{c:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn products_agree_with_the_definition(
        n in 1usize..4, h in 1usize..9, w in 1usize..9, input in 1usize..40,
        output in 1usize..70, kernel in 1usize..4, stride in 1usize..3,
        before in 0usize..2, after in 0usize..2, seed in 0u64..1000,
    ) {
        prop_assume!(h + before + after >= kernel && w + before + after >= kernel);
        let extent = |s: usize| (s + before + after - kernel) / stride + 1;
        let c = Convolution {
            from: [h, w], to: [extent(h), extent(w)], input, output, kernel, stride,
            before: [before, before],
        };
        let mut stream = Stream::new(seed, "convolution test", 0, 0);
        let x: Vec<f64> = stream.normals(n * h * w * input);
        let weight: Vec<f64> = stream.normals(kernel * kernel * input * output);
        let y = reference(&c, n, &x, &weight);
        let u: Vec<f64> = stream.normals(y.len());

        let mut out = vec![0f32; y.len()];
        product(n, &c.forward_table(), &single(&x), &c.pack_forward(&single(&weight)), Epilogue::Store, &mut out);
        prop_assert!(norm_of_difference(&out, &y) < 1e-6);

        // The adjoints in f64, by ⟨A x, u⟩ = ⟨x, Aᵀ u⟩ for both arguments.
        let mut back = vec![0f64; x.len()];
        product(n, &c.adjoint_table(), &u, &c.pack_adjoint(&weight), Epilogue::Store, &mut back);
        let mut gradient = vec![0f64; weight.len()];
        matrix_gradient(n, &c.forward_table(), &x, &u, input, output, &mut gradient);
        let value = dot(&y, &u);
        let scale = dot(&y, &y).sqrt() * dot(&u, &u).sqrt() + 1e-12;
        prop_assert!((dot(&x, &back) - value).abs() < 1e-12 * scale);
        prop_assert!((dot(&weight, &gradient) - value).abs() < 1e-12 * scale);

        // And in f32 against f64.
        let mut back32 = vec![0f32; x.len()];
        product(n, &c.adjoint_table(), &single(&u), &c.pack_adjoint(&single(&weight)), Epilogue::Store, &mut back32);
        prop_assert!(norm_of_difference(&back32, &back) < 1e-6);
        let mut gradient32 = vec![0f32; weight.len()];
        matrix_gradient(n, &c.forward_table(), &single(&x), &single(&u), input, output, &mut gradient32);
        prop_assert!(norm_of_difference(&gradient32, &gradient) < 1e-6);

        // Whatever way the plans take.
        let plan = Plan::new(c, Direction::Forward);
        out.fill(0.5);
        plan.product(n, &single(&x), &plan.pack(&single(&weight), Layout::Kernel), Epilogue::Store, &mut out);
        prop_assert!(norm_of_difference(&out, &y) < 5e-6);
        let adjoint = Plan::new(c, Direction::Adjoint);
        adjoint.product(n, &single(&u), &adjoint.pack(&single(&weight), Layout::Kernel), Epilogue::Store, &mut back32);
        prop_assert!(norm_of_difference(&back32, &back) < 5e-6);
        // Files' layout gives the same bits.
        let filed = filed(&c, &weight);
        let mut again = vec![0f32; out.len()];
        plan.product(n, &single(&x), &plan.pack(&single(&filed), Layout::File), Epilogue::Store, &mut again);
        prop_assert_eq!(&again, &out);
        let mut again = vec![0f32; back32.len()];
        adjoint.product(n, &single(&u), &adjoint.pack(&single(&filed), Layout::File), Epilogue::Store, &mut again);
        prop_assert_eq!(&again, &back32);

        gradient32.fill(0.0);
        plan.weight_gradient(n, &single(&x), &single(&u), &mut gradient32);
        prop_assert!(norm_of_difference(&gradient32, &gradient) < 5e-6);
    }
}
