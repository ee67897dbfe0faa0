//! Attention and its linear maps against loops in f64 that follow the
//! formulas, for any extents.

mod common;

use alice_kernels::Real;
use alice_kernels::attention::Attention;
use alice_random::Stream;
use common::{apart, dot, length, normals, of, wide};
use proptest::prelude::*;

/// Positions of q, k or v of one item and head, as rows.
type Rows = Vec<Vec<f64>>;

/// The rows of head `head` of item `i` of an array of `count` positions.
fn rows(a: &Attention, values: &[f64], count: usize, i: usize, head: usize) -> Rows {
    let depth = a.channels / a.heads;
    (0..count)
        .map(|row| {
            let at = (i * count + row) * a.channels + head * depth;
            values[at..at + depth].to_vec()
        })
        .collect()
}

/// Adds such rows to their places in an array.
fn add(a: &Attention, to: &mut [f64], i: usize, head: usize, rows: &Rows) {
    for (row, values) in rows.iter().enumerate() {
        let at = (i * rows.len() + row) * a.channels + head * values.len();
        let places = to[at..].iter_mut().zip(values);
        places.for_each(|(to, value)| *to += value);
    }
}

/// a bᵀ.
fn times_transposed(a: &Rows, b: &Rows) -> Rows {
    let line = |x: &Vec<f64>| b.iter().map(|y| dot(x, y)).collect();
    a.iter().map(line).collect()
}

/// p v for p `[m, n]`, v `[n, d]`.
fn times(p: &Rows, v: &Rows) -> Rows {
    let mut out = vec![vec![0.0; v[0].len()]; p.len()];
    for (out, p) in out.iter_mut().zip(p) {
        for (&p, v) in p.iter().zip(v) {
            out.iter_mut().zip(v).for_each(|(out, v)| *out += p * v);
        }
    }
    out
}

fn transposed(p: &Rows) -> Rows {
    (0..p[0].len())
        .map(|j| p.iter().map(|row| row[j]).collect())
        .collect()
}

/// s q kᵀ and its softmax, rows of queries; nothing where a query does not see.
fn softmax(a: &Attention, q: &Rows, k: &Rows) -> Rows {
    let scale = scale(a);
    let mut scores = times_transposed(q, k);
    for (query, row) in scores.iter_mut().enumerate() {
        let seen = if a.causal {
            row.len().min(query + 1)
        } else {
            row.len()
        };
        let most = row[..seen]
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let weigh = |s: f64| (scale * (s - most)).exp();
        let total: f64 = row[..seen].iter().map(|&s| weigh(s)).sum();
        for (key, s) in row.iter_mut().enumerate() {
            *s = if key < seen { weigh(*s) / total } else { 0.0 };
        }
    }
    scores
}

fn scale(a: &Attention) -> f64 {
    1.0 / ((a.channels / a.heads) as f64).sqrt()
}

/// s P ∘ (d − rowsum(P ∘ d)).
fn curve(a: &Attention, p: &Rows, d: &Rows) -> Rows {
    let line = |(p, d): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
        let mean = dot(p, d);
        p.iter()
            .zip(d)
            .map(|(p, d)| scale(a) * p * (d - mean))
            .collect()
    };
    p.iter().zip(d).map(line).collect()
}

/// The definitions, for `n` items with `repeat` tangents and cotangents each.
struct Definition {
    value: Vec<f64>,
    /// Of a tangent of q alone, of k alone, of v alone.
    pushed: [Vec<f64>; 3],
    pulled: [Vec<f64>; 3],
}

fn definition(
    a: &Attention,
    n: usize,
    repeat: usize,
    [q, k, v]: [&[f64]; 3],
    [dq, dk, dv]: [&[f64]; 3],
    u: &[f64],
) -> Definition {
    let mut value = vec![0.0; q.len()];
    let mut pushed = [(); 3].map(|()| vec![0.0; u.len()]);
    let mut pulled = [dq, dk, dv].map(|d| vec![0.0; d.len()]);
    for (i, head) in (0..n).flat_map(|i| (0..a.heads).map(move |head| (i, head))) {
        let query = rows(a, q, a.queries, i, head);
        let [key, val] = [k, v].map(|x| rows(a, x, a.keys, i, head));
        let p = softmax(a, &query, &key);
        add(a, &mut value, i, head, &times(&p, &val));
        for j in i * repeat..(i + 1) * repeat {
            let [dquery, u] = [dq, u].map(|x| rows(a, x, a.queries, j, head));
            let [dkey, dval] = [dk, dv].map(|x| rows(a, x, a.keys, j, head));
            let by_query = curve(a, &p, &times_transposed(&dquery, &key));
            let by_key = curve(a, &p, &times_transposed(&query, &dkey));
            let ways = [
                times(&by_query, &val),
                times(&by_key, &val),
                times(&p, &dval),
            ];
            for (pushed, way) in pushed.iter_mut().zip(&ways) {
                add(a, pushed, j, head, way);
            }
            let ds = curve(a, &p, &times_transposed(&u, &val));
            let ways = [
                times(&ds, &key),
                times(&transposed(&ds), &query),
                times(&transposed(&p), &u),
            ];
            for (pulled, way) in pulled.iter_mut().zip(&ways) {
                add(a, pulled, j, head, way);
            }
        }
    }
    Definition {
        value,
        pushed,
        pulled,
    }
}

/// What the kernels give in one precision.
struct Found {
    streamed: Vec<f64>,
    value: Vec<f64>,
    pushed: [Vec<f64>; 3],
    all: Vec<f64>,
    pulled: [Vec<f64>; 3],
}

fn found<T: Real>(a: &Attention, qkv: [&[f64]; 3], tangents: [&[f64]; 3], u: &[f64]) -> Found {
    let [q, k, v] = qkv.map(of::<T>);
    let [dq, dk, dv] = tangents.map(of::<T>);
    let point = [&q[..], &k[..], &v[..]];
    let streamed = a.forward(&q, &k, &v);
    let (value, p) = a.with_probabilities(&q, &k, &v);
    let push = |tangents: [Option<&[T]>; 3]| wide(&a.pushforward(point, &p, tangents));
    let pulled = a.pullback(point, &p, &of::<T>(u));
    Found {
        streamed: wide(&streamed),
        value: wide(&value),
        pushed: [
            push([Some(&dq), None, None]),
            push([None, Some(&dk), None]),
            push([None, None, Some(&dv)]),
        ],
        all: push([Some(&dq), Some(&dk), Some(&dv)]),
        pulled: pulled.map(|x| wide(&x)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn attention_agrees_with_the_definition(
        n in 1usize..3, repeat in 1usize..4, queries in 1usize..120, keys in 1usize..120,
        crossed in any::<bool>(), causal in any::<bool>(), heads in 1usize..4,
        depth in 1usize..45, seed in 0u64..1000,
    ) {
        let keys = if crossed { keys } else { queries };
        let a = Attention { queries, keys, channels: heads * depth, heads, causal };
        let mut stream = Stream::new(seed, "attention property", 0, 0);
        let mut draw = |count: usize| normals(&mut stream, count * a.channels);
        let [q, k, v] = [queries, keys, keys].map(|rows| draw(n * rows));
        let [dq, dk, dv, u] = [queries, keys, keys, queries].map(|rows| draw(n * repeat * rows));
        let (point, tangents) = ([&q[..], &k, &v], [&dq[..], &dk, &dv]);
        let exact = definition(&a, n, repeat, point, tangents, &u);
        let sum: Vec<f64> = (0..u.len())
            .map(|i| exact.pushed.iter().map(|way| way[i]).sum())
            .collect();
        // Where a query sees one key, q and k change nothing: what rounding
        // leaves there is measured by the whole.
        let pushed = exact.pushed.iter().map(|way| length(way)).fold(0.0, f64::max);
        let pulled = exact.pulled.iter().map(|way| length(way)).fold(0.0, f64::max);
        let single = found::<f32>(&a, point, tangents, &u);
        let double = found::<f64>(&a, point, tangents, &u);
        for (found, tolerance) in [(&single, 1e-5), (&double, 1e-12)] {
            for value in [&found.streamed, &found.value] {
                let error = apart(value, &exact.value);
                prop_assert!(error <= tolerance * length(&exact.value), "value: {error}");
            }
            for way in 0..3 {
                let error = apart(&found.pushed[way], &exact.pushed[way]);
                prop_assert!(error <= tolerance * pushed, "tangent {way}: {error}");
                let error = apart(&found.pulled[way], &exact.pulled[way]);
                prop_assert!(error <= tolerance * pulled, "cotangent {way}: {error}");
            }
            let error = apart(&found.all, &sum);
            prop_assert!(error <= tolerance * pushed, "tangents: {error}");
        }
        // ⟨A d, u⟩ = ⟨d, Aᵀ u⟩.
        let forth = dot(&double.all, &u);
        let pairs = tangents.iter().zip(&double.pulled);
        let back: f64 = pairs.map(|(d, x)| dot(d, x)).sum();
        let whole = length(&double.all) * length(&u);
        prop_assert!((forth - back).abs() <= 1e-12 * whole, "{forth} and {back}");
    }
}
