//! Operations on each value, and those that move values.

use crate::arrays::Array;
use crate::kernel::Kernel;
use crate::recorder::Recorder;
use alice_calculus::{Activation, GraphError};

/// Values of a workgroup.
const GROUP: usize = 256;
/// Positions that one thread sums.
const STRIP: usize = 64;

/// What the kernels are told; each reads what it needs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extents {
    /// Channels of the result, or of what is read.
    pub(crate) channels: usize,
    /// Positions of an item.
    pub(crate) positions: usize,
    /// Vectors for each item of the point.
    pub(crate) repeat: usize,
    /// Channels of the array a part is taken from, and its first channel there.
    pub(crate) from: (usize, usize),
    /// Channels of the array a part is put into, and its first channel there.
    pub(crate) to: (usize, usize),
    /// Which function, or the rows of a table.
    pub(crate) kind: usize,
    pub(crate) factor: f64,
    /// Height and width of the source and the target.
    pub(crate) from_size: (usize, usize),
    pub(crate) to_size: (usize, usize),
}

impl Extents {
    fn words(&self, count: usize) -> [u32; 14] {
        let w = |value: usize| value as u32;
        [
            w(count),
            w(self.channels),
            w(self.positions),
            w(self.repeat),
            w(self.from.0),
            w(self.from.1),
            w(self.to.0),
            w(self.to.1),
            w(self.kind),
            (self.factor as f32).to_bits(),
            w(self.from_size.0),
            w(self.from_size.1),
            w(self.to_size.0),
            w(self.to_size.1),
        ]
    }
}

/// The number of a function in the shader.
pub(crate) fn number(function: Activation) -> usize {
    match function {
        Activation::Silu => 0,
        Activation::Gelu => 1,
        Activation::QuickGelu => 2,
    }
}

impl Recorder<'_> {
    /// A kernel with a thread for each of `count` values, into an array that
    /// is there already.
    pub(crate) fn each_into(
        &mut self,
        entry: &'static str,
        count: usize,
        extents: Extents,
        to: &Array,
        from: &[&Array],
    ) {
        let kernel = Kernel::Pointwise(entry);
        self.run_flat(
            kernel,
            count.div_ceil(GROUP),
            &extents.words(count),
            to,
            from,
        );
    }

    /// A kernel with a thread for each of `count` values of its result.
    pub(crate) fn each(
        &mut self,
        entry: &'static str,
        count: usize,
        extents: Extents,
        from: &[&Array],
    ) -> Result<Array, GraphError> {
        let to = self.array(count)?;
        self.each_into(entry, count, extents, &to, from);
        Ok(to)
    }

    /// a + b.
    pub(crate) fn add(&mut self, a: &Array, b: &Array) -> Result<Array, GraphError> {
        self.each("add", a.len(), Extents::default(), &[a, b])
    }

    /// `part` neighbouring channels of x, which has `width`, from the one of
    /// index `first`.
    pub(crate) fn slice_channels(
        &mut self,
        x: &Array,
        width: usize,
        first: usize,
        part: usize,
    ) -> Result<Array, GraphError> {
        let extents = Extents {
            channels: part,
            from: (width, first),
            to: (part, 0),
            ..Extents::default()
        };
        self.each("copy_channels", x.len() / width * part, extents, &[x])
    }

    /// The channels of several arrays, one after the other; zeros where there
    /// is none. Each comes with its number of channels.
    pub(crate) fn concat(
        &mut self,
        rows: usize,
        parts: [(Option<&Array>, usize); 2],
    ) -> Result<Array, GraphError> {
        let width = parts[0].1 + parts[1].1;
        let to = self.array(rows * width)?;
        let mut first = 0;
        for (part, channels) in parts {
            let extents = Extents {
                channels,
                from: (channels, 0),
                to: (width, first),
                ..Extents::default()
            };
            match part {
                Some(x) => self.each_into("copy_channels", rows * channels, extents, &to, &[x]),
                None => self.each_into("clear_channels", rows * channels, extents, &to, &[]),
            }
            first += channels;
        }
        Ok(to)
    }

    /// The sums over positions, `[n, positions, channels]` → `[n, channels]`.
    pub(crate) fn sum_positions(
        &mut self,
        x: &Array,
        positions: usize,
        channels: usize,
    ) -> Result<Array, GraphError> {
        let items = x.len() / (positions * channels);
        let (mut sums, mut positions) = (x.clone(), positions);
        loop {
            let strips = positions.div_ceil(STRIP);
            let extents = Extents {
                channels,
                positions,
                from: (STRIP, 0),
                to: (strips, 0),
                ..Extents::default()
            };
            let count = items * strips * channels;
            sums = self.each("sum_strips", count, extents, &[&sums])?;
            if strips <= 1 {
                return Ok(sums);
            }
            positions = strips;
        }
    }
}
