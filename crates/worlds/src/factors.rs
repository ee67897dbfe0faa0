//! What a picture depends on.

use serde::{Deserialize, Serialize};

/// Who is on the stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Species {
    /// A person with the head of a cat.
    #[default]
    Cat,
    /// A person.
    Person,
    /// A jointed wooden puppet.
    Puppet,
    /// A horse with a long muzzle.
    Horse,
    /// A frog with its eyes on top.
    Frog,
}

impl Species {
    /// Every species, in the order of the `species` factor.
    pub const ALL: [Self; 5] = [
        Self::Cat,
        Self::Person,
        Self::Puppet,
        Self::Horse,
        Self::Frog,
    ];

    /// The position in [`Species::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The English name.
    #[must_use]
    pub fn name_en(self) -> &'static str {
        match self {
            Self::Cat => "cat person",
            Self::Person => "person",
            Self::Puppet => "wooden puppet",
            Self::Horse => "horse",
            Self::Frog => "frog",
        }
    }

    /// The Chinese name.
    #[must_use]
    pub fn name_zh(self) -> &'static str {
        match self {
            Self::Cat => "猫人",
            Self::Person => "人",
            Self::Puppet => "木偶",
            Self::Horse => "马",
            Self::Frog => "青蛙",
        }
    }
}

/// Everything that a picture of the puppet show depends on.
///
/// Horizontal directions are the viewer's: −1 is the left of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factors {
    /// Who is on the stage.
    pub species: Species,
    /// Small (−1) to large (1).
    pub head_size: f32,
    /// Left (−1) to right (1).
    pub head_x: f32,
    /// High (−1) to low (1).
    pub head_y: f32,
    /// Anticlockwise (−1) to clockwise (1).
    pub tilt: f32,
    /// Colour of the character, in turns [0, 1): red, yellow, green, blue.
    pub hue: f32,
    /// Small (−1) to large (1); of a horse the muzzle, of a frog the nostrils.
    pub nose_size: f32,
    /// Small (−1) to large (1); of a frog the eardrums.
    pub ear_size: f32,
    /// Small (−1) to large (1).
    pub eye_size: f32,
    /// Closed (0) to wide open (1).
    pub eye_openness: f32,
    /// Looking left (−1) to looking right (1).
    pub gaze: f32,
    /// Frown (−1) to broad open smile (1).
    pub smile: f32,
    /// Angry (−1) to worried (1).
    pub brow: f32,
    /// Colour of the curtain, in turns [0, 1).
    pub background_hue: f32,
    /// Lit from the left (−1) to lit from the right (1), always from above.
    pub light: f32,
    /// Wears a top hat.
    pub hat: bool,
    /// Wears glasses.
    pub glasses: bool,
    /// Hangs on strings.
    pub strings: bool,
    /// The rare haunted face: hollow eyes, pale skin, jagged mouth.
    pub haunted: bool,
}

impl Default for Factors {
    /// A calm cat in the middle of the stage, eyes open.
    fn default() -> Self {
        Self {
            species: Species::Cat,
            head_size: 0.0,
            head_x: 0.0,
            head_y: 0.0,
            tilt: 0.0,
            hue: 0.08,
            nose_size: 0.0,
            ear_size: 0.0,
            eye_size: 0.0,
            eye_openness: 0.8,
            gaze: 0.0,
            smile: 0.4,
            brow: 0.0,
            background_hue: 0.6,
            light: 0.0,
            hat: false,
            glasses: false,
            strings: false,
            haunted: false,
        }
    }
}
