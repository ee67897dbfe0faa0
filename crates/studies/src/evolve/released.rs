//! What the released experiments report.
//!
//! Source: Zhang, Hartl, Hazan and Levin, "Diffusion Models are Evolutionary
//! Algorithms", ICLR 2025, <https://arxiv.org/abs/2410.02543>. Those of the
//! functions and of the schedules were read off plots.

use alice_evolution::control::Task;

/// Entropy (bits), mean fitness of the whole final population, and QD score of
/// Diffusion Evolution on a function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Function {
    /// Bits.
    pub entropy: f64,
    /// Of the whole final population.
    pub mean_fitness: f64,
    /// Sum of the best fitness of each unit cell.
    pub qd: f64,
}

/// The figures of a function; none for the two-peak demo.
#[must_use]
pub fn function(name: &str) -> Option<Function> {
    let (entropy, mean_fitness, qd) = match name {
        "rosenbrock" => (5.86, 0.70, 35.5),
        "beale" => (5.47, 0.68, 20.0),
        "himmelblau" => (5.17, 0.55, 15.8),
        "ackley" => (5.67, 0.33, 28.3),
        "rastrigin" => (5.8, 0.29, 35.2),
        _ => return None,
    };
    Some(Function {
        entropy,
        mean_fitness,
        qd,
    })
}

/// Mean fitness of the best 64 on Rastrigin with the cosine, linear and DDPM
/// schedules.
#[must_use]
pub fn schedules(generations: usize) -> Option<[f64; 3]> {
    Some(match generations {
        10 => [0.53, 0.445, 0.42],
        25 => [0.605, 0.545, 0.54],
        100 => [0.625, 0.645, 0.64],
        500 => [0.64, 0.67, 0.67],
        _ => return None,
    })
}

/// Success in percent, of the pendulum the reward: Diffusion Evolution, latent,
/// latent with the large policy, CMA-ES.
#[must_use]
pub fn control(task: Task) -> [f64; 4] {
    match task {
        Task::CartPole => [92.5, 96.4, 79.4, 5.9],
        Task::Acrobot => [79.1, 95.2, 93.0, 13.5],
        Task::MountainCar => [92.0, 97.1, 91.9, 10.2],
        Task::MountainCarContinuous => [59.4, 80.7, 96.9, 56.7],
        _ => [-1262.0, -1187.0, -1094.0, -1397.0],
    }
}
