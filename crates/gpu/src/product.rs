//! The shaders of matrix products, for tiles of several sizes.
//!
//! A convolution, a linear map and their adjoints gather the rows of their
//! left factor by the taps of a kernel (an implicit matrix product); the
//! products of attention are batched over items and heads.

use std::fmt::Write;

/// The part of a result that a workgroup makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tile {
    /// 128 × 64.
    Large,
    /// 64 × 64.
    Middle,
    /// 32 × 32.
    Small,
}

/// Depth of the strips in a workgroup's memory.
const STEP: usize = 16;

impl Tile {
    /// Rows and columns.
    pub(crate) fn extents(self) -> (usize, usize) {
        match self {
            Self::Large => (128, 64),
            Self::Middle => (64, 64),
            Self::Small => (32, 32),
        }
    }

    /// Rows of a thread; it has four columns.
    fn rows_of_thread(self) -> usize {
        match self {
            Self::Large => 8,
            Self::Middle | Self::Small => 4,
        }
    }

    fn threads(self) -> usize {
        let (rows, columns) = self.extents();
        rows / self.rows_of_thread() * (columns / 4)
    }

    /// The tile for a product of these extents per item: large ones reuse
    /// more, small ones keep a device busy with small results.
    pub(crate) fn of(rows: usize, columns: usize) -> Self {
        match rows * columns {
            0..=0x1_ffff => Self::Small,
            0x2_0000..=0x7_ffff => Self::Middle,
            _ => Self::Large,
        }
    }
}

/// What the rows of a product's factors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Factors {
    /// Pixels gathered by the taps of a kernel, and the kernel's matrices.
    Gathered,
    /// Matrices of any strides, one for each item and head.
    Batched,
}

/// The shader of a product.
pub(crate) fn source(factors: Factors, tile: Tile) -> String {
    let (rows, columns) = tile.extents();
    let (threads, per_thread) = (tile.threads(), tile.rows_of_thread());
    let (left_stride, right_stride) = (rows / 4 + 1, columns / 4 + 1);
    let gathered = factors == Factors::Gathered;
    let left_loads = STEP * rows / 4 / threads;
    let right_loads = STEP * columns / 4 / threads;
    let values = [
        (
            "MORE_EXTENTS",
            if gathered {
                GATHERED_EXTENTS
            } else {
                BATCHED_EXTENTS
            }
            .to_owned(),
        ),
        ("MORE_BINDINGS", if gathered { BIAS } else { "" }.to_owned()),
        ("PLACES", if gathered { GATHER } else { "" }.to_owned()),
        ("LEFT_LEN", (STEP * left_stride).to_string()),
        ("RIGHT_LEN", (STEP * right_stride).to_string()),
        ("THREADS", threads.to_string()),
        ("TILE_COLUMNS", columns.to_string()),
        ("COLUMN_VECTORS", (columns / 4).to_string()),
        ("ROW_VECTORS", (per_thread / 4).to_string()),
        ("SETUP", setup(factors, tile, left_loads)),
        ("ACCUMULATORS", accumulators(per_thread)),
        (
            "TAP_BEGIN",
            if gathered {
                tap(tile, left_loads)
            } else {
                "let right_first = right_start;".to_owned()
            },
        ),
        ("TAP_END", if gathered { "}" } else { "" }.to_owned()),
        ("LOAD_LEFT", load_left(factors, tile, left_loads)),
        ("LOAD_RIGHT", load_right(tile, right_loads)),
        ("STEPS", steps(per_thread, left_stride, right_stride)),
        ("STORE", store(factors, per_thread)),
    ];
    let template = include_str!("shaders/product.wgsl");
    values
        .iter()
        .fold(template.to_owned(), |text, (place, value)| {
            text.replace(place, value)
        })
}

const GATHERED_EXTENTS: &str = "    // Matrices of the kernel, its side and where it begins.
    taps: u32,
    side: u32,
    stride: u32,
    top: u32,
    left: u32,
    // Extents of the picture that is read and of the one that is made.
    from_h: u32,
    from_w: u32,
    to_h: u32,
    to_w: u32,
    adjoint: u32,
    biased: u32,";

const BATCHED_EXTENTS: &str = "    heads: u32,
    // Items of the factors that one of the result stands for.
    left_repeat: u32,
    right_repeat: u32,
    left_item: u32,
    left_head: u32,
    left_row: u32,
    left_depth: u32,
    left_first: u32,
    right_item: u32,
    right_head: u32,
    right_first: u32,
    result_item: u32,
    result_head: u32,
    result_row: u32,
    result_first: u32,
    // Whether the product is added to the result.
    add: u32,
    factor: f32,";

const BIAS: &str = "@group(0) @binding(4) var<storage, read> bias: array<f32>;";

/// The pixel that a tap reads for a pixel of the result; its first value, or
/// -1 for one of the zeros around the picture.
const GATHER: &str = "fn gather(row: vec3<i32>, tap: u32) -> i32 {
    if row.x < 0 { return -1; }
    let reach = vec2(i32(tap / e.side), i32(tap % e.side)) - vec2(i32(e.top), i32(e.left));
    let stride = i32(e.stride);
    var source = row.yz * stride + reach;
    if e.adjoint == 1u {
        let ahead = row.yz - reach;
        if any(ahead < vec2(0)) || any(ahead % stride != vec2(0)) { return -1; }
        source = ahead / stride;
    }
    let size = vec2(i32(e.from_h), i32(e.from_w));
    if any(source < vec2(0)) || any(source >= size) { return -1; }
    return ((row.x * size.x + source.x) * size.y + source.y) * i32(e.depth);
}

// Item, row and column of a pixel of the result; item -1 beyond the last.
fn pixel(row: u32) -> vec3<i32> {
    if row >= e.rows { return vec3(-1); }
    let x = row % e.to_w;
    let y = row / e.to_w % e.to_h;
    return vec3<i32>(vec3(row / (e.to_w * e.to_h), y, x));
}";

/// Where the tile lies and which rows a thread loads.
fn setup(factors: Factors, tile: Tile, loads: usize) -> String {
    let rows = tile.extents().0;
    let per_load = tile.threads() / STEP;
    let mut text = String::new();
    match factors {
        Factors::Gathered => {
            let _ = writeln!(
                text,
                "let first_row = (at.group.z * 65535u + at.group.y) * {rows}u;"
            );
            let _ = writeln!(text, "if first_row >= e.rows {{ return; }}");
            for load in 0..loads {
                for i in 0..4 {
                    let _ = writeln!(
                        text,
                        "let pixel{load}{i} = pixel(first_row + (t / {STEP}u + {}u) * 4u + {i}u);",
                        load * per_load
                    );
                }
            }
        }
        Factors::Batched => {
            let _ = writeln!(text, "let first_row = at.group.y * {rows}u;");
            text.push_str(
                "let item = at.group.z / e.heads;
    let head = at.group.z % e.heads;
    let left_start = e.left_first + item / e.left_repeat * e.left_item + head * e.left_head;
    let right_start = e.right_first + item / e.right_repeat * e.right_item + head * e.right_head;
    let result_start = e.result_first + item * e.result_item + head * e.result_head;\n",
            );
        }
    }
    text
}

fn accumulators(rows: usize) -> String {
    (0..rows).fold(String::new(), |mut text, row| {
        let _ = writeln!(text, "var sum{row} = vec4(0.0);");
        text
    })
}

/// The loop over a kernel's taps: each row's source, once for all its channels.
fn tap(tile: Tile, loads: usize) -> String {
    let _ = tile;
    let mut text = "for (var tap = 0u; tap < e.taps; tap++) {
        let right_first = tap * e.depth * e.columns;\n"
        .to_owned();
    for load in 0..loads {
        for i in 0..4 {
            let _ = writeln!(text, "let source{load}{i} = gather(pixel{load}{i}, tap);");
        }
    }
    text
}

/// A strip of the left factor: neighbouring threads read neighbouring values.
fn load_left(factors: Factors, tile: Tile, loads: usize) -> String {
    let rows = tile.extents().0;
    let (vectors, stride) = (rows / 4, rows / 4 + 1);
    let per_load = tile.threads() / STEP;
    let mut text = String::new();
    for load in 0..loads {
        match factors {
            Factors::Gathered => {
                let _ = writeln!(
                    text,
                    "{{ let k = t % {STEP}u; let c = first + k; var v = vec4(0.0);"
                );
                let _ = writeln!(text, "if c < e.depth {{");
                for (i, part) in "xyzw".chars().enumerate() {
                    let source = format!("source{load}{i}");
                    let _ = writeln!(
                        text,
                        "if {source} >= 0 {{ v.{part} = left[u32({source}) + c]; }}"
                    );
                }
                let _ = writeln!(
                    text,
                    "}} left_tile[k * {stride}u + t / {STEP}u + {}u] = v; }}",
                    load * per_load
                );
            }
            Factors::Batched => {
                let _ = writeln!(
                    text,
                    "{{ var k = t % {STEP}u; var m = t / {STEP}u + {}u;",
                    load * per_load
                );
                let _ = writeln!(
                    text,
                    "if e.left_row == 1u {{ let i = t + {}u; m = i % {vectors}u; k = i / {vectors}u; }}",
                    load * tile.threads()
                );
                let _ = writeln!(
                    text,
                    "let c = first + k; let row = first_row + 4u * m; var v = vec4(0.0);"
                );
                let _ = writeln!(
                    text,
                    "if c < e.depth {{ let start = left_start + c * e.left_depth + row * e.left_row;"
                );
                for (i, part) in "xyzw".chars().enumerate() {
                    let _ = writeln!(
                        text,
                        "if row + {i}u < e.rows {{ v.{part} = left[start + {i}u * e.left_row]; }}"
                    );
                }
                let _ = writeln!(text, "}} left_tile[k * {stride}u + m] = v; }}");
            }
        }
    }
    text
}

/// A strip of the right factor.
fn load_right(tile: Tile, loads: usize) -> String {
    let (vectors, stride) = (tile.extents().1 / 4, tile.extents().1 / 4 + 1);
    let mut text = String::new();
    for load in 0..loads {
        let _ = writeln!(
            text,
            "{{ let i = t + {}u; var n = i % {vectors}u; var k = i / {vectors}u;
            if e.right_column != 1u {{ k = i % {STEP}u; n = i / {STEP}u; }}
            let c = first + k; let j = first_column + 4u * n; var v = vec4(0.0);
            if c < e.depth {{ let start = right_first + c * e.right_depth + j * e.right_column;",
            load * tile.threads()
        );
        for (i, part) in "xyzw".chars().enumerate() {
            let _ = writeln!(
                text,
                "if j + {i}u < e.columns {{ v.{part} = right[start + {i}u * e.right_column]; }}"
            );
        }
        let _ = writeln!(text, "}} right_tile[k * {stride}u + n] = v; }}");
    }
    text
}

/// The strip's products, written out: loops would be guarded against running
/// for ever.
fn steps(rows: usize, left_stride: usize, right_stride: usize) -> String {
    let mut text = String::new();
    for k in 0..STEP {
        let _ = writeln!(
            text,
            "{{ let b = right_tile[{}u + column];",
            k * right_stride
        );
        for vector in 0..rows / 4 {
            let _ = writeln!(
                text,
                "let a{vector} = left_tile[{}u + row_vector];",
                k * left_stride + vector
            );
            for (i, part) in "xyzw".chars().enumerate() {
                let _ = writeln!(text, "sum{} += a{vector}.{part} * b;", 4 * vector + i);
            }
        }
        text.push_str("}\n");
    }
    text
}

fn store(factors: Factors, rows: usize) -> String {
    let mut text = "let j = first_column + 4u * column;\n".to_owned();
    if factors == Factors::Gathered {
        text.push_str("var shift = vec4(0.0);\nif e.biased == 1u {\n");
        for i in 0..4 {
            let _ = writeln!(
                text,
                "if j + {i}u < e.columns {{ shift[{i}] = bias[j + {i}u]; }}"
            );
        }
        text.push_str("}\n");
    }
    for row in 0..rows {
        let _ = writeln!(
            text,
            "{{ let row = first_row + 4u * row_vector + {row}u; if row < e.rows {{"
        );
        let start = match factors {
            Factors::Gathered => "row * e.columns + j",
            Factors::Batched => "result_start + row * e.result_row + j",
        };
        let _ = writeln!(text, "let to = {start};");
        for (i, part) in "xyzw".chars().enumerate() {
            let value = match factors {
                Factors::Gathered => format!("result[to + {i}u] = sum{row}.{part} + shift.{part};"),
                Factors::Batched => format!(
                    "var v = e.factor * sum{row}.{part}; if e.add == 1u {{ v += result[to + {i}u]; }} result[to + {i}u] = v;"
                ),
            };
            let _ = writeln!(text, "if j + {i}u < e.columns {{ {value} }}");
        }
        text.push_str("} }\n");
    }
    text
}
