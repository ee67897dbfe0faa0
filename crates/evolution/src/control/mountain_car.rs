//! Get an underpowered car out of a valley, by three actions.

use super::environment::{Choice, Environment, Frame, Step};
use super::starts::Pcg64;

/// A car that has to swing up a hill, pushing left, not at all, or right.
///
/// Observes position and velocity. Every step costs 1; it terminates at
/// position 0.5. Moore, "Efficient memory-based learning for robot control",
/// 1990.
#[derive(Clone, Debug, Default)]
pub struct MountainCar {
    position: f64,
    velocity: f64,
}

pub(super) const POSITIONS: [f64; 2] = [-1.2, 0.6];
pub(super) const SPEED_LIMIT: f64 = 0.07;
pub(super) const GRAVITY: f64 = 0.0025;
const FORCE: f64 = 0.001;
const GOAL: f64 = 0.5;

/// A car at rest near the bottom of the valley.
pub(super) fn start(seed: u64) -> [f64; 2] {
    [Pcg64::new(seed).uniform(-0.6, -0.4), 0.0]
}

/// The car as it is drawn.
pub(super) fn frame(position: f64, goal: f64) -> Frame {
    Frame::MountainCar {
        position,
        height: libm::sin(3.0 * position) * 0.45 + 0.55,
        goal,
    }
}

impl Environment for MountainCar {
    type Observation = [f32; 2];
    type Action = Choice<3>;
    type State = [f64; 2];

    const GYMNASIUM_ID: &'static str = "MountainCar-v0";
    const OBSERVATIONS: usize = 2;
    const OUTPUTS: usize = 3;
    const TIME_LIMIT: usize = 200;
    const UNITS: &'static [f32] = &[1.0, SPEED_LIMIT as f32];

    fn reset(&mut self, seed: u64) {
        self.reset_to(start(seed));
    }

    fn reset_to(&mut self, [position, velocity]: [f64; 2]) {
        *self = Self { position, velocity };
    }

    fn state(&self) -> [f64; 2] {
        [self.position, self.velocity]
    }

    fn observe(&self) -> [f32; 2] {
        [self.position as f32, self.velocity as f32]
    }

    fn decide(outputs: &[f32]) -> Choice<3> {
        Choice::greedy(outputs)
    }

    fn step(&mut self, action: Choice<3>) -> Step {
        let push = (action.index() as f64 - 1.0) * FORCE;
        let slope = libm::cos(3.0 * self.position) * (-GRAVITY);
        self.velocity = (self.velocity + (push + slope)).clamp(-SPEED_LIMIT, SPEED_LIMIT);
        self.position = (self.position + self.velocity).clamp(POSITIONS[0], POSITIONS[1]);
        if self.position == POSITIONS[0] && self.velocity < 0.0 {
            self.velocity = 0.0;
        }
        Step {
            reward: -1.0,
            terminated: self.position >= GOAL && self.velocity >= 0.0,
        }
    }

    fn frame(&self) -> Frame {
        frame(self.position, GOAL)
    }
}
