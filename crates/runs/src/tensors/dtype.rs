//! The element types of safetensors files and their conversion to f32.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// An element type that can be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dtype {
    F32,
    F16,
    Bf16,
    F64,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

impl Dtype {
    /// The names in a header, in the order of error messages.
    pub(super) const ALL: [(&'static str, Self); 13] = [
        ("F32", Self::F32),
        ("F16", Self::F16),
        ("BF16", Self::Bf16),
        ("F64", Self::F64),
        ("I64", Self::I64),
        ("I32", Self::I32),
        ("I16", Self::I16),
        ("I8", Self::I8),
        ("U64", Self::U64),
        ("U32", Self::U32),
        ("U16", Self::U16),
        ("U8", Self::U8),
        ("BOOL", Self::Bool),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, dtype)| dtype)
    }

    /// Its name in a header.
    pub(super) fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, dtype)| *dtype == self);
        found.map_or("", |(name, _)| name)
    }

    /// Bytes per element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Appends little-endian elements to `out`, each rounded to the nearest f32.
    pub(super) fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        fn each<const N: usize>(
            bytes: &[u8],
            out: &mut Vec<f32>,
            convert: impl Fn([u8; N]) -> f32,
        ) {
            let (elements, _) = bytes.as_chunks::<N>();
            out.extend(elements.iter().map(|&element| convert(element)));
        }
        match self {
            Self::F32 => each(bytes, out, f32::from_le_bytes),
            Self::F16 => {
                let (elements, _) = bytes.as_chunks::<2>();
                let mut halves = [f16::ZERO; 512];
                for elements in elements.chunks(halves.len()) {
                    for (half, &element) in halves.iter_mut().zip(elements) {
                        *half = f16::from_le_bytes(element);
                    }
                    // Whole slices are converted by the CPU's instructions.
                    let start = out.len();
                    out.resize(start + elements.len(), 0.0);
                    halves[..elements.len()].convert_to_f32_slice(&mut out[start..]);
                }
            }
            Self::Bf16 => each(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
            Self::F64 => each(bytes, out, |b| f64::from_le_bytes(b) as f32),
            Self::I64 => each(bytes, out, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => each(bytes, out, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => each(bytes, out, |b| f32::from(i16::from_le_bytes(b))),
            Self::I8 => each(bytes, out, |b| f32::from(i8::from_le_bytes(b))),
            Self::U64 => each(bytes, out, |b| u64::from_le_bytes(b) as f32),
            Self::U32 => each(bytes, out, |b| u32::from_le_bytes(b) as f32),
            Self::U16 => each(bytes, out, |b| f32::from(u16::from_le_bytes(b))),
            Self::U8 => each(bytes, out, |[b]| f32::from(b)),
            Self::Bool => each(bytes, out, |[b]| f32::from(u8::from(b != 0))),
        }
    }
}
