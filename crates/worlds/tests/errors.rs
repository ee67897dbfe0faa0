//! Bad input is one clear error, never a panic.

use alice_worlds::{
    FACTORS, FactorKind, Factors, MAX_SIZE, PuppetShow, WorldError, render, render_batch,
    render_scene, traverse,
};

#[test]
fn sizes_are_bounded() {
    let factors = Factors::default();
    let show = PuppetShow::default();
    for size in [0, 1, 7, MAX_SIZE + 1, usize::MAX] {
        assert!(matches!(
            render(&factors, size),
            Err(WorldError::Size { .. })
        ));
        assert!(matches!(
            render_scene(&factors, size),
            Err(WorldError::Size { .. })
        ));
        assert!(matches!(
            render_batch(&show, 0, 0..2, size),
            Err(WorldError::Size { .. })
        ));
    }
}

#[test]
fn shares_are_probabilities() {
    for share in [-0.01, 1.01, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(matches!(
            PuppetShow::new(share),
            Err(WorldError::HauntedShare { .. })
        ));
    }
    assert!(serde_json::from_str::<PuppetShow>(r#"{"haunted_share":0.5}"#).is_ok());
    let error = serde_json::from_str::<PuppetShow>(r#"{"haunted_share":1.5}"#).unwrap_err();
    assert!(error.to_string().contains("haunted share 1.5"), "{error}");
    assert!(serde_json::from_str::<PuppetShow>(r#"{"haunted":0.5}"#).is_err());
}

#[test]
fn factors_are_checked_by_name() {
    let broken = [
        Factors {
            smile: f32::NAN,
            ..Factors::default()
        },
        Factors {
            smile: f32::INFINITY,
            ..Factors::default()
        },
        Factors {
            smile: 1.1,
            ..Factors::default()
        },
    ];
    for factors in broken {
        for error in [render(&factors, 32).err(), render_scene(&factors, 32).err()] {
            let text = error.unwrap().to_string();
            assert!(text.contains("`smile`"), "{text}");
        }
    }
    let whole_turn = Factors {
        hue: 1.0,
        ..Factors::default()
    };
    assert!(render(&whole_turn, 32).is_err());
    for (index, spec) in FACTORS.iter().enumerate() {
        let mut factors = Factors::default();
        assert!(factors.set(index, f32::NAN).is_err(), "{}", spec.name);
        assert_eq!(factors, Factors::default());
    }
}

#[test]
fn every_corner_of_the_ranges_can_be_drawn() {
    for high in [false, true] {
        let mut factors = Factors::default();
        for (index, spec) in FACTORS.iter().enumerate() {
            let (low, top) = spec.kind.range();
            if !matches!(spec.kind, FactorKind::Circular) {
                factors.set(index, if high { top } else { low }).unwrap();
            }
        }
        for species in 0..5u8 {
            factors.set(0, f32::from(species)).unwrap();
            for size in [8, 9, 33, 200] {
                let picture = render(&factors, size).unwrap();
                assert!(picture.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
                assert_eq!(picture.to_rgb8().len(), size * size * 3);
            }
        }
    }
}

#[test]
fn indices_and_ranges_are_checked() {
    let count = FACTORS.len();
    let mut factors = Factors::default();
    let expected = WorldError::FactorIndex {
        index: count,
        count,
    };
    assert_eq!(factors.get(count), Err(expected.clone()));
    assert_eq!(factors.set(count, 0.0), Err(expected.clone()));
    assert_eq!(traverse(&factors, count, 3), Err(expected));
    let show = PuppetShow::default();
    #[allow(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    let reversed = 5..3;
    for range in [reversed, 0..u64::MAX, 0..1 << 40] {
        let result = render_batch(&show, 0, range, 32);
        assert!(matches!(result, Err(WorldError::BatchRange { .. })));
    }
    assert!(render_batch(&show, 0, 7..7, 32).unwrap().rgb.is_empty());
    assert_eq!(
        render_batch(&show, 0, u64::MAX - 1..u64::MAX, 8)
            .unwrap()
            .factors
            .len(),
        1
    );
}
