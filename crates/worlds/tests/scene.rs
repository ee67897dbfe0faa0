//! Parts, depth and landmarks agree with the picture.

use alice_worlds::{Factors, Part, PuppetShow, Scene, Species, render, render_scene};

const SIZE: usize = 64;

fn scenes() -> impl Iterator<Item = (Factors, Scene)> {
    let show = PuppetShow::new(0.1).unwrap();
    (0..60).map(move |index| {
        let factors = show.sample_factors(8, index);
        (factors, render_scene(&factors, SIZE).unwrap())
    })
}

#[test]
fn a_scene_shows_the_same_picture() {
    for (factors, scene) in scenes() {
        assert_eq!(scene.picture, render(&factors, SIZE).unwrap());
        assert!(scene.picture.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
    }
}

#[test]
fn parts_partition_the_picture() {
    for (factors, scene) in scenes() {
        let masks: Vec<Vec<bool>> = Part::ALL.iter().map(|&part| scene.mask(part)).collect();
        for pixel in 0..SIZE * SIZE {
            assert_eq!(masks.iter().filter(|mask| mask[pixel]).count(), 1);
        }
        let area = |part| scene.mask(part).iter().filter(|&&inside| inside).count();
        for part in [
            Part::Curtain,
            Part::Body,
            Part::Head,
            Part::Eye,
            Part::Mouth,
            Part::Nose,
        ] {
            assert!(area(part) > 0, "{} of {factors:?}", part.name());
        }
        assert_eq!(area(Part::Hat) > 0, factors.hat);
        assert_eq!(area(Part::Glasses) > 0, factors.glasses);
        assert_eq!(area(Part::Strings) > 0, factors.strings);
    }
}

/// What putting on a hat changes is where the hat is, give or take a pixel.
#[test]
fn a_mask_covers_what_its_part_changes() {
    for (factors, _) in scenes() {
        let with = render_scene(
            &Factors {
                hat: true,
                ..factors
            },
            SIZE,
        )
        .unwrap();
        let without = render(
            &Factors {
                hat: false,
                ..factors
            },
            SIZE,
        )
        .unwrap();
        let mask = with.mask(Part::Hat);
        let near = |x: usize, y: usize| {
            (y.saturating_sub(1)..=(y + 1).min(SIZE - 1))
                .any(|v| (x.saturating_sub(1)..=(x + 1).min(SIZE - 1)).any(|u| mask[v * SIZE + u]))
        };
        for y in 0..SIZE {
            for x in 0..SIZE {
                let at = 3 * (y * SIZE + x);
                let changed = with.picture.rgb[at..at + 3] != without.rgb[at..at + 3];
                assert!(!changed || near(x, y), "({x}, {y}) of {factors:?}");
            }
        }
    }
}

#[test]
fn depth_orders_the_parts() {
    for (_, scene) in scenes() {
        let mean = |part| {
            let mask = scene.mask(part);
            let depths: Vec<f32> = scene
                .depth
                .iter()
                .zip(&mask)
                .filter(|(_, m)| **m)
                .map(|(d, _)| *d)
                .collect();
            depths.iter().sum::<f32>() / depths.len() as f32
        };
        assert!(scene.depth.iter().all(|d| (0.0..=1.0).contains(d)));
        assert_eq!(mean(Part::Curtain), 1.0);
        assert!(mean(Part::Body) < 1.0);
        assert!(mean(Part::Head) < mean(Part::Body));
        assert!(mean(Part::Nose) < mean(Part::Body));
    }
}

#[test]
fn landmarks_lie_on_the_head() {
    let face = [
        Part::Head,
        Part::Ear,
        Part::Hair,
        Part::Eye,
        Part::Nose,
        Part::Mouth,
        Part::Brow,
        Part::Glasses,
        Part::Hat,
    ]
    .map(Part::label);
    for (factors, scene) in scenes() {
        for landmark in &scene.landmarks {
            assert!((0.0..SIZE as f32).contains(&landmark.x), "{landmark:?}");
            assert!((0.0..SIZE as f32).contains(&landmark.y), "{landmark:?}");
            let pixel = landmark.y as usize * SIZE + landmark.x as usize;
            let label = scene.parts[pixel];
            assert!(
                face.contains(&label),
                "{landmark:?} is on {label} of {factors:?}"
            );
        }
        let at = |name: &str| *scene.landmarks.iter().find(|l| l.name == name).unwrap();
        assert!(at("left_eye").x < at("right_eye").x);
        assert!(at("mouth_left").x < at("mouth_right").x);
        assert!(at("left_eye").y < at("chin").y && at("nose").y < at("chin").y);
    }
}

#[test]
fn eyes_are_at_their_landmarks() {
    for species in Species::ALL {
        let scene = render_scene(
            &Factors {
                species,
                ..Factors::default()
            },
            SIZE,
        )
        .unwrap();
        for name in ["left_eye", "right_eye"] {
            let landmark = scene.landmarks.iter().find(|l| l.name == name).unwrap();
            let pixel = landmark.y as usize * SIZE + landmark.x as usize;
            assert_eq!(scene.parts[pixel], Part::Eye.label(), "{species:?}");
        }
    }
}

/// A larger picture shows the same thing: averaged down, it is close.
#[test]
fn sizes_agree() {
    for (factors, scene) in scenes().take(20) {
        let small = render(&factors, SIZE / 2).unwrap();
        let mut error = 0.0f32;
        for y in 0..SIZE / 2 {
            for x in 0..SIZE / 2 {
                for c in 0..3 {
                    let at = |dy, dx| scene.picture.rgb[3 * ((2 * y + dy) * SIZE + 2 * x + dx) + c];
                    let mean = 0.25 * (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1));
                    error += (mean - small.rgb[3 * (y * SIZE / 2 + x) + c]).abs();
                }
            }
        }
        let error = error / small.rgb.len() as f32;
        assert!(error < 0.02, "{error} for {factors:?}");
    }
}
