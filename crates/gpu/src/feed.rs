//! Inputs on their way to the device.

use crate::arrays::Array;
use crate::recorder::Recorder;
use alice_calculus::{Feed, GraphError, Tensor};
use std::ops::Range;

/// The values of some items on the device, of those inputs that are `needed`,
/// by node; one item of another batch is repeated.
pub(crate) fn upload(
    feed: &Feed<'_, f32>,
    recorder: &mut Recorder<'_>,
    items: Range<usize>,
    needed: &[bool],
) -> Result<Vec<Option<Array>>, GraphError> {
    let mut arrays = vec![None; feed.values.len()];
    for (index, value) in feed.values.iter().enumerate() {
        if let Some(tensor) = value.filter(|_| needed[index]) {
            arrays[index] = Some(if tensor.batch() == feed.batch {
                recorder.upload(part(tensor, &items))?
            } else {
                recorder.upload(&tensor.data().repeat(items.len()))?
            });
        }
    }
    Ok(arrays)
}

/// The values of some items.
pub(crate) fn part<'a>(tensor: &'a Tensor<f32>, items: &Range<usize>) -> &'a [f32] {
    let len = tensor.item_len();
    &tensor.data()[items.start * len..items.end * len]
}
