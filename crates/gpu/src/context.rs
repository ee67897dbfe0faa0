//! The device: its limits, its kernels, its memory and what went wrong on it.

use crate::arrays::{Array, Free};
use crate::kernel::Kernel;
use alice_calculus::GraphError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wgpu::Limits;

/// Bytes that the extents of one dispatch take, at most.
pub(crate) const EXTENTS: u64 = 128;
/// Dispatches of one submission, at most: systems end those that last for
/// seconds, and a device should begin before the last is told.
pub(crate) const DISPATCHES: u64 = 64;

/// An open device.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) limits: wgpu::Limits,
    name: String,
    /// By the number of arrays that kernels read.
    layouts: Vec<wgpu::BindGroupLayout>,
    pipelines: Mutex<HashMap<Kernel, wgpu::ComputePipeline>>,
    /// Extents of the dispatches of one submission.
    pub(crate) extents: wgpu::Buffer,
    /// Stands for arrays that a kernel does not read this time.
    pub(crate) nothing: wgpu::Buffer,
    free: Arc<Mutex<Free>>,
    /// One run at a time, so that freed arrays may be taken again at once.
    turn: Mutex<()>,
    failure: Arc<Mutex<Option<String>>>,
    lost: Arc<Mutex<Option<String>>>,
}

/// What a mutex holds, also after a panic elsewhere: it is replaced whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Context {
    /// Opens the strongest adapter of this machine with the limits it has.
    pub(crate) fn open() -> Result<Self, GraphError> {
        let refuse = |why: String| GraphError::Device {
            device: "--device wgpu".to_owned(),
            why,
        };
        let descriptor = wgpu::InstanceDescriptor {
            flags: wgpu::InstanceFlags::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        };
        let instance = wgpu::Instance::new(descriptor);
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = pollster::block_on(instance.request_adapter(&options)).map_err(|_| {
            refuse(
                "no graphics adapter was found. Looked for Vulkan, Metal and Direct3D 12: install \
                 the card's driver (on Linux, mesa-vulkan-drivers also has a software one), or \
                 use --device cpu"
                    .to_owned(),
            )
        })?;
        let info = adapter.get_info();
        let name = format!("{} ({})", info.name, info.backend);
        let limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("alice"),
            required_limits: limits.clone(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|e| refuse(format!("{name} cannot be used: {e}")))?;
        let failure = Arc::new(Mutex::new(None));
        let told = failure.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&told).get_or_insert_with(|| explain(&error));
        }));
        let lost = Arc::new(Mutex::new(None));
        let told = lost.clone();
        device.set_device_lost_callback(move |reason, why| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                lock(&told).get_or_insert_with(|| format!("the device was lost: {why}"));
            }
        });
        let layouts = (0..=6).map(|inputs| layout(&device, inputs)).collect();
        let small = |size, usage| wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        };
        let step = u64::from(limits.min_uniform_buffer_offset_alignment).max(EXTENTS);
        let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let extents = device.create_buffer(&small(step * DISPATCHES, uniform));
        let nothing = device.create_buffer(&small(16, wgpu::BufferUsages::STORAGE));
        let context = Self {
            device,
            queue,
            limits,
            name,
            layouts,
            pipelines: Mutex::default(),
            extents,
            nothing,
            free: Arc::default(),
            turn: Mutex::default(),
            failure,
            lost,
        };
        context.check()?;
        Ok(context)
    }

    /// The adapter and the interface it is used through.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// An error of this device.
    pub(crate) fn refuse(&self, why: impl Into<String>) -> GraphError {
        GraphError::Device {
            device: self.name.clone(),
            why: why.into(),
        }
    }

    /// What went wrong since the last call.
    pub(crate) fn check(&self) -> Result<(), GraphError> {
        let failure = lock(&self.failure).take();
        match lock(&self.lost).clone().or(failure) {
            None => Ok(()),
            Some(why) => Err(self.refuse(why)),
        }
    }

    /// Waits until everything that was told is done.
    pub(crate) fn wait(&self) -> Result<(), GraphError> {
        let done = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        done.map(drop).map_err(|e| self.refuse(e.to_string()))
    }

    /// Waits until no other run is on the device.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        lock(&self.turn)
    }

    /// Bytes between the extents of dispatches.
    pub(crate) fn extents_step(&self) -> u64 {
        u64::from(self.limits.min_uniform_buffer_offset_alignment).max(EXTENTS)
    }

    /// An array of `len` values, whatever they are.
    pub(crate) fn array(&self, len: usize) -> Result<Array, GraphError> {
        let bytes = 4 * len.max(1) as u64;
        let most = self.most_bytes();
        if bytes > most {
            return Err(self.refuse(format!(
                "an array of {} MiB is needed and this device takes {} MiB at most. Ask for \
                 smaller pictures or use --device cpu",
                bytes >> 20,
                most >> 20
            )));
        }
        if let Some(buffer) = lock(&self.free).take(bytes) {
            return Ok(Array::new(buffer, len, &self.free));
        }
        let descriptor = wgpu::BufferDescriptor {
            label: None,
            size: bytes.next_multiple_of(256).min(most / 4 * 4),
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = self.device.create_buffer(&descriptor);
        match pollster::block_on(scope.pop()) {
            None => Ok(Array::new(buffer, len, &self.free)),
            Some(_) => Err(self.refuse(format!(
                "its memory is full; {} MiB more were needed. Ask for smaller or fewer pictures, \
                 set --memory or use --device cpu",
                bytes.div_ceil(1 << 20)
            ))),
        }
    }

    /// Bytes of an array, at most.
    pub(crate) fn most_bytes(&self) -> u64 {
        let Limits {
            max_storage_buffer_binding_size: binding,
            max_buffer_size: buffer,
            ..
        } = self.limits;
        binding.min(buffer)
    }

    /// Gives back memory that nothing uses.
    pub(crate) fn trim(&self, bytes: u64) {
        lock(&self.free).trim(bytes);
    }

    /// The layout of what a kernel of so many inputs is bound to.
    pub(crate) fn layout(&self, inputs: usize) -> &wgpu::BindGroupLayout {
        &self.layouts[inputs]
    }

    /// A kernel, compiled at its first use.
    pub(crate) fn pipeline(&self, kernel: Kernel) -> wgpu::ComputePipeline {
        let mut pipelines = lock(&self.pipelines);
        let compile = || {
            let module = self
                .device
                .create_shader_module(wgpu::ShaderModuleDescriptor {
                    label: Some(kernel.entry()),
                    source: wgpu::ShaderSource::Wgsl(kernel.source().into()),
                });
            let layout = wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(self.layout(kernel.inputs()))],
                immediate_size: 0,
            };
            let layout = self.device.create_pipeline_layout(&layout);
            let descriptor = wgpu::ComputePipelineDescriptor {
                label: Some(kernel.entry()),
                layout: Some(&layout),
                module: &module,
                entry_point: Some(kernel.entry()),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Every kernel writes what it reads there.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            };
            self.device.create_compute_pipeline(&descriptor)
        };
        pipelines.entry(kernel).or_insert_with(compile).clone()
    }
}

/// Extents, the array that is written, and those that are read.
fn layout(device: &wgpu::Device, inputs: u32) -> wgpu::BindGroupLayout {
    let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset,
            min_binding_size: None,
        },
        count: None,
    };
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let mut entries = vec![
        entry(0, wgpu::BufferBindingType::Uniform, true),
        entry(1, storage(false), false),
    ];
    entries.extend((0..inputs).map(|i| entry(2 + i, storage(true), false)));
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: None,
        entries: &entries,
    })
}

fn explain(error: &wgpu::Error) -> String {
    match error {
        wgpu::Error::OutOfMemory { .. } => {
            "its memory is full. Ask for smaller or fewer pictures, or use --device cpu".to_owned()
        }
        other => other.to_string(),
    }
}
