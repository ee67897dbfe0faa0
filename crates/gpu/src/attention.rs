//! Multi-head attention and its linear maps, some queries at a time: scores
//! of all of them would need memory that grows with the square of a picture.

use crate::arrays::Array;
use crate::kernel::Kernel;
use crate::matrices::{Matrices, multiply};
use crate::recorder::Recorder;
use alice_calculus::GraphError;
use std::ops::Deref;

/// Scores in flight, at most, as far as one query of each item allows.
const SCORES: usize = 1 << 24;

/// An attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attention(pub(crate) alice_calculus::Attention);

impl Deref for Attention {
    type Target = alice_calculus::Attention;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Some queries of all items.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    queries: usize,
}

impl Attention {
    fn depth(&self) -> usize {
        self.channels / self.heads
    }

    fn factor(&self) -> f64 {
        1.0 / (self.depth() as f64).sqrt()
    }

    /// Blocks of queries of so many items.
    fn blocks(&self, items: usize) -> impl Iterator<Item = Block> + use<> {
        let queries = self.queries;
        let most = (SCORES / (items * self.heads * self.keys)).clamp(1, queries);
        (0..queries).step_by(most).map(move |first| Block {
            first,
            queries: most.min(queries - first),
        })
    }

    /// Rows of a block of an array like q.
    fn of_queries<'a>(&self, array: &'a Array, block: Block, repeat: usize) -> Matrices<'a> {
        Matrices {
            array,
            repeat,
            item: self.queries * self.channels,
            head: self.depth(),
            row: self.channels,
            column: 1,
            first: block.first * self.channels,
        }
    }

    /// All rows of an array like k.
    fn of_keys<'a>(&self, array: &'a Array, repeat: usize) -> Matrices<'a> {
        Matrices {
            array,
            repeat,
            item: self.keys * self.channels,
            head: self.depth(),
            row: self.channels,
            column: 1,
            first: 0,
        }
    }

    /// The scores of a block, `[items, heads, queries, keys]`.
    fn of_scores<'a>(&self, array: &'a Array, block: Block, repeat: usize) -> Matrices<'a> {
        Matrices {
            array,
            repeat,
            item: self.heads * block.queries * self.keys,
            head: block.queries * self.keys,
            row: self.keys,
            column: 1,
            first: 0,
        }
    }

    fn scores(
        &self,
        recorder: &Recorder<'_>,
        items: usize,
        block: Block,
    ) -> Result<Array, GraphError> {
        recorder.array(items * self.heads * block.queries * self.keys)
    }

    /// In place, row by row: softmax, or the linear map of the probabilities.
    fn by_row(
        &self,
        recorder: &mut Recorder<'_>,
        entry: &'static str,
        block: Block,
        scores: &Array,
        probabilities: Option<(&Array, usize)>,
    ) {
        let rows = scores.len() / self.keys;
        let extents = [
            rows as u32,
            self.keys as u32,
            block.queries as u32,
            block.first as u32,
            u32::from(self.causal),
            self.heads as u32,
            probabilities.map_or(1, |(_, repeat)| repeat as u32),
            (self.factor() as f32).to_bits(),
        ];
        let from: Vec<&Array> = probabilities.iter().map(|(array, _)| *array).collect();
        recorder.run_flat(Kernel::Softmax(entry), rows, &extents, scores, &from);
    }

    /// The probabilities of a block of `items` items.
    fn probabilities(
        &self,
        recorder: &mut Recorder<'_>,
        items: usize,
        block: Block,
        q: &Array,
        k: &Array,
    ) -> Result<Array, GraphError> {
        let scores = self.scores(recorder, items, block)?;
        let [queries, keys] = [block.queries, self.keys];
        multiply(
            recorder,
            [queries, keys, self.depth()],
            [items, self.heads],
            self.of_queries(q, block, 1),
            self.of_keys(k, 1).transposed(),
            self.of_scores(&scores, block, 1),
            1.0,
            false,
        );
        self.by_row(recorder, "softmax", block, &scores, None);
        Ok(scores)
    }

    fn items(&self, q: &Array) -> usize {
        q.len() / (self.queries * self.channels)
    }

    /// softmax(q kᵀ / √d) v.
    pub(crate) fn forward(
        &self,
        recorder: &mut Recorder<'_>,
        [q, k, v]: [&Array; 3],
    ) -> Result<Array, GraphError> {
        let items = self.items(q);
        let out = recorder.array(q.len())?;
        for block in self.blocks(items) {
            let probabilities = self.probabilities(recorder, items, block, q, k)?;
            multiply(
                recorder,
                [block.queries, self.depth(), self.keys],
                [items, self.heads],
                self.of_scores(&probabilities, block, 1),
                self.of_keys(v, 1),
                self.of_queries(&out, block, 1),
                1.0,
                false,
            );
        }
        Ok(out)
    }

    /// The tangents of the result from those of q, k and v, at least one of
    /// which is given: dP v + P dv with dP = P (ds − Σ P ds) and
    /// ds = (dq kᵀ + q dkᵀ) / √d.
    pub(crate) fn pushforward(
        &self,
        recorder: &mut Recorder<'_>,
        [q, k, v]: [&Array; 3],
        [dq, dk, dv]: [Option<&Array>; 3],
    ) -> Result<Array, GraphError> {
        let items = self.items(q);
        let ratio = |given: Option<&Array>, point: &Array| given.map(|t| t.len() / point.len());
        let repeat = ratio(dq, q).or(ratio(dk, k)).or(ratio(dv, v)).unwrap_or(1);
        let vectors = items * repeat;
        let both = [vectors, self.heads];
        let out = recorder.array(vectors * self.queries * self.channels)?;
        for block in self.blocks(vectors) {
            let probabilities = self.probabilities(recorder, items, block, q, k)?;
            let slopes = self.scores(recorder, vectors, block)?;
            let extents = [block.queries, self.keys, self.depth()];
            let to = self.of_scores(&slopes, block, 1);
            let mut add = false;
            if let Some(dq) = dq {
                let left = self.of_queries(dq, block, 1);
                let right = self.of_keys(k, repeat).transposed();
                multiply(recorder, extents, both, left, right, to, 1.0, false);
                add = true;
            }
            if let Some(dk) = dk {
                let left = self.of_queries(q, block, repeat);
                let right = self.of_keys(dk, 1).transposed();
                multiply(recorder, extents, both, left, right, to, 1.0, add);
                add = true;
            }
            let extents = [block.queries, self.depth(), self.keys];
            let to = self.of_queries(&out, block, 1);
            if add {
                let by = Some((&probabilities, repeat));
                self.by_row(recorder, "softmax_linear", block, &slopes, by);
                let left = self.of_scores(&slopes, block, 1);
                let right = self.of_keys(v, repeat);
                multiply(recorder, extents, both, left, right, to, 1.0, false);
            }
            if let Some(dv) = dv {
                let left = self.of_scores(&probabilities, block, repeat);
                let right = self.of_keys(dv, 1);
                multiply(recorder, extents, both, left, right, to, 1.0, add);
            }
        }
        Ok(out)
    }

    /// The cotangents of q, k and v that are wanted, from those of the result:
    /// Pᵀ u for v, and ds k / √d and dsᵀ q / √d with ds = P (u vᵀ − Σ P u vᵀ).
    pub(crate) fn pullback(
        &self,
        recorder: &mut Recorder<'_>,
        [q, k, v]: [&Array; 3],
        u: &Array,
        wanted: [bool; 3],
    ) -> Result<[Option<Array>; 3], GraphError> {
        let repeat = u.len() / q.len();
        let vectors = self.items(u);
        let items = self.items(q);
        let both = [vectors, self.heads];
        let lens = [u.len(), k.len() * repeat, k.len() * repeat];
        let mut sides = [None, None, None];
        for i in 0..3 {
            if wanted[i] {
                sides[i] = Some(recorder.array(lens[i])?);
            }
        }
        for block in self.blocks(vectors) {
            // Sums over queries begin with the first block.
            let add = block.first > 0;
            let probabilities = self.probabilities(recorder, items, block, q, k)?;
            let of_u = self.of_queries(u, block, 1);
            let by_key = [self.keys, self.depth(), block.queries];
            if let Some(dv) = &sides[2] {
                let left = self.of_scores(&probabilities, block, repeat).transposed();
                multiply(
                    recorder,
                    by_key,
                    both,
                    left,
                    of_u,
                    self.of_keys(dv, 1),
                    1.0,
                    add,
                );
            }
            if sides[0].is_none() && sides[1].is_none() {
                continue;
            }
            let slopes = self.scores(recorder, vectors, block)?;
            let of_slopes = self.of_scores(&slopes, block, 1);
            let right = self.of_keys(v, repeat).transposed();
            let extents = [block.queries, self.keys, self.depth()];
            multiply(recorder, extents, both, of_u, right, of_slopes, 1.0, false);
            let by = Some((&probabilities, repeat));
            self.by_row(recorder, "softmax_linear", block, &slopes, by);
            if let Some(dq) = &sides[0] {
                let to = self.of_queries(dq, block, 1);
                let extents = [block.queries, self.depth(), self.keys];
                multiply(
                    recorder,
                    extents,
                    both,
                    of_slopes,
                    self.of_keys(k, repeat),
                    to,
                    1.0,
                    false,
                );
            }
            if let Some(dk) = &sides[1] {
                let to = self.of_keys(dk, 1);
                let right = self.of_queries(q, block, repeat);
                multiply(
                    recorder,
                    by_key,
                    both,
                    of_slopes.transposed(),
                    right,
                    to,
                    1.0,
                    add,
                );
            }
        }
        Ok(sides)
    }
}
