// Normalisation over groups of channels and all positions of an item. A layer
// norm is the same with positions as items.

struct Extents {
    // Items, or vectors of a block.
    rows: u32,
    positions: u32,
    channels: u32,
    groups: u32,
    // Positions of a strip, and strips of an item.
    strip: u32,
    strips: u32,
    // Rows of the array per item, and vectors for each item of the point.
    inner: u32,
    repeat: u32,
    silu: u32,
    // Whether vectors are pulled back.
    pull: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> e: Extents;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> gain: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read> point: array<f32>;
@group(0) @binding(7) var<storage, read> means: array<f32>;

struct Place {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
}

var<workgroup> shared_sums: array<vec2<f32>, 128>;

fn total(local: u32, value: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    shared_sums[local] = value;
    workgroupBarrier();
    for (var half = 64u; half > 0u; half /= 2u) {
        if local < half { shared_sums[local] += shared_sums[local + half]; }
        workgroupBarrier();
    }
    return workgroupUniformLoad(&shared_sums[0]);
}

// The row of the point that a row of a block of vectors belongs to.
fn at_point(row: u32) -> u32 {
    let item = row / (e.inner * e.repeat);
    return item * e.inner + row % e.inner;
}

// Where value i of a strip of a group lies in its row.
fn place(strip: u32, group: u32, i: u32) -> u32 {
    let width = e.channels / e.groups;
    return (strip * e.strip + i / width) * e.channels + group * width + i % width;
}

fn strip_len(strip: u32) -> u32 {
    let positions = min(e.strip, e.positions - strip * e.strip);
    return positions * (e.channels / e.groups);
}

// Mean and sum of squared deviations of each strip of a group of a.
@compute @workgroup_size(128)
fn moments(at: Place) {
    let id = at.group.y * at.groups.x + at.group.x;
    if id >= e.rows * e.groups * e.strips { return; }
    let strip = id % e.strips;
    let group = id / e.strips % e.groups;
    let first = id / (e.strips * e.groups) * e.positions * e.channels;
    let len = strip_len(strip);
    var sum = 0.0;
    for (var i = at.local; i < len; i += 128u) {
        sum += a[first + place(strip, group, i)];
    }
    let mean = total(at.local, vec2(sum, 0.0)).x / f32(len);
    var squares = 0.0;
    for (var i = at.local; i < len; i += 128u) {
        let deviation = a[first + place(strip, group, i)] - mean;
        squares += deviation * deviation;
    }
    let deviations = total(at.local, vec2(squares, 0.0)).x;
    if at.local == 0u {
        result[2u * id] = mean;
        result[2u * id + 1u] = deviations;
    }
}

// Mean and inverse deviation of each group from those of its strips (Chan).
@compute @workgroup_size(128)
fn combine(at: Place) {
    let id = (at.group.y * at.groups.x + at.group.x) * 128u + at.local;
    if id >= e.rows * e.groups { return; }
    var count = 0.0;
    var mean = 0.0;
    var squares = 0.0;
    for (var strip = 0u; strip < e.strips; strip++) {
        let at = 2u * (id * e.strips + strip);
        let more = f32(strip_len(strip));
        let gap = a[at] - mean;
        mean += gap * more / (count + more);
        squares += a[at + 1u] + gap * gap * count * more / (count + more);
        count += more;
    }
    result[2u * id] = mean;
    result[2u * id + 1u] = 1.0 / sqrt(squares / count + e.eps);
}

// The result of a, with the groups' statistics b.
@compute @workgroup_size(128)
fn apply(at: Place) {
    let i = (at.group.y * at.groups.x + at.group.x) * 128u + at.local;
    let item = e.positions * e.channels;
    if i >= e.rows * item { return; }
    let c = i % e.channels;
    let s = 2u * (i / item * e.groups + c / (e.channels / e.groups));
    let z = (a[i] - b[s]) * b[s + 1u] * gain[c] + bias[c];
    result[i] = select(z, z * sigmoid(z), e.silu == 1u);
}

// What is normalised of value i of a block of vectors a, and x̂ there: dx, or
// γ φ′ u when vectors are pulled back.
fn weighed(row: u32, i: u32) -> vec2<f32> {
    let c = i % e.channels;
    let there = at_point(row);
    let s = 2u * (there * e.groups + c / (e.channels / e.groups));
    let item = e.positions * e.channels;
    let normal = (point[there * item + i] - b[s]) * b[s + 1u];
    var value = a[row * item + i];
    if e.pull == 1u {
        value *= gain[c];
        if e.silu == 1u { value *= sigmoid_slope(normal * gain[c] + bias[c], 1.0); }
    }
    return vec2(value, normal);
}

// Sums of w and x̂ w of each strip of a group.
@compute @workgroup_size(128)
fn sums(at: Place) {
    let id = at.group.y * at.groups.x + at.group.x;
    if id >= e.rows * e.groups * e.strips { return; }
    let strip = id % e.strips;
    let group = id / e.strips % e.groups;
    let row = id / (e.strips * e.groups);
    let len = strip_len(strip);
    var sum = vec2(0.0);
    for (var i = at.local; i < len; i += 128u) {
        let w = weighed(row, place(strip, group, i));
        sum += vec2(w.x, w.x * w.y);
    }
    let all = total(at.local, sum);
    if at.local == 0u {
        result[2u * id] = all.x;
        result[2u * id + 1u] = all.y;
    }
}

// Their means over each group.
@compute @workgroup_size(128)
fn combine_sums(at: Place) {
    let id = (at.group.y * at.groups.x + at.group.x) * 128u + at.local;
    if id >= e.rows * e.groups { return; }
    var sum = vec2(0.0);
    for (var strip = 0u; strip < e.strips; strip++) {
        let at = 2u * (id * e.strips + strip);
        sum += vec2(a[at], a[at + 1u]);
    }
    let count = f32(e.positions * (e.channels / e.groups));
    result[2u * id] = sum.x / count;
    result[2u * id + 1u] = sum.y / count;
}

// The vectors a, pushed forward or pulled back.
@compute @workgroup_size(128)
fn linear(at: Place) {
    let i = (at.group.y * at.groups.x + at.group.x) * 128u + at.local;
    let item = e.positions * e.channels;
    if i >= e.rows * item { return; }
    let row = i / item;
    let c = i % e.channels;
    let group = c / (e.channels / e.groups);
    let w = weighed(row, i % item);
    let m = 2u * (row * e.groups + group);
    let inverse = b[2u * (at_point(row) * e.groups + group) + 1u];
    var value = inverse * (w.x - means[m] - w.y * means[m + 1u]);
    if e.pull == 0u {
        value *= gain[c];
        if e.silu == 1u { value *= sigmoid_slope(w.y * gain[c] + bias[c], 1.0); }
    }
    result[i] = value;
}
