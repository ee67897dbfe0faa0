//! Get an underpowered car out of a valley, by a force.

use super::environment::{Environment, Frame, Step};
use super::mountain_car::{GRAVITY, POSITIONS, SPEED_LIMIT, frame, start};

/// A car that has to swing up a hill, pushing with a force in [−1, 1].
///
/// Observes position and velocity. A step costs a tenth of the squared force;
/// the one that reaches position 0.45 terminates and earns 100.
///
/// Gymnasium begins in double precision and keeps the state in single
/// precision from the first step on; so do we, operation by operation. A state
/// given to [`reset_to`](Environment::reset_to) is taken for one after the
/// first step if single precision holds it.
#[derive(Clone, Debug, Default)]
pub struct MountainCarContinuous {
    position: f64,
    velocity: f64,
    /// Whether the state is single precision by now.
    single: bool,
}

const POWER: f64 = 0.0015;
const GOAL: f64 = 0.45;

/// Rounds to single precision. A sum, difference or product of two single
/// precision numbers, taken in double precision and rounded, is the one taken
/// in single precision.
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}

impl Environment for MountainCarContinuous {
    type Observation = [f32; 2];
    type Action = f32;
    type State = [f64; 2];

    const GYMNASIUM_ID: &'static str = "MountainCarContinuous-v0";
    const OBSERVATIONS: usize = 2;
    const OUTPUTS: usize = 1;
    const TIME_LIMIT: usize = 999;
    const UNITS: &'static [f32] = &[1.0, SPEED_LIMIT as f32];

    fn reset(&mut self, seed: u64) {
        self.reset_to(start(seed));
    }

    fn reset_to(&mut self, [position, velocity]: [f64; 2]) {
        *self = Self {
            position,
            velocity,
            single: single(position) == position && single(velocity) == velocity,
        };
    }

    fn state(&self) -> [f64; 2] {
        [self.position, self.velocity]
    }

    fn observe(&self) -> [f32; 2] {
        [self.position as f32, self.velocity as f32]
    }

    fn decide(outputs: &[f32]) -> f32 {
        libm::tanhf(outputs[0])
    }

    fn step(&mut self, action: f32) -> Step {
        // The precision of the state as the step begins.
        let kept = |value: f64| if self.single { single(value) } else { value };
        let pull = GRAVITY * libm::cos(kept(3.0 * self.position));
        let action = f64::from(action);
        // A clipped force is a double; one within the limits is a single.
        let push = if action.abs() > 1.0 {
            action.signum() * POWER - pull
        } else {
            single(single(action * single(POWER)) - single(pull))
        };
        let limit = kept(SPEED_LIMIT);
        let velocity = kept(self.velocity + kept(push)).clamp(-limit, limit);
        let [low, high] = POSITIONS.map(kept);
        let position = kept(self.position + velocity).clamp(low, high);
        let stopped = position == low && velocity < 0.0;
        let velocity = if stopped { 0.0 } else { velocity };
        let terminated = position >= kept(GOAL) && velocity >= 0.0;
        *self = Self {
            position: single(position),
            velocity: single(velocity),
            single: true,
        };
        let reward = if terminated { 100.0 } else { 0.0 };
        Step {
            reward: reward - action * action * 0.1,
            terminated,
        }
    }

    fn frame(&self) -> Frame {
        frame(self.position, GOAL)
    }
}
