//! What a graph's parameters are, and the padding of pictures.

/// A parameter of a graph, an index into [`Graph::parameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parameter(pub(crate) usize);

impl Parameter {
    /// The position in [`Graph::parameters`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// What a parameter is, with its extents; decides the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// Stored `[kernel · kernel, input, output]`; in files `[output, input, kernel, kernel]`.
    Convolution {
        /// Side of the square kernel.
        kernel: usize,
        /// Input channels.
        input: usize,
        /// Output channels.
        output: usize,
    },
    /// Stored `[input, output]`; in files `[output, input]`.
    Linear {
        /// Input channels.
        input: usize,
        /// Output channels.
        output: usize,
    },
    /// A bias, starts at zero: `[len]`.
    Bias {
        /// Channels.
        len: usize,
    },
    /// A norm's gain, starts at one: `[len]`.
    Gain {
        /// Channels.
        len: usize,
    },
    /// An embedding table: `[rows, channels]`.
    Table {
        /// Entries.
        rows: usize,
        /// Channels of an entry.
        channels: usize,
    },
}

impl ParameterKind {
    /// Number of values.
    #[must_use]
    pub fn len(self) -> usize {
        self.file_dims().iter().product()
    }

    /// Whether it holds no value.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The extents in PyTorch's layout, as files hold it.
    #[must_use]
    pub fn file_dims(self) -> Vec<usize> {
        match self {
            Self::Convolution {
                kernel,
                input,
                output,
            } => vec![output, input, kernel, kernel],
            Self::Linear { input, output } => vec![output, input],
            Self::Bias { len } | Self::Gain { len } => vec![len],
            Self::Table { rows, channels } => vec![rows, channels],
        }
    }
}

/// A parameter's name, as files hold it, and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// For example `mid_block.resnets.0.conv1.weight`.
    pub name: String,
    /// Extents and layout.
    pub kind: ParameterKind,
}

/// Zeros around a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// The same on all four sides.
    #[must_use]
    pub fn all(pixels: usize) -> Self {
        Self {
            top: pixels,
            left: pixels,
            bottom: pixels,
            right: pixels,
        }
    }
}
