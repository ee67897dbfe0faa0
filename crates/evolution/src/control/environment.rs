//! What every control task offers.

/// What a step gives back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The reward of the step.
    pub reward: f64,
    /// Whether the task itself ended here. The time limit is not part of it:
    /// see [`Environment::TIME_LIMIT`].
    pub terminated: bool,
}

/// One of `N` actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<const N: usize>(usize);

impl<const N: usize> Choice<N> {
    /// Action `index`, if there is one.
    #[must_use]
    pub fn new(index: usize) -> Option<Self> {
        (index < N).then_some(Self(index))
    }

    /// The action with the largest value, the first of equals.
    pub(super) fn greedy(values: &[f32]) -> Self {
        let mut best = 0;
        for index in 1..N {
            if values[index] > values[best] {
                best = index;
            }
        }
        Self(best)
    }

    /// Which action it is, counted from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// What is needed to draw a task at one moment. Angles in radians, lengths in
/// the task's own units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Frame {
    /// A cart on a track from −2.4 to 2.4, with a pole of length 1.
    CartPole {
        /// The middle of the cart.
        position: f64,
        /// The pole's lean, clockwise from upright.
        angle: f64,
    },
    /// Two links of length 1 that hang from a fixed point; the goal is 1 above it.
    Acrobot {
        /// The first link, from straight down, and the second, from the first;
        /// anticlockwise.
        angles: [f64; 2],
    },
    /// A car in the valley height = 0.45 sin(3 position) + 0.55.
    MountainCar {
        /// Where the car is, from −1.2 to 0.6.
        position: f64,
        /// How high the ground is there.
        height: f64,
        /// Where the flag stands.
        goal: f64,
    },
    /// A rod of length 1 on a fixed point.
    Pendulum {
        /// Anticlockwise from upright.
        angle: f64,
        /// The torque of the last step, as applied.
        torque: f64,
    },
}

/// A control task, with the equations, constants, starts and rewards of
/// Gymnasium's classic control (MIT), to the precision that its own
/// single-precision steps have.
///
/// No method allocates. Sines and cosines come from `libm`, so that an episode
/// is the same on every machine.
pub trait Environment: Clone + Default + Send + Sync {
    /// What a policy sees; Gymnasium rounds it to single precision.
    type Observation: AsRef<[f32]> + Copy;
    /// What a policy does.
    type Action: Copy;
    /// The state of the equations, in Gymnasium's order.
    type State: AsRef<[f64]> + Copy;

    /// The id of the task in Gymnasium.
    const GYMNASIUM_ID: &'static str;
    /// Values in an observation.
    const OBSERVATIONS: usize;
    /// Values that a policy has to put out.
    const OUTPUTS: usize;
    /// Steps after which an episode is cut.
    const TIME_LIMIT: usize;
    /// How large each value of an observation gets: a policy of the
    /// [`Task`](super::Task) sees observations in these units.
    const UNITS: &'static [f32];

    /// Begins the episode that Gymnasium begins with `reset(seed=seed)`.
    fn reset(&mut self, seed: u64);

    /// Begins an episode at a given state, as Gymnasium goes on from it (see
    /// [`MountainCarContinuous`](super::MountainCarContinuous) on precision).
    fn reset_to(&mut self, state: Self::State);

    /// The state of the equations.
    fn state(&self) -> Self::State;

    /// What a policy sees now.
    fn observe(&self) -> Self::Observation;

    /// The action that [`OUTPUTS`](Self::OUTPUTS) output values stand for.
    ///
    /// The largest output wins where actions are discrete; a force is the limit
    /// times the hyperbolic tangent of the output.
    fn decide(outputs: &[f32]) -> Self::Action;

    /// Acts for one step.
    fn step(&mut self, action: Self::Action) -> Step;

    /// What is needed to draw the task now.
    fn frame(&self) -> Frame;
}
