//! Balance a pole on a cart.

use super::environment::{Choice, Environment, Frame, Step};
use super::starts::Pcg64;

/// A pole on a cart that is pushed left or right with 10 N every 20 ms.
///
/// Observes position (m), velocity, angle (rad, clockwise from upright) and
/// angular velocity. Every step is worth 1. It terminates beyond ±2.4 m or
/// ±12°. Barto, Sutton and Anderson, "Neuronlike adaptive elements that can
/// solve difficult learning control problems", 1983.
#[derive(Clone, Debug, Default)]
pub struct CartPole {
    state: [f64; 4],
    fallen: bool,
}

const GRAVITY: f64 = 9.8;
const POLE_MASS: f64 = 0.1;
const TOTAL_MASS: f64 = POLE_MASS + 1.0;
const HALF_LENGTH: f64 = 0.5;
const POLE_MASS_LENGTH: f64 = POLE_MASS * HALF_LENGTH;
const FORCE: f64 = 10.0;
const SECONDS: f64 = 0.02;
const ANGLE_LIMIT: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0;
const POSITION_LIMIT: f64 = 2.4;

impl Environment for CartPole {
    type Observation = [f32; 4];
    type Action = Choice<2>;
    type State = [f64; 4];

    const GYMNASIUM_ID: &'static str = "CartPole-v1";
    const OBSERVATIONS: usize = 4;
    const OUTPUTS: usize = 2;
    const TIME_LIMIT: usize = 500;
    // Where it ends, and what it reaches on the way there.
    const UNITS: &'static [f32] = &[2.4, 2.0, 0.2095, 2.0];

    fn reset(&mut self, seed: u64) {
        let mut generator = Pcg64::new(seed);
        self.reset_to([(); 4].map(|()| generator.uniform(-0.05, 0.05)));
    }

    fn reset_to(&mut self, state: [f64; 4]) {
        self.state = state;
        self.fallen = false;
    }

    fn state(&self) -> [f64; 4] {
        self.state
    }

    fn observe(&self) -> [f32; 4] {
        self.state.map(|value| value as f32)
    }

    fn decide(outputs: &[f32]) -> Choice<2> {
        Choice::greedy(outputs)
    }

    fn step(&mut self, action: Choice<2>) -> Step {
        let [position, velocity, angle, spin] = self.state;
        let force = if action.index() == 1 { FORCE } else { -FORCE };
        let (sine, cosine) = libm::sincos(angle);
        let pushed = (force + POLE_MASS_LENGTH * (spin * spin) * sine) / TOTAL_MASS;
        let spin_rate = (GRAVITY * sine - cosine * pushed)
            / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * (cosine * cosine) / TOTAL_MASS));
        let acceleration = pushed - POLE_MASS_LENGTH * spin_rate * cosine / TOTAL_MASS;
        self.state = [
            position + SECONDS * velocity,
            velocity + SECONDS * acceleration,
            angle + SECONDS * spin,
            spin + SECONDS * spin_rate,
        ];
        let [position, _, angle, _] = self.state;
        let terminated = position.abs() > POSITION_LIMIT || angle.abs() > ANGLE_LIMIT;
        // The step that ends the episode is worth 1; steps after it are not.
        let reward = if terminated && self.fallen { 0.0 } else { 1.0 };
        self.fallen |= terminated;
        Step { reward, terminated }
    }

    fn frame(&self) -> Frame {
        Frame::CartPole {
            position: self.state[0],
            angle: self.state[2],
        }
    }
}
