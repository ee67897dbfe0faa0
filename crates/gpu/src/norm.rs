//! Group and layer normalisation and their linear maps.

use crate::arrays::Array;
use crate::kernel::Kernel;
use crate::recorder::Recorder;
use alice_calculus::GraphError;

/// Values that a workgroup sums.
const STRIP: usize = 1 << 12;
/// Threads of a workgroup.
const GROUP: usize = 128;

/// The extents of a normalisation and its parameters on the device. A layer
/// norm is one over one group, its positions being items.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) positions: usize,
    pub(crate) channels: usize,
    pub(crate) groups: usize,
    /// Rows of an item: 1, or its positions for a layer norm.
    pub(crate) inner: usize,
    pub(crate) eps: f64,
    pub(crate) silu: bool,
    pub(crate) gain: Array,
    pub(crate) bias: Array,
}

/// What the linear maps need: x, and mean and 1 / deviation of its groups.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) x: Array,
    pub(crate) statistics: Array,
}

impl Norm {
    fn row(&self) -> usize {
        self.positions * self.channels
    }

    /// Positions of a strip, by the extents of one item only: sums do not
    /// depend on the batch.
    fn strip(&self) -> usize {
        (STRIP / (self.channels / self.groups)).clamp(1, self.positions)
    }

    fn extents(&self, rows: usize, repeat: usize, pull: bool) -> [u32; 11] {
        let strips = self.positions.div_ceil(self.strip());
        [
            rows as u32,
            self.positions as u32,
            self.channels as u32,
            self.groups as u32,
            self.strip() as u32,
            strips as u32,
            self.inner as u32,
            repeat as u32,
            u32::from(self.silu),
            u32::from(pull),
            (self.eps as f32).to_bits(),
        ]
    }

    /// Two numbers for each group of each row: `first` makes them for the
    /// strips from `inputs`, `second` for the whole.
    fn by_group(
        &self,
        recorder: &mut Recorder<'_>,
        [first, second]: [&'static str; 2],
        rows: usize,
        extents: &[u32],
        inputs: &[&Array],
    ) -> Result<Array, GraphError> {
        let groups = rows * self.groups;
        let strips = groups * self.positions.div_ceil(self.strip());
        let partial = recorder.array(2 * strips)?;
        recorder.run_flat(Kernel::Norm(first), strips, extents, &partial, inputs);
        let whole = recorder.array(2 * groups)?;
        let kernel = Kernel::Norm(second);
        recorder.run_flat(kernel, groups.div_ceil(GROUP), extents, &whole, &[&partial]);
        Ok(whole)
    }

    /// The normalised x and what the linear maps need.
    pub(crate) fn forward(
        &self,
        recorder: &mut Recorder<'_>,
        x: &Array,
    ) -> Result<(Array, Kept), GraphError> {
        let rows = x.len() / self.row();
        let extents = self.extents(rows, 1, false);
        let statistics = self.by_group(recorder, ["moments", "combine"], rows, &extents, &[x])?;
        let out = recorder.array(x.len())?;
        let inputs = [x, &statistics, &self.gain, &self.bias];
        let count = x.len().div_ceil(GROUP);
        recorder.run_flat(Kernel::Norm("apply"), count, &extents, &out, &inputs);
        let x = x.clone();
        Ok((out, Kept { x, statistics }))
    }

    /// A block of tangents pushed forward, or of cotangents pulled back.
    pub(crate) fn linear(
        &self,
        recorder: &mut Recorder<'_>,
        kept: &Kept,
        vectors: &Array,
        pull: bool,
    ) -> Result<Array, GraphError> {
        let rows = vectors.len() / self.row();
        let repeat = vectors.len() / kept.x.len();
        let extents = self.extents(rows, repeat, pull);
        let inputs = [vectors, &kept.statistics, &self.gain, &self.bias, &kept.x];
        let means = self.by_group(recorder, ["sums", "combine_sums"], rows, &extents, &inputs)?;
        let out = recorder.array(vectors.len())?;
        let [v, statistics, gain, bias, x] = inputs;
        let inputs = [v, statistics, gain, bias, x, &means];
        let count = vectors.len().div_ceil(GROUP);
        recorder.run_flat(Kernel::Norm("linear"), count, &extents, &out, &inputs);
        Ok(out)
    }
}
