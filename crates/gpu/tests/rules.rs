//! Every operation's value and both linear maps against the processor, at
//! extents that fill no tile, strip or workgroup.

mod common;

use alice_calculus::{
    Activation, Device, Graph, GraphError, Padding, SinusoidalEmbedding, Tensor, Value,
};
use alice_gpu::Gpu;
use common::{TOLERANCE, both, check_derivative, distance, gpu, random, randomised};

/// Checks a graph from its input "x" of shape `dims` to `y`.
fn check(
    gpu: &Gpu,
    name: &str,
    dims: &[usize],
    build: impl Fn(&mut Graph, Value) -> Result<Value, GraphError>,
) {
    let mut graph = Graph::new();
    let x = graph.input("x", dims);
    let y = build(&mut graph, x).unwrap();
    let parameters = randomised(&graph);
    let models = both(gpu, graph, &parameters);
    // A batch of 5 and one item of it: results do not depend on the batch.
    let point = random(1, &[&[5], dims].concat());
    let [expected, found] = models
        .each_ref()
        .map(|model| model.evaluate(&[("x", &point)], &[y]).unwrap().remove(0));
    let error = distance(&found, &expected);
    assert!(error < TOLERANCE, "{name}: {error:.1e}");
    let item = models[1].evaluate(&[("x", &point.items(3..4))], &[y]);
    assert_eq!(item.unwrap()[0], found.items(3..4), "{name}: one item");
    for (batch, vectors) in [(2, 3), (1, 5)] {
        let inputs = [("x", &point.items(0..batch))];
        check_derivative(name, &models, &inputs, (x, y), batch, vectors).unwrap();
    }
}

#[test]
fn products() {
    let Some(gpu) = gpu() else { return };
    let asymmetric = Padding {
        top: 0,
        left: 0,
        bottom: 1,
        right: 1,
    };
    for (kernel, stride, padding) in [
        (3, 1, Padding::all(1)),
        (3, 2, Padding::all(1)),
        (3, 2, asymmetric),
        (1, 1, Padding::all(0)),
        (2, 2, Padding::all(0)),
        (5, 3, Padding::all(2)),
    ] {
        let name = format!("convolution {kernel} {stride}");
        check(&gpu, &name, &[7, 9, 5], |g, x| {
            g.convolution(x, "c", 11, kernel, stride, padding, true)
        });
    }
    check(&gpu, "wide", &[5, 6, 37], |g, x| {
        g.convolution(x, "c", 67, 3, 1, Padding::all(1), false)
    });
    check(&gpu, "linear", &[4, 3, 21], |g, x| {
        g.linear(x, "l", 9, true)
    });
    check(&gpu, "to one", &[70], |g, x| g.linear(x, "l", 1, true));
    check(&gpu, "from one", &[13, 1], |g, x| {
        g.linear(x, "l", 70, false)
    });
}

/// Results that the larger tiles make.
#[test]
fn large_products() {
    let Some(gpu) = gpu() else { return };
    check(&gpu, "middle", &[43, 45, 6], |g, x| {
        g.convolution(x, "c", 70, 3, 1, Padding::all(1), true)
    });
    check(&gpu, "large", &[67, 63, 5], |g, x| {
        g.convolution(x, "c", 130, 3, 1, Padding::all(1), true)
    });
}

#[test]
fn norms() {
    let Some(gpu) = gpu() else { return };
    for (groups, silu) in [(1, false), (2, true), (6, true), (3, false)] {
        check(&gpu, "group norm", &[5, 4, 6], |g, x| {
            g.group_norm(x, "n", groups, 1e-5, silu)
        });
    }
    // More than one strip of positions.
    check(&gpu, "large group norm", &[61, 59, 6], |g, x| {
        g.group_norm(x, "n", 2, 1e-6, true)
    });
    check(&gpu, "layer norm", &[5, 19], |g, x| {
        g.layer_norm(x, "n", 1e-5)
    });
    check(&gpu, "wide layer norm", &[3, 300], |g, x| {
        g.layer_norm(x, "n", 1e-5)
    });
}

/// A mean far from zero costs no digits beyond those that the input lost.
#[test]
fn norms_far_from_zero() {
    let Some(gpu) = gpu() else { return };
    let mut graph = Graph::new();
    let x = graph.input("x", &[40, 40, 8]);
    let y = graph.group_norm(x, "n", 2, 1e-5, false).unwrap();
    let parameters = randomised(&graph);
    let models = both(&gpu, graph, &parameters);
    let mut point = random(1, &[1, 40, 40, 8]);
    point.data_mut().iter_mut().for_each(|v| *v += 100.0);
    let [expected, found] = models
        .each_ref()
        .map(|model| model.evaluate(&[("x", &point)], &[y]).unwrap().remove(0));
    let error = distance(&found, &expected);
    assert!(error < TOLERANCE, "{error:.1e}");
}

#[test]
fn pointwise_operations() {
    let Some(gpu) = gpu() else { return };
    for function in [Activation::Silu, Activation::Gelu, Activation::QuickGelu] {
        check(&gpu, "activation", &[13, 41], |g, x| {
            Ok(g.activation(x, function))
        });
    }
    check(&gpu, "geglu", &[3, 7, 26], |g, x| g.geglu(x));
    check(&gpu, "add table", &[13, 5], |g, x| {
        g.add_table(x, "positions")
    });
    check(&gpu, "scale", &[13, 4], |g, x| Ok(g.scale(x, -0.3)));
    check(&gpu, "add", &[3, 2, 4], |g, x| {
        let a = g.linear(x, "a", 4, true)?;
        let s = g.silu(x);
        let sum = g.add(a, s)?;
        let sum = g.add(sum, sum)?;
        g.add(sum, x)
    });
    check(&gpu, "add vector", &[7, 5, 3], |g, x| {
        let pooled = g.sum_pool(x);
        let v = g.silu(pooled);
        g.add_vector(x, v)
    });
    check(&gpu, "add to a constant", &[5], |g, x| {
        let zero = g.scale(x, 0.0);
        let v = g.linear(zero, "v", 5, true)?;
        g.add_vector(v, x)
    });
    check(&gpu, "scale shift", &[7, 5, 3], |g, x| {
        let pooled = g.sum_pool(x);
        let v = g.linear(pooled, "v", 6, true)?;
        g.scale_shift(x, v)
    });
}

#[test]
fn changes_of_shape() {
    let Some(gpu) = gpu() else { return };
    check(&gpu, "concat", &[3, 5, 7], |g, x| {
        let s = g.linear(x, "s", 4, true)?;
        g.concat(x, s)
    });
    check(&gpu, "upsample", &[3, 5, 7], |g, x| {
        g.upsample_nearest(x, None)
    });
    check(&gpu, "upsample to a size", &[3, 2, 5], |g, x| {
        g.upsample_nearest(x, Some((7, 3)))
    });
    check(&gpu, "average pool", &[5, 7, 3], |g, x| g.average_pool(x));
    check(&gpu, "sum pool", &[9, 19, 3], |g, x| Ok(g.sum_pool(x)));
}

#[test]
fn attention() {
    let Some(gpu) = gpu() else { return };
    for heads in [1, 2, 3] {
        check(&gpu, "self-attention", &[5, 7, 6], |g, x| {
            let q = g.linear(x, "q", 6, true)?;
            let k = g.linear(x, "k", 6, true)?;
            let v = g.linear(x, "v", 6, true)?;
            g.attention(q, k, v, heads)
        });
    }
    check(&gpu, "attention to a pooled key", &[3, 4, 6], |g, x| {
        let small = g.convolution(x, "s", 6, 2, 2, Padding::all(0), false)?;
        g.attention(x, small, small, 3)
    });
    check(&gpu, "attention to what was before", &[37, 6], |g, x| {
        let q = g.linear(x, "q", 6, true)?;
        g.causal_attention(q, x, x, 2)
    });
    check(&gpu, "tall attention", &[17, 13, 10], |g, x| {
        g.attention(x, x, x, 2)
    });
}

/// More scores than are in flight at once.
#[test]
fn attention_by_blocks() {
    let Some(gpu) = gpu() else { return };
    let mut graph = Graph::new();
    let q = graph.input("q", &[2900, 2]);
    let k = graph.linear(q, "k", 2, true).unwrap();
    let y = graph.causal_attention(q, k, k, 1).unwrap();
    let parameters = randomised(&graph);
    let models = both(&gpu, graph, &parameters);
    let point = random(1, &[1, 2900, 2]);
    check_derivative("blocks", &models, &[("q", &point)], (q, y), 1, 3).unwrap();
}

#[test]
fn timesteps_and_labels() {
    let Some(gpu) = gpu() else { return };
    let mut graph = Graph::new();
    let x = graph.input("x", &[14]);
    let t = graph.input("t", &[2]);
    let label = graph.input("label", &[3]);
    let embedding = SinusoidalEmbedding {
        channels: 7,
        flip_sin_to_cos: true,
        frequency_shift: 1.0,
    };
    let e = graph.sinusoidal(t, embedding).unwrap();
    let y = graph.add(x, e).unwrap();
    let rows = graph.embedding(label, "table", 5, 9).unwrap();
    let parameters = randomised(&graph);
    let models = both(&gpu, graph, &parameters);
    let x0 = random(1, &[2, 14]);
    let t0 = Tensor::new(&[1, 2], vec![999.0, 3.5]).unwrap();
    // The last is beyond the table.
    let labels = Tensor::new(&[2, 3], vec![0.0, 4.0, 2.0, 1.0, 3.0, 8.0]).unwrap();
    let inputs = [("x", &x0), ("t", &t0), ("label", &labels)];
    let [expected, found] = models
        .each_ref()
        .map(|model| model.evaluate(&inputs, &[y, rows, x]).unwrap());
    assert!(distance(&found[0], &expected[0]) < TOLERANCE);
    assert_eq!(found[1..], expected[1..]);
    let linear = models[1].linearize(&inputs, x, y).unwrap();
    let v = random(2, &[4, 14]);
    assert_eq!(linear.pushforward(&v).unwrap(), v);
    assert!(models[1].linearize(&inputs, t, y).is_err());
}

/// A part of a U-Net: every value used more than once, a skip connection, a
/// shift of an intermediate value, an input that is bound.
#[test]
fn a_small_network() {
    let Some(gpu) = gpu() else { return };
    let mut graph = Graph::new();
    let x = graph.input("x", &[4, 4, 4]);
    let context = graph.input("context", &[5, 6]);
    let h = graph.group_norm(x, "n1", 2, 1e-5, true).unwrap();
    let h = graph
        .convolution(h, "c1", 6, 3, 2, Padding::all(1), true)
        .unwrap();
    let n = graph.group_norm(h, "n2", 3, 1e-5, false).unwrap();
    let q = graph.linear(n, "q", 6, true).unwrap();
    let a = graph.attention(q, n, n, 2).unwrap();
    let b = graph.attention(q, context, context, 3).unwrap();
    let a = graph.add(a, b).unwrap();
    let middle = graph.add(h, a).unwrap();
    let h = graph.upsample_nearest(middle, None).unwrap();
    let h = graph.concat(h, x).unwrap();
    let y = graph
        .convolution(h, "c2", 3, 3, 1, Padding::all(1), true)
        .unwrap();
    let parameters = randomised(&graph);
    let mut models = both(&gpu, graph, &parameters);
    let told = random(7, &[1, 5, 6]);
    for model in &mut models {
        model.bind("context", told.clone()).unwrap();
    }
    let point = random(1, &[2, 4, 4, 4]);
    let shift = random(5, &[2, 2, 2, 6]);
    let inputs = [("x", &point)];
    let [expected, found] = models.each_ref().map(|model| {
        let shifts = [(middle, &shift)];
        model
            .evaluate_shifted(&inputs, &shifts, &[y, middle])
            .unwrap()
    });
    for (found, expected) in found.iter().zip(&expected) {
        assert!(distance(found, expected) < TOLERANCE);
    }
    check_derivative("network", &models, &inputs, (x, y), 2, 3).unwrap();
    check_derivative("its middle", &models, &inputs, (middle, y), 2, 3).unwrap();

    // A bound on the memory changes the pace, not the result.
    let one = [("x", &point.items(0..1))];
    let mut linear = models[1].linearize(&one, x, y).unwrap();
    let v = random(8, &[7, 4, 4, 4]);
    let free = linear.pushforward(&v).unwrap();
    linear.set_memory(2 * linear.memory().per_vector);
    assert_eq!(linear.pushforward(&v).unwrap(), free);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let mut graph = Graph::new();
    let x = graph.input("x", &[4, 4, 6]);
    let y = graph.linear(x, "l", 3, true).unwrap();
    let parameters = randomised(&graph);
    let other = randomised(&Graph::new());
    let [_, mut model] = both(&gpu, graph.clone(), &parameters);
    assert!(gpu.load(graph.into(), &other).is_err());
    let wrong = Tensor::zeros(&[1, 4, 6, 4]);
    let right = Tensor::zeros(&[2, 4, 4, 6]);
    for (inputs, text) in [
        (vec![("x", &wrong)], "x must be [N, 4, 4, 6]"),
        (vec![("z", &right)], "no input named z"),
        (vec![], "x was not given"),
    ] {
        let message = model.evaluate(&inputs, &[y]).unwrap_err().to_string();
        assert!(message.contains(text), "{message}");
    }
    assert!(model.bind("x", right.clone()).is_err());
    let linear = model.linearize(&[("x", &right)], x, y).unwrap();
    assert!(linear.pushforward(&Tensor::zeros(&[3, 4, 4, 6])).is_err());
    assert!(linear.pullback(&wrong).is_err());
}

/// More than a device holds is an error for people.
#[test]
fn too_large_a_picture_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let mut graph = Graph::new();
    let x = graph.input("x", &[1]);
    let mut y = graph.linear(x, "l", 1 << 10, false).unwrap();
    let mut parts = Vec::new();
    for _ in 0..24 {
        y = graph.concat(y, y).unwrap();
        parts.push(y);
    }
    let parameters = randomised(&graph);
    let [_, model] = both(&gpu, graph, &parameters);
    let point = random(1, &[1, 1]);
    let message = model
        .evaluate(&[("x", &point)], &[y])
        .unwrap_err()
        .to_string();
    assert!(message.contains("--device cpu"), "{message}");
    // The device works on.
    let found = model.evaluate(&[("x", &point)], &[parts[0]]).unwrap();
    assert_eq!(found[0].dims(), [1, 1 << 11]);
}
