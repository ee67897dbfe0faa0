// Matrix products by tiles: a workgroup makes a tile of the result from
// strips of both factors in its own memory, a thread some rows and four
// columns of it. `product.rs` fills the places in capitals in; whatever the
// tile, sums run over the depth in one order.

struct Extents {
    rows: u32,
    columns: u32,
    depth: u32,
    // Strides of the right factor.
    right_depth: u32,
    right_column: u32,
MORE_EXTENTS
}

@group(0) @binding(0) var<uniform> e: Extents;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
@group(0) @binding(2) var<storage, read> left: array<f32>;
@group(0) @binding(3) var<storage, read> right: array<f32>;
MORE_BINDINGS

// Strips of the factors, four rows or columns in a vector. A step more than
// their length keeps threads off each other's banks.
var<workgroup> left_tile: array<vec4<f32>, LEFT_LEN>;
var<workgroup> right_tile: array<vec4<f32>, RIGHT_LEN>;

struct Place {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
}

PLACES

@compute @workgroup_size(THREADS)
fn main(at: Place) {
    let t = at.local;
    let first_column = at.group.x * TILE_COLUMNSu;
    SETUP
    let column = t % COLUMN_VECTORSu;
    let row_vector = t / COLUMN_VECTORSu * ROW_VECTORSu;
    ACCUMULATORS
    TAP_BEGIN
        for (var first = 0u; first < e.depth; first += 16u) {
            LOAD_LEFT
            LOAD_RIGHT
            workgroupBarrier();
            STEPS
            workgroupBarrier();
        }
    TAP_END
    STORE
}
