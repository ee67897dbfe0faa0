//! Arrays in the device's memory, which is used again when they are dropped.

use crate::context::lock;
use std::sync::{Arc, Mutex};

/// An array of single-precision values. Copies are one and the same array.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    place: Arc<Place>,
    len: usize,
}

#[derive(Debug)]
struct Place {
    buffer: wgpu::Buffer,
    free: Arc<Mutex<Free>>,
}

impl Array {
    pub(crate) fn new(buffer: wgpu::Buffer, len: usize, free: &Arc<Mutex<Free>>) -> Self {
        let free = free.clone();
        Self {
            place: Arc::new(Place { buffer, free }),
            len,
        }
    }

    /// Values that it holds.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> u64 {
        4 * self.len as u64
    }

    pub(crate) fn buffer(&self) -> &wgpu::Buffer {
        &self.place.buffer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.free).buffers.push(self.buffer.clone());
    }
}

/// Memory that no array uses. Runs take turns and the device does what it is
/// told in order, so memory may be taken again before its last reader ran.
#[derive(Debug, Default)]
pub(crate) struct Free {
    buffers: Vec<wgpu::Buffer>,
}

impl Free {
    /// The smallest that holds `bytes`, unless most of it would lie idle.
    pub(crate) fn take(&mut self, bytes: u64) -> Option<wgpu::Buffer> {
        let fits = |size: u64| size >= bytes && (size <= 2 * bytes || size <= 1 << 12);
        let found = (0..self.buffers.len())
            .filter(|&i| fits(self.buffers[i].size()))
            .min_by_key(|&i| self.buffers[i].size())?;
        Some(self.buffers.swap_remove(found))
    }

    /// Drops the largest until at most `bytes` lie idle.
    pub(crate) fn trim(&mut self, bytes: u64) {
        self.buffers.sort_by_key(wgpu::Buffer::size);
        let mut kept = 0;
        self.buffers.retain(|buffer| {
            kept += buffer.size();
            kept <= bytes
        });
    }
}
