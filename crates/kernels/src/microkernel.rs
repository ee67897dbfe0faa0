//! The inner loops of every matrix product: a tile of the result is held in
//! registers while the products run over the depth.
//!
//! They take raw pointers because the rows of a convolution are gathered from
//! anywhere in a picture. Their callers, in `gather`, `winograd` and `outer.rs`,
//! take every pointer from a checked slice, and say so where they call.
#![allow(
    unsafe_code,
    reason = "SIMD intrinsics and gathered row pointers; each function states its contract"
)]

/// out[i, j] = start[i, j] + Σ_tap Σ_k rows[tap, i][k] · panel[tap, k, j].
///
/// # Safety
/// `rows` holds taps · `rows_per_tile` pointers, each to `depth` readable
/// values; `panel` holds taps · depth · `columns_per_tile` values; `start` and
/// `out` have `rows_per_tile` rows of `columns_per_tile` values, their strides
/// apart; `out` may be `start`. The CPU has the features the function was
/// compiled for.
type Tile<T> = unsafe fn(
    taps: usize,
    depth: usize,
    rows: *const *const T,
    panel: *const T,
    start: *const T,
    start_stride: usize,
    out: *mut T,
    out_stride: usize,
);

/// out[i, j] += Σ_k columns[k][i] · panel[k, j], where `columns[k]` points to
/// `rows_per_tile` contiguous values.
///
/// # Safety
/// `columns` holds `depth` pointers, each to `rows_per_tile` readable values;
/// `panel` has `depth` rows of `columns_per_tile` values, `panel_stride` apart;
/// `out` has `rows_per_tile` rows of `columns_per_tile` values. The CPU has
/// the features the function was compiled for.
type Outer<T> = unsafe fn(
    depth: usize,
    columns: *const *const T,
    panel: *const T,
    panel_stride: usize,
    out: *mut T,
);

/// No tile has more rows.
pub(crate) const MAX_ROWS: usize = 12;
/// Nor more columns.
pub(crate) const MAX_COLUMNS: usize = 48;
/// Nor more values: 12×32, or 8×48.
pub(crate) const MAX_TILE: usize = 384;

/// The register tile of one instruction set.
#[derive(Clone, Copy, Debug)]
pub struct MicroKernel<T> {
    pub(crate) rows_per_tile: usize,
    pub(crate) columns_per_tile: usize,
    tile: Tile<T>,
    outer: Outer<T>,
}

impl<T: crate::Real> MicroKernel<T> {
    /// Plain loops, for any CPU and precision.
    pub(crate) fn portable() -> Self {
        Self {
            rows_per_tile: 4,
            columns_per_tile: 8,
            tile: portable::tile::<T, 4, 8>,
            outer: portable::outer::<T, 4, 8>,
        }
    }

    /// Calls `tile` with the pointers `[taps, rows_per_tile]`. The tile starts
    /// from the rows of `start`, or from what is in `out`.
    ///
    /// # Safety
    /// Every pointer is that of a live slice of `depth` values.
    #[inline(always)]
    pub(crate) unsafe fn run_tile(
        &self,
        taps: usize,
        depth: usize,
        rows: &[*const T],
        panel: &[T],
        start: Option<(&[T], usize)>,
        out: &mut [T],
        out_stride: usize,
    ) {
        let extent = |stride: usize| (self.rows_per_tile - 1) * stride + self.columns_per_tile;
        assert_eq!(rows.len(), taps * self.rows_per_tile);
        assert_eq!(panel.len(), taps * depth * self.columns_per_tile);
        assert!(out.len() >= extent(out_stride));
        let to = out.as_mut_ptr();
        let (start, start_stride) = match start {
            Some((values, stride)) => {
                assert!(values.len() >= extent(stride));
                (values.as_ptr(), stride)
            }
            None => (to.cast_const(), out_stride),
        };
        // SAFETY: the extents are checked here; `detect` chose a function
        // that this CPU can run; the rows are the caller's to answer for.
        unsafe {
            (self.tile)(
                taps,
                depth,
                rows.as_ptr(),
                panel.as_ptr(),
                start,
                start_stride,
                to,
                out_stride,
            );
        }
    }

    /// Calls `outer`.
    ///
    /// # Safety
    /// Every pointer is that of a live slice of `rows_per_tile` values.
    #[inline(always)]
    pub(crate) unsafe fn run_outer(
        &self,
        columns: &[*const T],
        panel: &[T],
        panel_stride: usize,
        out: &mut [T],
    ) {
        if columns.is_empty() {
            return;
        }
        assert!(panel.len() >= (columns.len() - 1) * panel_stride + self.columns_per_tile);
        assert_eq!(out.len(), self.rows_per_tile * self.columns_per_tile);
        // SAFETY: as in `run_tile`.
        unsafe {
            (self.outer)(
                columns.len(),
                columns.as_ptr(),
                panel.as_ptr(),
                panel_stride,
                out.as_mut_ptr(),
            );
        }
    }
}

impl MicroKernel<f32> {
    /// The widest instruction set of this CPU, and the tile that wastes least
    /// on a matrix of so many columns.
    pub(crate) fn detect(columns: usize) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                return avx512::kernel(columns);
            }
            if std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("fma")
            {
                return avx2::kernel(columns);
            }
        }
        let _ = columns;
        Self::portable()
    }
}

mod portable {
    use crate::Real;

    /// See [`super::Tile`].
    pub(super) unsafe fn tile<T: Real, const R: usize, const C: usize>(
        taps: usize,
        depth: usize,
        rows: *const *const T,
        panel: *const T,
        start: *const T,
        start_stride: usize,
        out: *mut T,
        out_stride: usize,
    ) {
        let mut sums = [[T::ZERO; C]; R];
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `start` has R rows of C values.
            *sum = unsafe { start.add(i * start_stride).cast::<[T; C]>().read() };
        }
        for tap in 0..taps {
            for k in 0..depth {
                // SAFETY: tap < taps, k < depth and the contract of `Tile`.
                unsafe {
                    let line = panel.add((tap * depth + k) * C).cast::<[T; C]>();
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let a = *(*rows.add(tap * R + i)).add(k);
                        for (s, &b) in sum.iter_mut().zip(&*line) {
                            *s += a * b;
                        }
                    }
                }
            }
        }
        for (i, sum) in sums.iter().enumerate() {
            // SAFETY: `out` has R rows of C values.
            unsafe { out.add(i * out_stride).cast::<[T; C]>().write(*sum) }
        }
    }

    /// See [`super::Outer`].
    pub(super) unsafe fn outer<T: Real, const R: usize, const C: usize>(
        depth: usize,
        columns: *const *const T,
        panel: *const T,
        panel_stride: usize,
        out: *mut T,
    ) {
        let mut sums = [[T::ZERO; C]; R];
        for k in 0..depth {
            // SAFETY: k < depth and the contract of `Outer`.
            unsafe {
                let line = panel.add(k * panel_stride).cast::<[T; C]>();
                let column = *columns.add(k);
                for (i, sum) in sums.iter_mut().enumerate() {
                    let a = *column.add(i);
                    for (s, &b) in sum.iter_mut().zip(&*line) {
                        *s += a * b;
                    }
                }
            }
        }
        for (i, sum) in sums.iter().enumerate() {
            for (j, &s) in sum.iter().enumerate() {
                // SAFETY: i < R and j < C.
                unsafe { *out.add(i * C + j) += s }
            }
        }
    }
}

/// The two loops for one vector type; the instruction set's module names the
/// vector, its lanes and its operations.
#[cfg(target_arch = "x86_64")]
macro_rules! vector_kernels {
    ($features:literal) => {
        /// See [`super::Tile`].
        #[target_feature(enable = $features)]
        pub(super) unsafe fn tile<const R: usize, const V: usize>(
            taps: usize,
            depth: usize,
            rows: *const *const f32,
            panel: *const f32,
            start: *const f32,
            start_stride: usize,
            out: *mut f32,
            out_stride: usize,
        ) {
            let mut sums = [[zero(); V]; R];
            for i in 0..R {
                for v in 0..V {
                    // SAFETY: `start` has R rows of V vectors.
                    sums[i][v] = unsafe { load(start.add(i * start_stride + v * LANES)) };
                }
            }
            let mut line = panel;
            for tap in 0..taps {
                let mut row = [std::ptr::null(); R];
                for i in 0..R {
                    // SAFETY: tap < taps, i < R and the contract of `Tile`.
                    row[i] = unsafe { *rows.add(tap * R + i) };
                }
                for k in 0..depth {
                    let mut b = [zero(); V];
                    for v in 0..V {
                        // SAFETY: the line holds V vectors.
                        b[v] = unsafe { load(line.add(LANES * v)) };
                    }
                    for i in 0..R {
                        // SAFETY: k < depth and the contract of `Tile`.
                        let a = splat(unsafe { *row[i].add(k) });
                        for v in 0..V {
                            sums[i][v] = multiply_add(a, b[v], sums[i][v]);
                        }
                    }
                    // SAFETY: at most one past the panel's end.
                    line = unsafe { line.add(LANES * V) };
                }
            }
            for i in 0..R {
                for v in 0..V {
                    // SAFETY: `out` has R rows of V vectors.
                    unsafe { store(out.add(i * out_stride + v * LANES), sums[i][v]) }
                }
            }
        }

        /// See [`super::Outer`].
        #[target_feature(enable = $features)]
        pub(super) unsafe fn outer<const R: usize, const V: usize>(
            depth: usize,
            columns: *const *const f32,
            panel: *const f32,
            panel_stride: usize,
            out: *mut f32,
        ) {
            let mut sums = [[zero(); V]; R];
            let mut line = panel;
            for k in 0..depth {
                // SAFETY: k < depth and the contract of `Outer`.
                let column = unsafe { *columns.add(k) };
                let mut b = [zero(); V];
                for v in 0..V {
                    // SAFETY: the line holds V vectors.
                    b[v] = unsafe { load(line.add(LANES * v)) };
                }
                for i in 0..R {
                    // SAFETY: the column holds R values.
                    let a = splat(unsafe { *column.add(i) });
                    for v in 0..V {
                        sums[i][v] = multiply_add(a, b[v], sums[i][v]);
                    }
                }
                // Perhaps beyond the panel's end, where nothing is read.
                line = line.wrapping_add(panel_stride);
            }
            for i in 0..R {
                for v in 0..V {
                    // SAFETY: `out` has R rows of V vectors.
                    unsafe {
                        let to = out.add((i * V + v) * LANES);
                        store(to, add(load(to), sums[i][v]));
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::MicroKernel;
    use std::arch::x86_64::{
        _mm512_add_ps as add, _mm512_fmadd_ps as multiply_add, _mm512_loadu_ps as load,
        _mm512_set1_ps as splat, _mm512_setzero_ps as zero, _mm512_storeu_ps as store,
    };

    const LANES: usize = 16;
    vector_kernels!("avx512f");

    pub(super) fn kernel(columns: usize) -> MicroKernel<f32> {
        match columns.div_ceil(LANES) {
            0 | 1 => MicroKernel {
                rows_per_tile: 12,
                columns_per_tile: 16,
                tile: tile::<12, 1>,
                outer: outer::<12, 1>,
            },
            // A head of SD 1.5 has 40 channels: 40 of 48 columns are used, not
            // 40 of 64. Eight rows, so that the sums stay in registers.
            3 => MicroKernel {
                rows_per_tile: 8,
                columns_per_tile: 48,
                tile: tile::<8, 3>,
                outer: outer::<8, 3>,
            },
            _ => MicroKernel {
                rows_per_tile: 12,
                columns_per_tile: 32,
                tile: tile::<12, 2>,
                outer: outer::<12, 2>,
            },
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::MicroKernel;
    use std::arch::x86_64::{
        _mm256_add_ps as add, _mm256_fmadd_ps as multiply_add, _mm256_loadu_ps as load,
        _mm256_set1_ps as splat, _mm256_setzero_ps as zero, _mm256_storeu_ps as store,
    };

    const LANES: usize = 8;
    vector_kernels!("avx2,fma");

    pub(super) fn kernel(columns: usize) -> MicroKernel<f32> {
        if columns <= LANES {
            MicroKernel {
                rows_per_tile: 8,
                columns_per_tile: 8,
                tile: tile::<8, 1>,
                outer: outer::<8, 1>,
            }
        } else {
            MicroKernel {
                rows_per_tile: 6,
                columns_per_tile: 16,
                tile: tile::<6, 2>,
                outer: outer::<6, 2>,
            }
        }
    }
}
