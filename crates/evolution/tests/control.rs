//! The control tasks against trajectories of Gymnasium.

use alice_evolution::control::{
    Acrobot, CartPole, Choice, ControlProblem, Environment, Fitness, Frame, MountainCar,
    MountainCarContinuous, Pendulum, Policy, Task,
};
use alice_evolution::{Draws, EvolutionError, Problem};
use alice_random::Stream;
use serde::Deserialize;

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Fixture {
    task: String,
    observe_every: usize,
    trajectories: Vec<Trajectory>,
}

#[derive(Deserialize)]
struct Trajectory {
    seed: u64,
    start: Vec<f64>,
    actions: Vec<f32>,
    states: Vec<Vec<f64>>,
    rewards: Vec<f64>,
    observations: Vec<Vec<f32>>,
    terminated: bool,
    truncated: bool,
}

/// The action that a fixture writes as a number.
trait Written {
    fn read(number: f32) -> Self;
}

impl Written for f32 {
    fn read(number: f32) -> Self {
        number
    }
}

impl<const N: usize> Written for Choice<N> {
    fn read(number: f32) -> Self {
        Self::new(number as usize).expect("an action of the task")
    }
}

fn distance(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f64::max)
}

/// Follows every trajectory twice: freely from its start, where rounding
/// differences grow with the task's own instability; and with each step
/// beginning at Gymnasium's state.
fn follow<E: Environment>(text: &str)
where
    E::Action: Written,
    E::State: for<'a> TryFrom<&'a [f64]>,
{
    let fixture: Fixture = serde_json::from_str(text).expect("a fixture");
    assert_eq!(fixture.task, E::GYMNASIUM_ID);
    let read = |values: &[f64]| {
        let state = E::State::try_from(values);
        state.unwrap_or_else(|_| panic!("a state of {} values", values.len()))
    };
    let (mut terminations, mut truncations) = (0, 0);
    for trajectory in &fixture.trajectories {
        let mut free_running = E::default();
        free_running.reset(trajectory.seed);
        assert_eq!(free_running.state().as_ref(), trajectory.start);
        let mut observations = trajectory.observations.iter();
        let mut see = |environment: &E| {
            let seen = environment.observe();
            let theirs = observations.next().expect("an observation");
            for (ours, theirs) in seen.as_ref().iter().zip(theirs) {
                let ulp = f32::EPSILON * theirs.abs().max(1e-3);
                assert!((ours - theirs).abs() <= ulp, "{ours} {theirs}");
            }
        };
        let mut stepwise = free_running.clone();
        see(&stepwise);
        let length = trajectory.actions.len();
        for step in 0..length {
            let place = format!("{} seed {} step {step}", fixture.task, trajectory.seed);
            let action = || E::Action::read(trajectory.actions[step]);
            let last = step + 1 == length;
            let state = &trajectory.states[step];

            let came = stepwise.step(action());
            let error = distance(stepwise.state().as_ref(), state);
            assert!(error <= TOLERANCE, "{place}: state off by {error:e}");
            let error = (came.reward - trajectory.rewards[step]).abs();
            assert!(error <= TOLERANCE, "{place}: reward off by {error:e}");
            assert_eq!(came.terminated, last && trajectory.terminated, "{place}");
            stepwise.reset_to(read(state));
            if (step + 1) % fixture.observe_every == 0 {
                see(&stepwise);
            }

            free_running.step(action());
            let error = distance(free_running.state().as_ref(), state);
            assert!(error <= TOLERANCE, "{place}: free run off by {error:e}");
        }
        assert_eq!(length == E::TIME_LIMIT, trajectory.truncated);
        terminations += usize::from(trajectory.terminated);
        truncations += usize::from(trajectory.truncated);
    }
    // The pendulum has no end of its own.
    assert!(terminations > 0 || fixture.task == Pendulum::GYMNASIUM_ID);
    assert!(truncations > 0);
}

#[test]
fn cart_pole_is_gymnasiums() {
    follow::<CartPole>(include_str!("fixtures/control/cart_pole.json"));
}

#[test]
fn acrobot_is_gymnasiums() {
    follow::<Acrobot>(include_str!("fixtures/control/acrobot.json"));
}

#[test]
fn mountain_car_is_gymnasiums() {
    let text = include_str!("fixtures/control/mountain_car.json");
    follow::<MountainCar>(text);
}

#[test]
fn mountain_car_continuous_is_gymnasiums() {
    let text = include_str!("fixtures/control/mountain_car_continuous.json");
    follow::<MountainCarContinuous>(text);
}

#[test]
fn pendulum_is_gymnasiums() {
    let text = include_str!("fixtures/control/pendulum.json");
    follow::<Pendulum>(text);
}

/// Parameters of policies `[count, d]`, standard normal.
fn points(problem: &ControlProblem, count: usize) -> Vec<f64> {
    let dimension = problem.dimension();
    Stream::new(5, "policies", 0, 0).normals(count * dimension)
}

fn fitness(problem: &ControlProblem, points: &[f64]) -> Vec<f64> {
    let mut fitness = vec![0.0; points.len() / problem.dimension()];
    let draws = Draws {
        seed: 0,
        generation: 0,
    };
    problem
        .evaluate(points, draws, &mut fitness)
        .expect("valid policies");
    fitness
}

#[test]
fn a_policy_sees_observations_in_their_units() -> Result<(), EvolutionError> {
    let (plain, units) = (Policy::new(&[2, 5, 3])?, [0.5, 0.07]);
    let divided = plain.clone().with_units(&units)?;
    let parameters: Vec<f64> = Stream::new(2, "policy", 0, 0).normals(plain.parameters());
    let (mut a, mut b) = (plain.scratch(), divided.scratch());
    plain.load(&parameters, &mut a)?;
    divided.load(&parameters, &mut b)?;
    let seen = [-0.4, 0.03];
    let expected = plain.act(&[seen[0] / units[0], seen[1] / units[1]], &mut a)?;
    for (found, expected) in divided.act(&seen, &mut b)?.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    assert!(plain.with_units(&[1.0]).is_err());
    Ok(())
}

#[test]
fn layers_of_any_width_are_sums_of_products() -> Result<(), EvolutionError> {
    // Widths that need every size of a group of outputs, alone and together.
    let sizes = [3, 128 + 8 + 2 + 1, 7, 256, 2];
    let policy = Policy::new(&sizes)?;
    let draw = |name, count| Stream::new(3, name, 0, 0).normals::<f64>(count);
    let parameters = draw("policy", policy.parameters());
    let mut scratch = policy.scratch();
    policy.load(&parameters, &mut scratch)?;
    let mut values = draw("seen", sizes[0]);
    let seen: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    let mut rest = parameters.as_slice();
    for (layer, pair) in sizes.windows(2).enumerate() {
        let (weights, after) = rest.split_at(pair[0] * pair[1]);
        let (biases, after) = after.split_at(pair[1]);
        rest = after;
        let sum = |k: usize| {
            let products = values.iter().zip(weights.chunks_exact(pair[1]));
            let sum = products.fold(biases[k], |sum, (value, row)| sum + value * row[k]);
            if layer + 2 < sizes.len() {
                sum.max(0.0)
            } else {
                sum
            }
        };
        values = (0..pair[1]).map(sum).collect();
    }
    for (&found, expected) in policy.act(&seen, &mut scratch)?.iter().zip(values) {
        let error = (f64::from(found) - expected).abs();
        assert!(
            error <= 1e-5 * expected.abs().max(100.0),
            "{found} {expected}"
        );
    }
    Ok(())
}

#[test]
fn a_policy_is_its_layers_in_turn() -> Result<(), EvolutionError> {
    // Two inputs, two hidden units, one output: W1 = [[1, −1], [2, 3]] with
    // biases (0.5, 0), W2 = (4, 5) with bias −1.
    let policy = Policy::new(&[2, 2, 1])?;
    let parameters = [1.0, -1.0, 2.0, 3.0, 0.5, 0.0, 4.0, 5.0, -1.0];
    assert_eq!(policy.parameters(), parameters.len());
    let mut scratch = policy.scratch();
    policy.load(&parameters, &mut scratch)?;
    // Hidden: (1 + 2 + 0.5, −1 + 3) = (3.5, 2).
    assert_eq!(policy.act(&[1.0, 1.0], &mut scratch)?, [23.0]);
    // Hidden: (−3 + 2 + 0.5, 3 + 3) = (−0.5 → 0, 6).
    assert_eq!(policy.act(&[-3.0, 1.0], &mut scratch)?, [29.0]);
    assert!(policy.act(&[1.0], &mut scratch).is_err());
    assert!(policy.load(&[f64::NAN; 9], &mut scratch).is_err());
    assert!(policy.load(&parameters[1..], &mut scratch).is_err());
    assert!(Policy::new(&[4]).is_err());
    assert!(Policy::new(&[4, 0, 2]).is_err());
    Ok(())
}

#[test]
fn the_papers_policies_have_their_sizes() -> Result<(), EvolutionError> {
    assert_eq!(Task::CartPole.policy(&[8])?.parameters(), 58);
    assert_eq!(Task::CartPole.policy(&[128, 128])?.parameters(), 17_410);
    for task in Task::ALL {
        assert_eq!(Task::named(task.name()), Some(task));
    }
    Ok(())
}

#[test]
fn fitness_does_not_depend_on_threads_or_batch() -> Result<(), EvolutionError> {
    for task in Task::ALL {
        let problem = ControlProblem::new(task, &[8], &[0, 1], Fitness::Return)?;
        let points = points(&problem, 24);
        let whole = fitness(&problem, &points);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().expect("threads");
            assert_eq!(pool.install(|| fitness(&problem, &points)), whole);
        }
        let (first, rest) = points.split_at(5 * problem.dimension());
        let parts = [fitness(&problem, first), fitness(&problem, rest)].concat();
        assert_eq!(parts, whole);
    }
    Ok(())
}

#[test]
fn a_return_is_the_mean_over_the_starts() -> Result<(), EvolutionError> {
    let starts = [3, 4, 5];
    let both = ControlProblem::new(Task::CartPole, &[8], &starts, Fitness::Return)?;
    let points = points(&both, 6);
    let mut sums = [0.0; 6];
    for start in starts {
        for (sum, point) in sums.iter_mut().zip(points.chunks_exact(58)) {
            let mut frames = 0;
            let episode = both.episode(point, start, |frame, step| {
                frames += 1;
                assert!(matches!(frame, Frame::CartPole { .. }));
                assert_eq!(step.reward, 1.0);
            })?;
            assert_eq!(episode.steps, f64::from(frames));
            assert_eq!(episode.total, episode.steps);
            *sum += episode.total;
        }
    }
    let means: Vec<f64> = sums.iter().map(|sum| sum / 3.0).collect();
    assert_eq!(fitness(&both, &points), means);
    Ok(())
}

#[test]
fn a_known_controller_solves_cart_pole_in_every_start() -> Result<(), EvolutionError> {
    // No hidden layer: outputs (0, x·w), so the sign of x·w decides; x in units.
    let starts: Vec<u64> = (0..50).collect();
    let exponential = Fitness::Exponential {
        best: Task::CartPole.best_return(),
        temperature: 10.0,
    };
    let problem = ControlProblem::new(Task::CartPole, &[], &starts, exponential)?;
    let balance = [0.0, 0.72, 0.0, 1.2, 0.0, 2.1, 0.0, 4.0, 0.0, 0.0];
    let outcome = problem.outcomes(&balance)?[0];
    assert_eq!((outcome.total, outcome.solved), (500.0, 1.0));
    assert_eq!(fitness(&problem, &balance), [1.0]);
    // Falls over at once: fitness is small, above 0 and finite.
    let fallen = fitness(&problem, &balance.map(|w| -w))[0];
    assert!(fallen > 0.0 && fallen < 1e-20, "{fallen:e}");
    Ok(())
}

#[test]
fn bad_input_is_refused() -> Result<(), EvolutionError> {
    let new = |hidden: &[usize], starts: &[u64], temperature| {
        let fitness = Fitness::Exponential {
            best: 0.0,
            temperature,
        };
        ControlProblem::new(Task::Pendulum, hidden, starts, fitness)
    };
    assert!(new(&[8], &[], 1.0).is_err());
    assert!(new(&[0], &[1], 1.0).is_err());
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(new(&[8], &[1], temperature).is_err());
    }
    let problem = new(&[8], &[1], 1.0)?;
    let mut points = points(&problem, 2);
    assert!(problem.outcomes(&points[1..]).is_err());
    let last = points.len() - 1;
    points[last] = f64::NAN;
    let error = problem.outcomes(&points).expect_err("not a number");
    assert!(error.to_string().contains("individual 1"), "{error}");
    Ok(())
}
