//! The device that was asked for, opened.

use alice_studies::{Cpu, Device, DeviceKind, StudyError};
use std::sync::Arc;

/// Opens a device.
///
/// # Errors
/// When this machine or this program has none of the kind.
pub fn open(kind: DeviceKind) -> Result<Arc<dyn Device>, StudyError> {
    match kind {
        DeviceKind::Cpu => Ok(Arc::new(Cpu)),
        DeviceKind::Wgpu => wgpu(),
    }
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Arc<dyn Device>, StudyError> {
    Ok(Arc::new(alice_gpu::Gpu::open()?))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Arc<dyn Device>, StudyError> {
    Err(StudyError::argument(
        "--device wgpu",
        "this program was built without it. Build it with cargo build --release --features wgpu, \
         or use --device cpu",
    ))
}
