//! Labels and named points that come with a scene.

/// The parts of a picture, as labelled in a scene's part map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Part {
    /// The curtain behind the stage.
    Curtain = 0,
    /// The floor of the stage.
    Floor = 1,
    /// Strings and the bar they hang on.
    Strings = 2,
    /// Body, neck, arms and hands.
    Body = 3,
    /// The head without what is labelled otherwise.
    Head = 4,
    /// Ears; a frog's eardrums.
    Ear = 5,
    /// Hair and mane.
    Hair = 6,
    /// Eyes, closed ones too.
    Eye = 7,
    /// Nose; a horse's muzzle.
    Nose = 8,
    /// Mouth, and the hinge lines of a puppet.
    Mouth = 9,
    /// Brows.
    Brow = 10,
    /// Rims of glasses.
    Glasses = 11,
    /// Hat.
    Hat = 12,
}

impl Part {
    /// Every part, in the order of its label.
    pub const ALL: [Self; 13] = [
        Self::Curtain,
        Self::Floor,
        Self::Strings,
        Self::Body,
        Self::Head,
        Self::Ear,
        Self::Hair,
        Self::Eye,
        Self::Nose,
        Self::Mouth,
        Self::Brow,
        Self::Glasses,
        Self::Hat,
    ];

    /// The label in a part map.
    #[must_use]
    pub fn label(self) -> u8 {
        self as u8
    }

    /// A short English name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Curtain => "curtain",
            Self::Floor => "floor",
            Self::Strings => "strings",
            Self::Body => "body",
            Self::Head => "head",
            Self::Ear => "ear",
            Self::Hair => "hair",
            Self::Eye => "eye",
            Self::Nose => "nose",
            Self::Mouth => "mouth",
            Self::Brow => "brow",
            Self::Glasses => "glasses",
            Self::Hat => "hat",
        }
    }
}

/// A named point of a picture, in pixels from the upper left corner, where
/// pixel (i, j) covers [i, i + 1) × [j, j + 1).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Landmark {
    /// The name, the same in every picture; left is the viewer's left.
    pub name: &'static str,
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the upper edge.
    pub y: f32,
}
