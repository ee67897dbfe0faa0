use super::*;

/// 300 states in 40 dimensions: uniform and binary factors, and one rare
/// concept, mixed by a random matrix.
fn cloud(share: f64) -> (Block, Vec<bool>) {
    let (n, h, factors) = (300, 40, 9);
    let mut stream = Stream::new(5, "cloud", 0, 0);
    let mixing = Block::normals(factors + 1, h, &mut stream);
    let mut states = Block::zeros(n, h);
    let mut rare = Vec::new();
    for i in 0..n {
        let noise: Vec<f32> = stream.normals(h);
        add_scaled(states.row_mut(i), 0.1, &noise);
        for f in 0..factors {
            let value = stream.range(-1.0, 1.0) as f32;
            let value = if f < 3 { value.signum() } else { value };
            add_scaled(states.row_mut(i), value, mixing.row(f));
        }
        rare.push(stream.uniform() < share);
        if rare[i] {
            add_scaled(states.row_mut(i), 1.5, mixing.row(factors));
        }
    }
    (states, rare)
}

#[test]
fn a_rare_concept_is_found_without_labels() {
    let (states, rare) = cloud(0.05);
    let components = Components::of(&states, 20).unwrap();
    let concepts = components.rarest(&states, 27).unwrap();
    let found = &concepts[0];
    assert_eq!(found.members, rare);
    assert!(found.separation > 3.0, "{}", found.separation);
    assert!(found.strength > 5.0, "{}", found.strength);
    // The score is a function of the state alone.
    for i in 0..states.rows() {
        assert!((found.score(states.row(i)) - found.scores[i]).abs() < 1e-3);
    }
    let few = rare.iter().filter(|r| **r).count();
    assert!((6..27).contains(&few), "{few}");
    // A state of the cloud is nearest to itself, then to its own kind.
    for i in (0..states.rows()).step_by(7) {
        assert_eq!(components.nearest(states.row(i), 2).unwrap()[0], i);
    }
    let member = rare.iter().position(|r| *r).unwrap();
    let near = components.nearest(states.row(member), 5).unwrap();
    assert!(near.iter().filter(|i| rare[**i]).count() >= 4, "{near:?}");
    assert!(components.nearest(&[0.0], 2).is_err());
}

/// With few states for each component any few of them can be set apart, and
/// then noise says so; with many it has no groups.
#[test]
fn noise_says_how_far_it_stands_apart() {
    let noise = |n, m| {
        let mut stream = Stream::new(9, "noise", 0, 0);
        Components::of(&Block::normals(n, m, &mut stream), m).unwrap()
    };
    let (few, many) = (noise(64, 24), noise(300, 20));
    let states = Block::zeros(64, 24);
    let found = few.rarest(&states, 6).unwrap();
    let chance = few.separation_of_noise(6, 4);
    assert!(found[0].separation > 3.0, "{}", found[0].separation);
    assert!(found[0].separation < 1.2 * chance, "{chance}");
    assert_eq!(many.separation_of_noise(27, 2), 0.0);
    // What is no noise stands apart further than noise would.
    let (states, _) = cloud(0.05);
    let components = Components::of(&states, 20).unwrap();
    let concepts = components.rarest(&states, 27).unwrap();
    assert!(concepts[0].separation > components.separation_of_noise(27, 2));
}

/// Without a rare concept none is made up.
#[test]
fn common_factors_are_no_rare_concept() {
    let (states, _) = cloud(0.0);
    let components = Components::of(&states, 20).unwrap();
    assert!(components.rarest(&states, 27).is_err());
}

#[test]
fn a_few_marks_find_the_same_concept() {
    let (states, rare) = cloud(0.05);
    let components = Components::of(&states, 20).unwrap();
    let mut left = 4;
    let marks: Vec<bool> = rare
        .iter()
        .map(|&r| {
            left -= i32::from(r && left > 0);
            r && left > 0
        })
        .collect();
    assert_eq!(marks.iter().filter(|mark| **mark).count(), 3);
    assert_eq!(components.like(&marks, 27).unwrap(), Some(rare.clone()));
    // What is common is not grown into.
    let common: Vec<bool> = (0..rare.len()).map(|i| i % 7 == 0).collect();
    assert_eq!(components.like(&common, 27).unwrap(), None);
    // Those that share something stand apart further than those that do not.
    let others = |first: usize| -> Vec<bool> {
        let healthy = (0..rare.len()).filter(|i| !rare[*i]).skip(first);
        let three: Vec<usize> = healthy.step_by(5).take(3).collect();
        (0..rare.len()).map(|i| three.contains(&i)).collect()
    };
    let apart = components.separation(&marks).unwrap();
    for first in (0..200).step_by(10) {
        let chance = components.separation(&others(first)).unwrap();
        assert!(chance < apart, "{first}: {chance} and {apart}");
    }
    let concept = components.contrast(&states, &marks).unwrap();
    assert!((concept.separation - apart).abs() < 1e-9);
    assert!(components.separation(&[true]).is_err());
}

#[test]
fn components_whiten() {
    let (states, _) = cloud(0.1);
    let components = Components::of(&states, 6).unwrap();
    for a in 0..6 {
        for b in 0..6 {
            let product = dot(components.axes.row(a), components.axes.row(b));
            assert!((product - f64::from(u8::from(a == b))).abs() < 1e-4);
        }
    }
    let same = Block::from_vec(4, 2, vec![1.0; 8]).unwrap();
    assert!(Components::of(&same, 2).is_err());
    assert!(components.contrast(&states, &vec![false; 300]).is_err());
}
