//! A network as a graph of operations on channels-last values.
//!
//! A network is written once, as a function that adds nodes to a [`Graph`].
//! The graph knows every shape, so that what does not fit is an error while
//! building, never a panic while running. The same graph is then evaluated
//! ([`crate::evaluate`]), linearised ([`crate::Linearization`]) or trained
//! ([`crate::gradient`]).

use crate::GraphError;
use crate::op::{Op, SinusoidalEmbedding};
use crate::spec::{Padding, Parameter, ParameterKind, ParameterSpec};
use alice_kernels::activation::Activation;

/// A node's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub(crate) usize);

impl Value {
    /// The position in [`Graph::nodes`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// An operation with what it reads.
#[derive(Clone, Debug)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// Its name, for people.
    pub name: String,
    /// What it reads; earlier nodes.
    pub inputs: Vec<Value>,
    /// The shape of its value without the batch, channels last.
    pub dims: Vec<usize>,
}

/// A network: operations in the order they run, with their shapes.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    parameters: Vec<ParameterSpec>,
    outputs: Vec<(String, Value)>,
    scope: String,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The operations in the order they run.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The parameters in the order of their first use.
    #[must_use]
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.parameters
    }

    /// The shape of a value without the batch, channels last.
    #[must_use]
    pub fn dims(&self, value: Value) -> &[usize] {
        &self.nodes[value.0].dims
    }

    /// Names of the inputs with their values.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, Value)> {
        self.nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.op == Op::Input)
            .map(|(index, node)| (node.name.as_str(), Value(index)))
    }

    /// The named outputs.
    #[must_use]
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }

    /// From now on names of parameters and outputs begin with `scope`, so that
    /// one graph can hold several networks.
    pub fn set_scope(&mut self, scope: &str) {
        scope.clone_into(&mut self.scope);
    }

    /// The value of an input by its name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn find_input(&self, name: &str) -> Result<Value, GraphError> {
        let found = self.inputs().find(|(n, _)| *n == name);
        found
            .map(|(_, v)| v)
            .ok_or_else(|| self.unknown("input", name, self.inputs().map(|(n, _)| n)))
    }

    /// The value of an output by its name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn find_output(&self, name: &str) -> Result<Value, GraphError> {
        let found = self.outputs.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| *v).ok_or_else(|| {
            self.unknown("output", name, self.outputs.iter().map(|(n, _)| n.as_str()))
        })
    }

    /// Names a value so that callers find it.
    pub fn output(&mut self, name: &str, value: Value) {
        self.outputs.push((format!("{}{name}", self.scope), value));
    }

    /// A value that the caller feeds, `dims` without the batch, channels last.
    pub fn input(&mut self, name: &str, dims: &[usize]) -> Value {
        self.push(Op::Input, name, &[], dims.to_vec())
    }

    /// A square convolution `[H, W, C] → [H', W', output]` with zero padding.
    ///
    /// Declares `{name}.weight` and, with `bias`, `{name}.bias`.
    ///
    /// # Errors
    /// When x is not a picture or the padded picture is smaller than the kernel.
    pub fn convolution(
        &mut self,
        x: Value,
        name: &str,
        output: usize,
        kernel: usize,
        stride: usize,
        padding: Padding,
        bias: bool,
    ) -> Result<Value, GraphError> {
        let [h, w, input] = self.picture(x, name)?;
        let extent = |size: usize, before: usize, after: usize| {
            (size + before + after)
                .checked_sub(kernel)
                .map(|room| room / stride.max(1) + 1)
        };
        let (Some(out_h), Some(out_w)) = (
            extent(h, padding.top, padding.bottom),
            extent(w, padding.left, padding.right),
        ) else {
            return Err(shape(
                name,
                format!("a {h}×{w} picture is smaller than the {kernel}×{kernel} kernel"),
            ));
        };
        if kernel == 0 || stride == 0 || output == 0 {
            return Err(shape(
                name,
                "kernel, stride and channels must be at least 1",
            ));
        }
        let weight = self.declare(
            format!("{name}.weight"),
            ParameterKind::Convolution {
                kernel,
                input,
                output,
            },
        )?;
        let bias = self.bias(name, output, bias)?;
        let op = Op::Convolution {
            weight,
            bias,
            kernel,
            stride,
            padding,
        };
        Ok(self.push(op, name, &[x], vec![out_h, out_w, output]))
    }

    /// A linear map of the last axis, `[.., C] → [.., output]`.
    ///
    /// Declares `{name}.weight` and, with `bias`, `{name}.bias`.
    ///
    /// # Errors
    /// When a parameter of this name exists with another shape.
    pub fn linear(
        &mut self,
        x: Value,
        name: &str,
        output: usize,
        bias: bool,
    ) -> Result<Value, GraphError> {
        let mut dims = self.dims(x).to_vec();
        let input = self.channels(x);
        let weight = self.declare(
            format!("{name}.weight"),
            ParameterKind::Linear { input, output },
        )?;
        let bias = self.bias(name, output, bias)?;
        *dims.last_mut().expect("every value has an axis") = output;
        Ok(self.push(Op::Linear { weight, bias }, name, &[x], dims))
    }

    /// Group normalisation over positions and the channels of each group,
    /// then, with `silu`, x · sigmoid(x). Declares `{name}.weight` and `{name}.bias`.
    ///
    /// # Errors
    /// When the channels do not divide into the groups.
    pub fn group_norm(
        &mut self,
        x: Value,
        name: &str,
        groups: usize,
        eps: f64,
        silu: bool,
    ) -> Result<Value, GraphError> {
        let len = self.channels(x);
        if groups == 0 || !len.is_multiple_of(groups) {
            return Err(shape(
                name,
                format!("{len} channels do not divide into {groups} groups"),
            ));
        }
        let gain = self.declare(format!("{name}.weight"), ParameterKind::Gain { len })?;
        let bias = self.declare(format!("{name}.bias"), ParameterKind::Bias { len })?;
        let op = Op::GroupNorm {
            gain,
            bias,
            groups,
            eps,
            silu,
        };
        let dims = self.dims(x).to_vec();
        Ok(self.push(op, name, &[x], dims))
    }

    /// Normalisation of each position over its channels. Declares
    /// `{name}.weight` and `{name}.bias`.
    ///
    /// # Errors
    /// When a parameter of this name exists with another shape.
    pub fn layer_norm(&mut self, x: Value, name: &str, eps: f64) -> Result<Value, GraphError> {
        let len = self.channels(x);
        let gain = self.declare(format!("{name}.weight"), ParameterKind::Gain { len })?;
        let bias = self.declare(format!("{name}.bias"), ParameterKind::Bias { len })?;
        let dims = self.dims(x).to_vec();
        Ok(self.push(Op::LayerNorm { gain, bias, eps }, name, &[x], dims))
    }

    /// x · sigmoid(x).
    pub fn silu(&mut self, x: Value) -> Value {
        self.activation(x, Activation::Silu)
    }

    /// A function of each value.
    pub fn activation(&mut self, x: Value, function: Activation) -> Value {
        let dims = self.dims(x).to_vec();
        self.push(Op::Activation(function), "activation", &[x], dims)
    }

    /// a · gelu(b), where x `[.., 2C]` is a then b.
    ///
    /// # Errors
    /// When the channels are odd.
    pub fn geglu(&mut self, x: Value) -> Result<Value, GraphError> {
        let mut dims = self.dims(x).to_vec();
        let channels = self.channels(x);
        if !channels.is_multiple_of(2) {
            return Err(shape(
                "geglu",
                format!("{channels} channels have no halves"),
            ));
        }
        *dims.last_mut().expect("every value has an axis") = channels / 2;
        Ok(self.push(Op::Geglu, "geglu", &[x], dims))
    }

    /// a + b of one shape.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value, GraphError> {
        let dims = self.dims(a).to_vec();
        if dims != self.dims(b) {
            return Err(shape(
                "add",
                format!("{dims:?} and {:?} differ", self.dims(b)),
            ));
        }
        Ok(self.push(Op::Add, "add", &[a, b], dims))
    }

    /// x `[.., C]` + v `[C]` at every position.
    ///
    /// # Errors
    /// When the channels differ.
    pub fn add_vector(&mut self, x: Value, v: Value) -> Result<Value, GraphError> {
        let dims = self.dims(x).to_vec();
        if self.dims(v) != [self.channels(x)] {
            return Err(shape(
                "add vector",
                format!("{:?} does not fit {dims:?}", self.dims(v)),
            ));
        }
        Ok(self.push(Op::AddVector, "add vector", &[x, v], dims))
    }

    /// x `[P, C]` + the table `{name}.weight`, a row for each position.
    ///
    /// # Errors
    /// When x does not have two axes.
    pub fn add_table(&mut self, x: Value, name: &str) -> Result<Value, GraphError> {
        let dims = self.dims(x).to_vec();
        let [rows, channels] = dims[..] else {
            return Err(shape(name, format!("needs [P, C], not {dims:?}")));
        };
        let table = self.declare(
            format!("{name}.weight"),
            ParameterKind::Table { rows, channels },
        )?;
        Ok(self.push(Op::AddTable { table }, name, &[x], dims))
    }

    /// x · (1 + s) + b at every position, where v `[2C]` is s then b.
    ///
    /// # Errors
    /// When v does not hold twice the channels of x.
    pub fn scale_shift(&mut self, x: Value, v: Value) -> Result<Value, GraphError> {
        let dims = self.dims(x).to_vec();
        if self.dims(v) != [2 * self.channels(x)] {
            return Err(shape(
                "scale shift",
                format!("{:?} does not fit {dims:?}", self.dims(v)),
            ));
        }
        Ok(self.push(Op::ScaleShift, "scale shift", &[x, v], dims))
    }

    /// x · factor.
    pub fn scale(&mut self, x: Value, factor: f64) -> Value {
        let dims = self.dims(x).to_vec();
        self.push(Op::Scale(factor), "scale", &[x], dims)
    }

    /// The channels of a, then those of b.
    ///
    /// # Errors
    /// When the positions differ.
    pub fn concat(&mut self, a: Value, b: Value) -> Result<Value, GraphError> {
        let mut dims = self.dims(a).to_vec();
        let other = self.dims(b);
        if dims.len() != other.len() || dims[..dims.len() - 1] != other[..other.len() - 1] {
            return Err(shape(
                "concat",
                format!("{dims:?} and {other:?} differ in their positions"),
            ));
        }
        *dims.last_mut().expect("every value has an axis") += self.channels(b);
        Ok(self.push(Op::Concat, "concat", &[a, b], dims))
    }

    /// Every pixel becomes 2×2 pixels, or what `size` = (H, W) asks (nearest
    /// source pixel, as PyTorch's `interpolate`).
    ///
    /// # Errors
    /// When x is not a picture.
    pub fn upsample_nearest(
        &mut self,
        x: Value,
        size: Option<(usize, usize)>,
    ) -> Result<Value, GraphError> {
        let [h, w, c] = self.picture(x, "upsample")?;
        let (h, w) = size.unwrap_or((2 * h, 2 * w));
        Ok(self.push(Op::UpsampleNearest, "upsample", &[x], vec![h, w, c]))
    }

    /// The mean of each 2×2 block; an odd last row or column is dropped.
    ///
    /// # Errors
    /// When x is not a picture of at least 2×2.
    pub fn average_pool(&mut self, x: Value) -> Result<Value, GraphError> {
        let [h, w, c] = self.picture(x, "average pool")?;
        if h < 2 || w < 2 {
            return Err(shape("average pool", format!("{h}×{w} is below 2×2")));
        }
        Ok(self.push(Op::AveragePool, "average pool", &[x], vec![h / 2, w / 2, c]))
    }

    /// Multi-head attention, softmax(q kᵀ / √d) v with d channels a head.
    /// All positions of q attend to all positions of k and v.
    ///
    /// # Errors
    /// When the channels or positions do not fit.
    pub fn attention(
        &mut self,
        q: Value,
        k: Value,
        v: Value,
        heads: usize,
    ) -> Result<Value, GraphError> {
        self.attend(q, k, v, heads, false)
    }

    /// [`Self::attention`] of a sequence to itself: a position attends to
    /// itself and those before it.
    ///
    /// # Errors
    /// When the channels or positions do not fit.
    pub fn causal_attention(
        &mut self,
        q: Value,
        k: Value,
        v: Value,
        heads: usize,
    ) -> Result<Value, GraphError> {
        self.attend(q, k, v, heads, true)
    }

    fn attend(
        &mut self,
        q: Value,
        k: Value,
        v: Value,
        heads: usize,
        causal: bool,
    ) -> Result<Value, GraphError> {
        let dims = self.dims(q).to_vec();
        let (ck, cv) = (self.channels(k), self.channels(v));
        let positions = |value: Value| self.dims(value).iter().rev().skip(1).product::<usize>();
        if heads == 0
            || self.channels(q) != ck
            || ck != cv
            || !ck.is_multiple_of(heads)
            || positions(k) != positions(v)
        {
            return Err(shape(
                "attention",
                format!(
                    "q {dims:?}, k {:?} and v {:?} do not fit {heads} heads",
                    self.dims(k),
                    self.dims(v)
                ),
            ));
        }
        Ok(self.push(
            Op::Attention { heads, causal },
            "attention",
            &[q, k, v],
            dims,
        ))
    }

    /// Sines and cosines of timesteps, `[P] → [P · channels]`.
    ///
    /// # Errors
    /// When the timesteps do not have one axis or the channels are below 2.
    pub fn sinusoidal(
        &mut self,
        timesteps: Value,
        embedding: SinusoidalEmbedding,
    ) -> Result<Value, GraphError> {
        let [count] = *self.dims(timesteps) else {
            let dims = self.dims(timesteps);
            return Err(shape(
                "sinusoidal embedding",
                format!("needs timesteps [P], not {dims:?}"),
            ));
        };
        if embedding.channels < 2 {
            return Err(shape("sinusoidal embedding", "needs at least 2 channels"));
        }
        let op = Op::Sinusoidal(embedding);
        let dims = vec![count * embedding.channels];
        Ok(self.push(op, "sinusoidal embedding", &[timesteps], dims))
    }

    /// Row `index` `[1]` of the table `{name}.weight`, as `[channels]`; of
    /// several indices `[P]`, their rows `[P, channels]`.
    ///
    /// # Errors
    /// When the indices do not have one axis.
    pub fn embedding(
        &mut self,
        index: Value,
        name: &str,
        rows: usize,
        channels: usize,
    ) -> Result<Value, GraphError> {
        let dims = match *self.dims(index) {
            [1] => vec![channels],
            [positions] => vec![positions, channels],
            _ => {
                return Err(shape(
                    name,
                    format!("needs indices [P], not {:?}", self.dims(index)),
                ));
            }
        };
        let table = self.declare(
            format!("{name}.weight"),
            ParameterKind::Table { rows, channels },
        )?;
        Ok(self.push(Op::Embedding { table }, name, &[index], dims))
    }

    /// The sum over all positions, `[.., C] → [C]`.
    pub fn sum_pool(&mut self, x: Value) -> Value {
        let dims = vec![self.channels(x)];
        self.push(Op::SumPool, "sum pool", &[x], dims)
    }

    fn channels(&self, value: Value) -> usize {
        self.dims(value).last().copied().unwrap_or(1)
    }

    fn picture(&self, value: Value, node: &str) -> Result<[usize; 3], GraphError> {
        self.dims(value)
            .try_into()
            .map_err(|_| shape(node, format!("needs [H, W, C], not {:?}", self.dims(value))))
    }

    fn bias(
        &mut self,
        name: &str,
        len: usize,
        wanted: bool,
    ) -> Result<Option<Parameter>, GraphError> {
        wanted
            .then(|| self.declare(format!("{name}.bias"), ParameterKind::Bias { len }))
            .transpose()
    }

    /// A name that is used again with the same kind shares its parameter.
    fn declare(&mut self, name: String, kind: ParameterKind) -> Result<Parameter, GraphError> {
        let name = self.scope.clone() + &name;
        if let Some(index) = self.parameters.iter().position(|p| p.name == name) {
            let first = self.parameters[index].kind;
            return if first == kind {
                Ok(Parameter(index))
            } else {
                Err(GraphError::Redeclared {
                    name,
                    first: format!("{:?}", first.file_dims()),
                    second: format!("{:?}", kind.file_dims()),
                })
            };
        }
        self.parameters.push(ParameterSpec { name, kind });
        Ok(Parameter(self.parameters.len() - 1))
    }

    fn push(&mut self, op: Op, name: &str, inputs: &[Value], dims: Vec<usize>) -> Value {
        self.nodes.push(Node {
            op,
            name: name.to_owned(),
            inputs: inputs.to_vec(),
            dims,
        });
        Value(self.nodes.len() - 1)
    }

    fn unknown<'a>(
        &self,
        kind: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> GraphError {
        GraphError::Unknown {
            kind,
            name: name.to_owned(),
            known: known.collect::<Vec<_>>().join(", "),
        }
    }
}

fn shape(node: &str, why: impl Into<String>) -> GraphError {
    GraphError::Shape {
        node: node.to_owned(),
        why: why.into(),
    }
}
