//! Swing a two-link pendulum up by its middle joint.

use super::environment::{Choice, Environment, Frame, Step};
use super::starts::Pcg64;
use std::f64::consts::PI;

/// Two hanging links with a motor of −1, 0 or 1 N m at the joint between them.
///
/// Observes cos θ₁, sin θ₁, cos θ₂, sin θ₂ and the two angular velocities;
/// θ₁ is measured from straight down, θ₂ from the first link. Every step costs
/// 1 but the one that lifts the free end 1 above the fixed one, which
/// terminates. The equations are those of Sutton and Barto's book, integrated
/// by one Runge–Kutta step of order 4 per 0.2 s. Sutton, "Generalization in
/// reinforcement learning: successful examples using sparse coarse coding",
/// 1996.
#[derive(Clone, Debug, Default)]
pub struct Acrobot {
    state: [f64; 4],
}

const SECONDS: f64 = 0.2;
const SPEED_LIMITS: [f64; 2] = [4.0 * PI, 9.0 * PI];
const GRAVITY: f64 = 9.8;
/// The distance of a link's centre of mass from its joint. Link lengths, masses
/// and moments of inertia are all 1.
const CENTRE: f64 = 0.5;

impl Environment for Acrobot {
    type Observation = [f32; 6];
    type Action = Choice<3>;
    type State = [f64; 4];

    const GYMNASIUM_ID: &'static str = "Acrobot-v1";
    const OBSERVATIONS: usize = 6;
    const OUTPUTS: usize = 3;
    const TIME_LIMIT: usize = 500;
    const UNITS: &'static [f32] = &[
        1.0,
        1.0,
        1.0,
        1.0,
        SPEED_LIMITS[0] as f32,
        SPEED_LIMITS[1] as f32,
    ];

    fn reset(&mut self, seed: u64) {
        let mut generator = Pcg64::new(seed);
        // Gymnasium rounds the start, and only the start, to single precision.
        self.reset_to([(); 4].map(|()| f64::from(generator.uniform(-0.1, 0.1) as f32)));
    }

    fn reset_to(&mut self, state: [f64; 4]) {
        self.state = state;
    }

    fn state(&self) -> [f64; 4] {
        self.state
    }

    fn observe(&self) -> [f32; 6] {
        let [first, second, first_speed, second_speed] = self.state;
        let (sine_1, cosine_1) = libm::sincos(first);
        let (sine_2, cosine_2) = libm::sincos(second);
        [
            cosine_1,
            sine_1,
            cosine_2,
            sine_2,
            first_speed,
            second_speed,
        ]
        .map(|value| value as f32)
    }

    fn decide(outputs: &[f32]) -> Choice<3> {
        Choice::greedy(outputs)
    }

    fn step(&mut self, action: Choice<3>) -> Step {
        let torque = action.index() as f64 - 1.0;
        let [first, second, first_speed, second_speed] = runge_kutta(self.state, torque);
        self.state = [
            wrap(first),
            wrap(second),
            first_speed.clamp(-SPEED_LIMITS[0], SPEED_LIMITS[0]),
            second_speed.clamp(-SPEED_LIMITS[1], SPEED_LIMITS[1]),
        ];
        let height = -libm::cos(self.state[0]) - libm::cos(self.state[1] + self.state[0]);
        let terminated = height > 1.0;
        let reward = if terminated { 0.0 } else { -1.0 };
        Step { reward, terminated }
    }

    fn frame(&self) -> Frame {
        Frame::Acrobot {
            angles: [self.state[0], self.state[1]],
        }
    }
}

/// One step of the classical Runge–Kutta method.
fn runge_kutta(state: [f64; 4], torque: f64) -> [f64; 4] {
    let moved = |by: f64, slope: &[f64; 4]| {
        let mut moved = state;
        for (value, slope) in moved.iter_mut().zip(slope) {
            *value += by * slope;
        }
        moved
    };
    let half = SECONDS / 2.0;
    let k1 = derivative(state, torque);
    let k2 = derivative(moved(half, &k1), torque);
    let k3 = derivative(moved(half, &k2), torque);
    let k4 = derivative(moved(SECONDS, &k3), torque);
    let mut next = state;
    for i in 0..4 {
        next[i] += SECONDS / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
    }
    next
}

/// The time derivative of (θ₁, θ₂, θ̇₁, θ̇₂).
fn derivative([first, second, first_speed, second_speed]: [f64; 4], torque: f64) -> [f64; 4] {
    let (sine, cosine) = libm::sincos(second);
    let square = CENTRE * CENTRE;
    let d1 = square + (1.0 + square + 2.0 * CENTRE * cosine) + 1.0 + 1.0;
    let d2 = (square + CENTRE * cosine) + 1.0;
    let phi2 = CENTRE * GRAVITY * libm::cos(first + second - PI / 2.0);
    let phi1 = -CENTRE * (second_speed * second_speed) * sine
        - 2.0 * CENTRE * second_speed * first_speed * sine
        + (CENTRE + 1.0) * GRAVITY * libm::cos(first - PI / 2.0)
        + phi2;
    let second_rate =
        (torque + d2 / d1 * phi1 - CENTRE * (first_speed * first_speed) * sine - phi2)
            / (square + 1.0 - d2 * d2 / d1);
    let first_rate = -(d2 * second_rate + phi1) / d1;
    [first_speed, second_speed, first_rate, second_rate]
}

/// An angle brought into [−π, π] by whole turns.
fn wrap(mut angle: f64) -> f64 {
    // Speeds are limited, so that a step is a few turns; a state from outside
    // may be anywhere.
    if angle.abs() >= 1e3 {
        return libm::remainder(angle, 2.0 * PI);
    }
    while angle > PI {
        angle -= 2.0 * PI;
    }
    while angle < -PI {
        angle += 2.0 * PI;
    }
    angle
}
