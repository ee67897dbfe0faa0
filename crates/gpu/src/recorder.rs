//! What a run tells the device to do, in order.

use crate::arrays::Array;
use crate::context::{Context, DISPATCHES};
use crate::kernel::Kernel;
use alice_calculus::GraphError;
use std::sync::MutexGuard;

/// Memory that may lie idle between runs.
const IDLE: u64 = 1 << 30;
/// Workgroups in one direction, at most, on every device.
pub(crate) const MOST_GROUPS: usize = 65_535;

/// One run on the device; others wait for its end.
pub(crate) struct Recorder<'a> {
    pub(crate) context: &'a Context,
    commands: Vec<Command>,
    _turn: MutexGuard<'a, ()>,
}

struct Command {
    kernel: Kernel,
    /// The one written, then those read.
    buffers: Vec<wgpu::Buffer>,
    extents: Vec<u32>,
    groups: [u32; 3],
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        let _turn = context.turn();
        Self {
            context,
            commands: Vec::new(),
            _turn,
        }
    }

    /// An array of `len` values, whatever they are.
    pub(crate) fn array(&self, len: usize) -> Result<Array, GraphError> {
        self.context.array(len)
    }

    /// An array from the processor's memory.
    pub(crate) fn upload(&mut self, values: &[f32]) -> Result<Array, GraphError> {
        let array = self.array(values.len())?;
        // Its memory may still be read by what was told before.
        self.submit();
        let bytes = bytemuck::cast_slice(values);
        self.context.queue.write_buffer(array.buffer(), 0, bytes);
        Ok(array)
    }

    /// Runs a kernel on so many workgroups.
    pub(crate) fn run(
        &mut self,
        kernel: Kernel,
        groups: [usize; 3],
        extents: &[u32],
        to: &Array,
        from: &[&Array],
    ) {
        let mut buffers = vec![to.buffer().clone()];
        buffers.extend(from.iter().map(|array| array.buffer().clone()));
        let nothing = &self.context.nothing;
        buffers.resize_with(kernel.inputs() + 1, || nothing.clone());
        self.commands.push(Command {
            kernel,
            buffers,
            extents: extents.to_vec(),
            groups: groups.map(|g| g as u32),
        });
        if self.commands.len() as u64 == DISPATCHES {
            self.submit();
        }
    }

    /// Runs a kernel on `count` workgroups that know their number from two
    /// directions.
    pub(crate) fn run_flat(
        &mut self,
        kernel: Kernel,
        count: usize,
        extents: &[u32],
        to: &Array,
        from: &[&Array],
    ) {
        let rows = count.div_ceil(MOST_GROUPS).max(1);
        let groups = [count.div_ceil(rows), rows, 1];
        self.run(kernel, groups, extents, to, from);
    }

    /// Sends off what was told.
    fn submit(&mut self) {
        if self.commands.is_empty() {
            return;
        }
        let Context { device, queue, .. } = self.context;
        let step = self.context.extents_step();
        let mut words = vec![0u32; self.commands.len() * step as usize / 4];
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for (at, command) in self.commands.iter().enumerate() {
                let offset = at * step as usize;
                words[offset / 4..][..command.extents.len()].copy_from_slice(&command.extents);
                let extents = wgpu::BufferBinding {
                    buffer: &self.context.extents,
                    offset: 0,
                    size: wgpu::BufferSize::new(crate::context::EXTENTS),
                };
                let mut entries = vec![wgpu::BindGroupEntry {
                    binding: 0,
                    resource: wgpu::BindingResource::Buffer(extents),
                }];
                for (i, buffer) in command.buffers.iter().enumerate() {
                    entries.push(wgpu::BindGroupEntry {
                        binding: 1 + i as u32,
                        resource: buffer.as_entire_binding(),
                    });
                }
                let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: None,
                    layout: self.context.layout(command.kernel.inputs()),
                    entries: &entries,
                });
                let [x, y, z] = command.groups;
                pass.set_pipeline(&self.context.pipeline(command.kernel));
                pass.set_bind_group(0, &group, &[offset as u32]);
                pass.dispatch_workgroups(x, y, z);
            }
        }
        queue.write_buffer(&self.context.extents, 0, bytemuck::cast_slice(&words));
        queue.submit([encoder.finish()]);
        self.commands.clear();
    }

    /// The values of some arrays, once everything that was told is done.
    pub(crate) fn download(&mut self, arrays: &[&Array]) -> Result<Vec<Vec<f32>>, GraphError> {
        self.submit();
        let Context { device, queue, .. } = self.context;
        let mut values = Vec::with_capacity(arrays.len());
        for array in arrays {
            let staging = device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: array.bytes(),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut encoder = device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(array.buffer(), 0, &staging, 0, array.bytes());
            queue.submit([encoder.finish()]);
            staging.map_async(wgpu::MapMode::Read, .., |_| {});
            self.context.wait()?;
            let view = staging.get_mapped_range(..);
            let view = view.map_err(|e| self.context.refuse(e.to_string()))?;
            values.push(bytemuck::pod_collect_to_vec(&view));
        }
        Ok(values)
    }
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        self.context.trim(IDLE);
    }
}
