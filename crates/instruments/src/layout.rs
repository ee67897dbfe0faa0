//! Which of the network's outputs belong to which factor.

use alice_worlds::{FACTORS, FactorKind, Species};

/// The outputs of one factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// The factor's index in [`FACTORS`].
    pub factor: usize,
    /// The factor's name.
    pub name: &'static str,
    /// What values the factor takes.
    pub kind: FactorKind,
    /// The first of its outputs.
    pub start: usize,
    /// The number of its outputs.
    pub len: usize,
}

impl Slot {
    /// Mean and standard deviation of a uniform continuous factor; those that
    /// leave the outputs as they are for the other kinds.
    #[must_use]
    pub fn standard(&self) -> (f32, f32) {
        match self.kind {
            FactorKind::Continuous { low, high } => {
                (0.5 * (low + high), (high - low) / 12f32.sqrt())
            }
            FactorKind::Circular => (0.0, 0.5f32.sqrt()),
            FactorKind::Binary | FactorKind::Categorical { .. } => (0.0, 1.0),
        }
    }
}

/// The outputs of every factor, in the order of [`FACTORS`]: of a continuous
/// factor one value, of a circular one cosine and sine, of a binary one a
/// logit, of a categorical one a logit per category.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    slots: Vec<Slot>,
    len: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self::new()
    }
}

impl Layout {
    /// The layout of [`FACTORS`].
    #[must_use]
    pub fn new() -> Self {
        let mut len = 0;
        let slots = FACTORS.iter().enumerate().map(|(factor, spec)| {
            let start = len;
            let outputs = match spec.kind {
                FactorKind::Continuous { .. } | FactorKind::Binary => 1,
                FactorKind::Circular => 2,
                FactorKind::Categorical { count } => count,
            };
            len += outputs;
            Slot {
                factor,
                name: spec.name,
                kind: spec.kind,
                start,
                len: outputs,
            }
        });
        Self {
            slots: slots.collect(),
            len,
        }
    }

    /// One slot per factor.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The number of outputs.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a layout is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// A name per output, such as `smile`, `hue.cos` or `species.frog`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let outputs = |slot: &Slot| -> Vec<String> {
            let name = slot.name;
            match slot.kind {
                FactorKind::Continuous { .. } => vec![name.to_owned()],
                FactorKind::Circular => vec![format!("{name}.cos"), format!("{name}.sin")],
                FactorKind::Binary => vec![format!("{name}.logit")],
                FactorKind::Categorical { count } => (0..count)
                    .map(|index| match Species::ALL.get(index) {
                        Some(species) if name == "species" => format!("{name}.{species:?}"),
                        _ => format!("{name}.{index}"),
                    })
                    .map(|name| name.to_lowercase())
                    .collect(),
            }
        };
        self.slots.iter().flat_map(outputs).collect()
    }
}
