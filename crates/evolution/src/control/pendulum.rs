//! Swing a pendulum up and hold it there.

use super::environment::{Environment, Frame, Step};
use super::starts::Pcg64;
use std::f64::consts::PI;

/// A rod with a motor of at most 2 N m at its fixed end.
///
/// Observes cos θ, sin θ and the angular velocity; θ is 0 upright. A step costs
/// θ² + 0.1 θ̇² + 0.001 torque² and nothing terminates.
#[derive(Clone, Debug, Default)]
pub struct Pendulum {
    angle: f64,
    speed: f64,
    torque: f64,
}

const GRAVITY: f64 = 10.0;
const SECONDS: f64 = 0.05;
const SPEED_LIMIT: f64 = 8.0;
const TORQUE_LIMIT: f32 = 2.0;

impl Environment for Pendulum {
    type Observation = [f32; 3];
    type Action = f32;
    type State = [f64; 2];

    const GYMNASIUM_ID: &'static str = "Pendulum-v1";
    const OBSERVATIONS: usize = 3;
    const OUTPUTS: usize = 1;
    const TIME_LIMIT: usize = 200;
    const UNITS: &'static [f32] = &[1.0, 1.0, SPEED_LIMIT as f32];

    fn reset(&mut self, seed: u64) {
        let mut generator = Pcg64::new(seed);
        let angle = generator.uniform(-PI, PI);
        self.reset_to([angle, generator.uniform(-1.0, 1.0)]);
    }

    fn reset_to(&mut self, [angle, speed]: [f64; 2]) {
        *self = Self {
            angle,
            speed,
            torque: 0.0,
        };
    }

    fn state(&self) -> [f64; 2] {
        [self.angle, self.speed]
    }

    fn observe(&self) -> [f32; 3] {
        let (sine, cosine) = libm::sincos(self.angle);
        [cosine as f32, sine as f32, self.speed as f32]
    }

    fn decide(outputs: &[f32]) -> f32 {
        TORQUE_LIMIT * libm::tanhf(outputs[0])
    }

    fn step(&mut self, action: f32) -> Step {
        // Gymnasium's actions are single precision, and so are the terms that
        // hold nothing else.
        let torque = action.clamp(-TORQUE_LIMIT, TORQUE_LIMIT);
        let lean = (self.angle + PI).rem_euclid(2.0 * PI) - PI;
        let cost =
            lean * lean + 0.1 * (self.speed * self.speed) + f64::from(0.001 * (torque * torque));
        let rate = 3.0 * GRAVITY / 2.0 * libm::sin(self.angle) + f64::from(3.0 * torque);
        self.speed = (self.speed + rate * SECONDS).clamp(-SPEED_LIMIT, SPEED_LIMIT);
        self.angle += self.speed * SECONDS;
        self.torque = f64::from(torque);
        Step {
            reward: -cost,
            terminated: false,
        }
    }

    fn frame(&self) -> Frame {
        Frame::Pendulum {
            angle: self.angle,
            torque: self.torque,
        }
    }
}
