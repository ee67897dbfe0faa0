struct Extents {
    rows: u32,
    keys: u32,
    // Queries of the block for each item and head, the first one's index.
    queries: u32,
    first: u32,
    causal: u32,
    heads: u32,
    // Vectors for each item of the point.
    repeat: u32,
    factor: f32,
}

@group(0) @binding(0) var<uniform> e: Extents;
@group(0) @binding(1) var<storage, read_write> scores: array<f32>;
@group(0) @binding(2) var<storage, read> probabilities: array<f32>;

struct Place {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
}

var<workgroup> shared_sums: array<f32, 64>;

fn total(local: u32, value: f32) -> f32 {
    workgroupBarrier();
    shared_sums[local] = value;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if local < half { shared_sums[local] += shared_sums[local + half]; }
        workgroupBarrier();
    }
    return workgroupUniformLoad(&shared_sums[0]);
}

fn largest(local: u32, value: f32) -> f32 {
    workgroupBarrier();
    shared_sums[local] = value;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if local < half { shared_sums[local] = max(shared_sums[local], shared_sums[local + half]); }
        workgroupBarrier();
    }
    return workgroupUniformLoad(&shared_sums[0]);
}

// Each row of scores in place: softmax(factor · scores).
@compute @workgroup_size(64)
fn softmax(at: Place) {
    let row = at.group.y * at.groups.x + at.group.x;
    if row >= e.rows { return; }
    var seen = e.keys;
    if e.causal == 1u { seen = min(seen, e.first + row % e.queries + 1u); }
    let start = row * e.keys;
    var high = -3.4e38;
    for (var i = at.local; i < seen; i += 64u) {
        high = max(high, scores[start + i]);
    }
    let top = largest(at.local, high);
    var sum = 0.0;
    for (var i = at.local; i < e.keys; i += 64u) {
        var p = 0.0;
        if i < seen { p = exponential(e.factor * (scores[start + i] - top)); }
        scores[start + i] = p;
        sum += p;
    }
    let inverse = 1.0 / total(at.local, sum);
    for (var i = at.local; i < seen; i += 64u) {
        scores[start + i] *= inverse;
    }
}

// Each row of scores in place: factor · p (s − Σ p s).
@compute @workgroup_size(64)
fn softmax_linear(at: Place) {
    let row = at.group.y * at.groups.x + at.group.x;
    if row >= e.rows { return; }
    let start = row * e.keys;
    let per_item = e.heads * e.queries;
    let item = row / (per_item * e.repeat);
    let there = (item * per_item + row % per_item) * e.keys;
    var sum = 0.0;
    for (var i = at.local; i < e.keys; i += 64u) {
        sum += probabilities[there + i] * scores[start + i];
    }
    let mean = total(at.local, sum);
    for (var i = at.local; i < e.keys; i += 64u) {
        scores[start + i] = e.factor * probabilities[there + i] * (scores[start + i] - mean);
    }
}
