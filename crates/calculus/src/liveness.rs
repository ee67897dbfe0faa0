//! Which nodes a run needs, and for how long their values live.

use crate::graph::{Graph, Value};
use crate::tape::Memory;

impl Graph {
    /// For each node, whether one of `targets` is reached from it.
    #[must_use]
    pub fn needed(&self, targets: &[Value]) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        for target in targets {
            needed[target.0] = true;
        }
        for index in (0..self.nodes.len()).rev() {
            if needed[index] {
                for input in &self.nodes[index].inputs {
                    needed[input.0] = true;
                }
            }
        }
        needed
    }

    /// For each node, how many of the `needed` ones read its value.
    #[must_use]
    pub fn readers(&self, needed: &[bool]) -> Vec<usize> {
        let mut readers = vec![0; self.nodes.len()];
        for (node, _) in self.nodes.iter().zip(needed).filter(|(_, n)| **n) {
            for input in &node.inputs {
                readers[input.0] += 1;
            }
        }
        readers
    }

    /// For each node, whether a derivative flows through it from a node that
    /// `starts` marks to `to`.
    #[must_use]
    pub fn active(&self, to: Value, starts: impl Fn(usize) -> bool) -> Vec<bool> {
        let needed = self.needed(&[to]);
        let mut active = vec![false; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            let flows = !node.op.is_constant() && node.inputs.iter().any(|i| active[i.0]);
            active[index] = needed[index] && (starts(index) || flows);
        }
        active
    }

    /// Values of one item that are alive at once, at most, when the marked
    /// nodes run in order and those of `targets` stay; and those of the
    /// largest node.
    #[must_use]
    pub fn peak(&self, marked: &[bool], targets: &[Value]) -> (usize, usize) {
        let values = |node: usize| self.nodes[node].dims.iter().product::<usize>();
        let range = || (0..self.nodes.len()).filter(|node| marked[*node]);
        let mut live_until = vec![0; self.nodes.len()];
        for node in range() {
            for input in &self.nodes[node].inputs {
                live_until[input.0] = node;
            }
        }
        for target in targets {
            live_until[target.0] = self.nodes.len();
        }
        let live_at = |now: usize| -> usize {
            let lives = |node: &usize| *node <= now && live_until[*node] >= now;
            range().filter(lives).map(values).sum()
        };
        let peak = range().map(live_at).max().unwrap_or(0);
        (peak, range().map(values).max().unwrap_or(0))
    }
}

impl Memory {
    /// The memory of a derivative through the `active` nodes to `to`, of
    /// which `kept` bytes stay, in values of `size` bytes.
    ///
    /// A value lives from the node that makes it to its last reader on the
    /// way forward, from there to its node on the way back; a pullback holds
    /// the node's cotangent beside those of its inputs.
    #[must_use]
    pub fn of(graph: &Graph, active: &[bool], to: Value, kept: usize, size: usize) -> Self {
        let (peak, largest) = graph.peak(active, &[to]);
        Self {
            kept,
            per_vector: (peak + largest) * size,
        }
    }
}
