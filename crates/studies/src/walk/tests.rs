use super::*;
use crate::Silent;
use crate::jacobian::flatten;
use crate::points::{noisy_samples, spectrum_at};
use alice_diffusion::{Eta, Sampler};
use alice_geometry::geodesic::{Path, Shooting};
use alice_geometry::{GolubKahan, dot, norm};
use alice_random::Stream;

/// Near its start a geodesic goes straight, whichever direction it is.
#[test]
fn geodesics_begin_in_their_direction() {
    let model = DiffusionModel::bundled().unwrap();
    let network = model.at((32, 32)).unwrap();
    let noise = Stream::new(0, "geodesic test", 0, 0).normals(32 * 32 * 3);
    let state = Tensor::new(&[1, 32, 32, 3], noise).unwrap();
    let sampler = Ddim::new(&model.schedule, 10, Eta::Constant(0.0)).unwrap();
    let start = Start {
        model: &model,
        network: &network,
        sampler: &sampler,
        index: sampler.index_at(599.0),
        timestep: 599,
        state: &state,
        seed: 0,
    };
    let spectrum = spectrum_at(&network, &state, 599, 36, 0).unwrap();
    let all = start.layout(&spectrum.right, 36).unwrap();
    let chosen = [0, 19, 35].map(|row| all.row(row).to_vec()).concat();
    let chosen = Block::from_vec(3, state.item_len(), chosen).unwrap();
    let moved = |method| {
        let walk = Walk::new(method, 2, 1, 0.01);
        let (states, _) = walk.states(start, &chosen, &mut Silent).unwrap();
        let from = state.data().iter().cycle();
        let moves: Vec<f32> = states.iter().zip(from).map(|(x, s)| x - s).collect();
        Block::from_vec(9, state.item_len(), moves).unwrap()
    };
    let (straight, geodesic) = (moved(Method::Linear), moved(Method::Geodesic));
    for end in [0, 2, 3, 5, 6, 8] {
        let (a, b) = (straight.row(end), geodesic.row(end));
        let cosine = dot(a, b) / (norm(a) * norm(b));
        assert!(cosine > 0.9, "end {end}: {cosine}");
    }
}

/// A shot path has the length that was asked for, at constant speed, and no more
/// energy than the straight line between its ends.
#[test]
fn a_shot_path_is_no_longer_than_the_straight_line() {
    let model = DiffusionModel::bundled().unwrap();
    let network = model.at((32, 32)).unwrap();
    let noise = Stream::new(0, "geodesic test", 0, 0).normals(32 * 32 * 3);
    let state = Tensor::new(&[1, 32, 32, 3], noise).unwrap();
    let spectrum = spectrum_at(&network, &state, 599, 20, 0).unwrap();
    let map = Bottleneck::new(&network, 599.0).unwrap();
    let (steps, length) = (6, 0.05 * 3072f64.sqrt() * spectrum.singular_values[0]);
    let shooting = Shooting {
        basis: GolubKahan {
            tolerance: 1e-3,
            ..GolubKahan::new(40)
        },
        length,
        steps,
    };
    let from = flatten(&state);
    let found = shooting.shoot(&map, &from, spectrum.right.row(0)).unwrap();
    let held = found.inside.iter().copied().fold(1.0, f64::min);
    assert!((LEAST_HELD..=1.0001).contains(&held), "{held}");
    let end = found.points.row(steps).to_vec();
    let shot = Path::new(&map, found.points).unwrap();
    let straight = Path::straight(&map, &from, &end, steps).unwrap();
    let (energy, least) = (shot.energy(), 0.5 * shot.length().powi(2));
    assert!(
        (shot.length() / length - 1.0).abs() < 0.1,
        "{} {length}",
        shot.length()
    );
    assert!(
        energy >= least * 0.9999 && energy < 1.02 * least,
        "{energy} {least}"
    );
    assert!(
        energy < 1.02 * straight.energy(),
        "{energy} {}",
        straight.energy()
    );
}

/// At the usual reach the tangent spaces of the model's own samples hold the
/// direction, and the path does not turn: its chord in H is nearly its length. Far
/// beyond, in few updates, it is lost and said to be.
#[test]
fn geodesics_of_the_usual_reach_go_straight_in_h() {
    let model = DiffusionModel::bundled().unwrap();
    let network = model.at((32, 32)).unwrap();
    let sampler = Ddim::new(&model.schedule, 10, Eta::Constant(0.0)).unwrap();
    let index = sampler.index_at(599.0);
    let states = noisy_samples(&network, &sampler, 3, 1, index, &mut Silent).unwrap();
    let timestep = sampler.timesteps()[index];
    let start = Start {
        model: &model,
        network: &network,
        sampler: &sampler,
        index,
        timestep,
        state: &states[0],
        seed: 0,
    };
    let spectrum = spectrum_at(&network, &states[0], timestep, 3, 0).unwrap();
    let all = start.layout(&spectrum.right, 3).unwrap();
    let chosen = Block::from_vec(1, all.dimension(), all.row(2).to_vec()).unwrap();
    let shot = |iterations, frames, reach| {
        let walk = Walk::new(Method::Geodesic, iterations, frames, reach);
        walk.states(start, &chosen, &mut Silent).unwrap()
    };
    let (states, held) = shot(8, 8, Method::Geodesic.usual_reach());
    let held = held[0].unwrap();
    assert!(!held.is_lost() && held.0 > 0.85, "{held:?}");
    let rows = states.len() / all.dimension();
    let states = Block::from_vec(rows, all.dimension(), states).unwrap();
    let map = Bottleneck::new(&network, timestep as f64).unwrap();
    let images = map.of_states(&states).unwrap();
    let between = |i: usize, j: usize| -> Vec<f32> {
        let both = images.row(j).iter().zip(images.row(i));
        both.map(|(b, a)| b - a).collect()
    };
    let chord = between(0, rows - 1);
    let mut length = 0.0;
    for i in 1..rows {
        let step = between(i - 1, i);
        assert!(dot(&step, &chord) > 0.0, "step {i} goes back");
        length += norm(&step);
    }
    let straight = norm(&chord) / length;
    assert!(straight > 0.8, "{straight}");
    let (_, held) = shot(2, 1, 3.0 * Method::Guidance.usual_reach());
    assert!(held[0].unwrap().is_lost(), "{held:?}");
}
