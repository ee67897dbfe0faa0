//! Run-time choice of the instruction set for loops that vectorise by themselves.

/// Runs a closure compiled for the widest instruction set of this CPU. The
/// closure and what it calls must be `#[inline(always)]` to profit.
#[inline(always)]
pub(crate) fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}
