struct Extents {
    // Values of the result.
    count: u32,
    // Channels of the result, or of what is read.
    channels: u32,
    // Positions of an item.
    positions: u32,
    // Vectors for each item of the point.
    repeat: u32,
    // Channels of the array a part is taken from, and its first channel there.
    width: u32,
    offset: u32,
    // Channels of the array a part is put into, and its first channel there.
    to_width: u32,
    to_offset: u32,
    // 0 silu, 1 gelu, 2 quick gelu; or rows of a table.
    kind: u32,
    factor: f32,
    // Source and target picture.
    from_h: u32,
    from_w: u32,
    to_h: u32,
    to_w: u32,
}

@group(0) @binding(0) var<uniform> e: Extents;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;

struct Place {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
}

fn index(at: Place) -> u32 {
    return (at.group.y * at.groups.x + at.group.x) * 256u + at.local;
}

// The value of the point that belongs to value i of a block of vectors.
fn at_point(i: u32) -> u32 {
    let item = e.positions * e.channels;
    return i / (item * e.repeat) * item + i % item;
}

@compute @workgroup_size(256)
fn activation(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let x = a[i];
    var y = 0.0;
    switch e.kind {
        case 0u: { y = x * sigmoid(x); }
        case 1u: { y = gelu(x); }
        default: { y = x * sigmoid(1.702 * x); }
    }
    result[i] = y;
}

// A block of vectors a times the slope at the point b.
@compute @workgroup_size(256)
fn activation_slope(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let x = b[at_point(i)];
    var slope = 0.0;
    switch e.kind {
        case 0u: { slope = sigmoid_slope(x, 1.0); }
        case 1u: { slope = gelu_slope(x); }
        default: { slope = sigmoid_slope(x, 1.702); }
    }
    result[i] = a[i] * slope;
}

// `channels` are those of one half.
@compute @workgroup_size(256)
fn geglu(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let row = i / e.channels * 2u * e.channels + i % e.channels;
    result[i] = a[row] * gelu(a[row + e.channels]);
}

// Tangents a [.., 2C] at the point b [.., 2C].
@compute @workgroup_size(256)
fn geglu_push(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let row = i / e.channels * 2u * e.channels + i % e.channels;
    let point = at_point(i);
    let there = point / e.channels * 2u * e.channels + point % e.channels;
    let gate = b[there + e.channels];
    result[i] = a[row] * gelu(gate) + a[row + e.channels] * b[there] * gelu_slope(gate);
}

// Cotangents a [.., C] at the point b [.., 2C]; `count` is that of a.
@compute @workgroup_size(256)
fn geglu_pull(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let row = i / e.channels * 2u * e.channels + i % e.channels;
    let point = at_point(i);
    let there = point / e.channels * 2u * e.channels + point % e.channels;
    let gate = b[there + e.channels];
    result[row] = a[i] * gelu(gate);
    result[row + e.channels] = a[i] * b[there] * gelu_slope(gate);
}

@compute @workgroup_size(256)
fn add(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    result[i] = a[i] + b[i];
}

@compute @workgroup_size(256)
fn scale(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    result[i] = a[i] * e.factor;
}

// x [n, positions, channels] + v [n, channels].
@compute @workgroup_size(256)
fn add_vector(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let item = i / (e.positions * e.channels);
    result[i] = a[i] + b[item * e.channels + i % e.channels];
}

// x [n, positions, channels] + table [positions, channels].
@compute @workgroup_size(256)
fn add_table(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    result[i] = a[i] + b[i % (e.positions * e.channels)];
}

// a (1 + s) with s the first half of b [n, 2C], plus its second half where
// `kind` is 1.
@compute @workgroup_size(256)
fn scale_shift(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let item = i / (e.positions * e.channels * e.repeat);
    let v = item * 2u * e.channels + i % e.channels;
    var y = a[i] * (1.0 + b[v]);
    if e.kind == 1u { y += b[v + e.channels]; }
    result[i] = y;
}

// Tangents a [.., 2C] of the vector at the point b: x ds + db.
@compute @workgroup_size(256)
fn scale_shift_vector(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let item = i / (e.positions * e.channels);
    let v = item * 2u * e.channels + i % e.channels;
    result[i] = b[at_point(i)] * a[v] + a[v + e.channels];
}

// `channels` neighbouring channels of one array as such of another.
@compute @workgroup_size(256)
fn copy_channels(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let row = i / e.channels;
    let c = i % e.channels;
    result[row * e.to_width + e.to_offset + c] = a[row * e.width + e.offset + c];
}

@compute @workgroup_size(256)
fn clear_channels(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let row = i / e.channels;
    result[row * e.to_width + e.to_offset + i % e.channels] = 0.0;
}

// Where a value of pictures of some width and height lies.
struct Pixel {
    item: u32,
    y: u32,
    x: u32,
    channel: u32,
}

fn pixel(i: u32, width: u32, height: u32) -> Pixel {
    let pixel = i / e.channels;
    return Pixel(pixel / (width * height), pixel / width % height, pixel % width, i % e.channels);
}

// The nearest source pixel.
@compute @workgroup_size(256)
fn upsample(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let p = pixel(i, e.to_w, e.to_h);
    let x = p.x * e.from_w / e.to_w;
    let y = p.y * e.from_h / e.to_h;
    let source = (p.item * e.from_h + y) * e.from_w + x;
    result[i] = a[source * e.channels + p.channel];
}

// The sum over the pixels whose nearest source pixel this is.
@compute @workgroup_size(256)
fn upsample_adjoint(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let p = pixel(i, e.from_w, e.from_h);
    let first_x = (p.x * e.to_w + e.from_w - 1u) / e.from_w;
    let last_x = ((p.x + 1u) * e.to_w + e.from_w - 1u) / e.from_w;
    let first_y = (p.y * e.to_h + e.from_h - 1u) / e.from_h;
    let last_y = ((p.y + 1u) * e.to_h + e.from_h - 1u) / e.from_h;
    var sum = 0.0;
    for (var v = first_y; v < last_y; v++) {
        for (var u = first_x; u < last_x; u++) {
            sum += a[((p.item * e.to_h + v) * e.to_w + u) * e.channels + p.channel];
        }
    }
    result[i] = sum;
}

@compute @workgroup_size(256)
fn average_pool(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let p = pixel(i, e.to_w, e.to_h);
    let corner = ((p.item * e.from_h + 2u * p.y) * e.from_w + 2u * p.x) * e.channels + p.channel;
    let below = corner + e.from_w * e.channels;
    result[i] = 0.25 * (a[corner] + a[corner + e.channels] + a[below] + a[below + e.channels]);
}

@compute @workgroup_size(256)
fn average_pool_adjoint(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let p = pixel(i, e.from_w, e.from_h);
    let x = p.x / 2u;
    let y = p.y / 2u;
    var value = 0.0;
    // An odd last row or column was dropped.
    if x < e.to_w && y < e.to_h {
        value = 0.25 * a[((p.item * e.to_h + y) * e.to_w + x) * e.channels + p.channel];
    }
    result[i] = value;
}

// Sums of a [n, positions, channels] over strips of `width` positions, there
// being `to_width` strips.
@compute @workgroup_size(256)
fn sum_strips(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let c = i % e.channels;
    let strip = i / e.channels % e.to_width;
    let item = i / (e.channels * e.to_width);
    let last = min((strip + 1u) * e.width, e.positions);
    var sum = 0.0;
    for (var at = strip * e.width; at < last; at++) {
        sum += a[(item * e.positions + at) * e.channels + c];
    }
    result[i] = sum;
}

// A block of vectors a times the point b.
@compute @workgroup_size(256)
fn multiply(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    result[i] = a[i] * b[at_point(i)];
}

// a [n, channels] at every position.
@compute @workgroup_size(256)
fn broadcast(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let item = i / (e.positions * e.channels);
    result[i] = a[item * e.channels + i % e.channels];
}

// Row a[i] of the table b of `kind` rows, clamped to the table.
@compute @workgroup_size(256)
fn embedding(at: Place) {
    let i = index(at);
    if i >= e.count { return; }
    let row = min(u32(max(a[i / e.channels], 0.0)), e.kind - 1u);
    result[i] = b[row * e.channels + i % e.channels];
}
