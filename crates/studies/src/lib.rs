//! One folder per capability: discover, edit, measure.
