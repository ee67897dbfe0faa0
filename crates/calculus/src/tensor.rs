//! Dense arrays with a leading batch axis and channels last.

use crate::GraphError;
use alice_kernels::{Buffer, Real};

/// A dense row-major array. Pictures are `[N, H, W, C]`, vectors `[N, C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<T> {
    dims: Vec<usize>,
    data: Buffer<T>,
}

impl<T: Real> Tensor<T> {
    /// An array of `dims` from its row-major values.
    ///
    /// # Errors
    /// When the number of values is not the product of `dims`.
    pub fn new(dims: &[usize], data: Vec<T>) -> Result<Self, GraphError> {
        let expected = dims.iter().product::<usize>();
        if expected != data.len() {
            return Err(GraphError::Length {
                dims: dims.to_vec(),
                expected,
                found: data.len(),
            });
        }
        Ok(Self {
            dims: dims.to_vec(),
            data: data.into(),
        })
    }

    /// An array of zeros.
    #[must_use]
    pub fn zeros(dims: &[usize]) -> Self {
        Self {
            dims: dims.to_vec(),
            data: Buffer::zeros(dims.iter().product()),
        }
    }

    /// For callers inside this crate that computed `data` for `dims`.
    pub(crate) fn raw(dims: Vec<usize>, data: impl Into<Buffer<T>>) -> Self {
        let data = data.into();
        debug_assert_eq!(dims.iter().product::<usize>(), data.len());
        Self { dims, data }
    }

    /// Some of the items, copied.
    ///
    /// # Panics
    /// When there are fewer.
    #[must_use]
    pub fn items(&self, range: std::ops::Range<usize>) -> Self {
        let item = self.item_len();
        let mut dims = self.dims.clone();
        dims[0] = range.len();
        Self::raw(dims, &self.data[range.start * item..range.end * item])
    }

    /// The items of arrays that differ in their batch only, one after the other.
    pub(crate) fn stack<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        let parts: Vec<&Self> = parts.collect();
        let mut dims = parts[0].dims.clone();
        dims[0] = parts.iter().map(|p| p.batch()).sum();
        let mut data = Buffer::stale(dims.iter().product());
        let mut free = &mut data[..];
        for part in parts {
            let (next, rest) = free.split_at_mut(part.data.len());
            next.copy_from_slice(&part.data);
            free = rest;
        }
        Self::raw(dims, data)
    }

    /// The extents, the batch first.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The batch extent (1 for a scalar).
    #[must_use]
    pub fn batch(&self) -> usize {
        self.dims.first().copied().unwrap_or(1)
    }

    /// Values per batch item.
    #[must_use]
    pub fn item_len(&self) -> usize {
        self.dims.iter().skip(1).product()
    }

    /// The extent of the last axis.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.dims.last().copied().unwrap_or(1)
    }

    /// The values, row-major.
    #[must_use]
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The values, row-major, to change.
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// The values, row-major, without the array.
    #[must_use]
    pub fn into_data(self) -> Vec<T> {
        self.data.into_vec()
    }

    /// The same, memory that goes back to the pool.
    pub(crate) fn into_buffer(self) -> Buffer<T> {
        self.data
    }

    /// The same values in another precision.
    #[must_use]
    pub fn cast<U: Real>(&self) -> Tensor<U> {
        let cast = self.data.iter().map(|v| U::from_f64(v.to_f64()));
        Tensor {
            dims: self.dims.clone(),
            data: cast.collect::<Vec<U>>().into(),
        }
    }

    /// `[N, C, H, W]` from `[N, H, W, C]`.
    ///
    /// # Errors
    /// When the array does not have four axes.
    pub fn to_channels_first(&self) -> Result<Self, GraphError> {
        let [n, h, w, c] = self.four_axes()?;
        Ok(Self::raw(
            vec![n, c, h, w],
            alice_kernels::layout::permute_items(&self.data, n, h * w, c),
        ))
    }

    /// `[N, H, W, C]` from `[N, C, H, W]`.
    ///
    /// # Errors
    /// When the array does not have four axes.
    pub fn to_channels_last(&self) -> Result<Self, GraphError> {
        let [n, c, h, w] = self.four_axes()?;
        Ok(Self::raw(
            vec![n, h, w, c],
            alice_kernels::layout::permute_items(&self.data, n, c, h * w),
        ))
    }

    fn four_axes(&self) -> Result<[usize; 4], GraphError> {
        self.dims
            .as_slice()
            .try_into()
            .map_err(|_| GraphError::Shape {
                node: "layout".into(),
                why: format!("needs four axes, has {:?}", self.dims),
            })
    }
}
