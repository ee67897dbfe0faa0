//! The table of factors, their distribution, and that each one can be seen.

use alice_worlds::{
    FACTORS, FactorKind, Factors, PuppetShow, Species, factor_index, render, traverse,
};

#[test]
fn the_table_names_the_fields() {
    let json = serde_json::to_value(Factors::default()).unwrap();
    let fields = json.as_object().unwrap();
    assert_eq!(fields.len(), FACTORS.len());
    for (index, spec) in FACTORS.iter().enumerate() {
        assert!(fields.contains_key(spec.name), "{}", spec.name);
        assert_eq!(factor_index(spec.name), Some(index));
        assert!(!spec.label_en.is_empty() && !spec.label_zh.is_empty());
    }
    assert_eq!(factor_index("tail"), None);
}

#[test]
fn set_and_get_agree_with_the_fields() {
    for (index, spec) in FACTORS.iter().enumerate() {
        let mut factors = Factors::default();
        let (low, high) = spec.kind.range();
        let value = match spec.kind {
            FactorKind::Continuous { .. } => low + 0.25 * (high - low),
            FactorKind::Circular => 0.3,
            FactorKind::Binary => 1.0,
            FactorKind::Categorical { count } => count as f32 - 1.0,
        };
        factors.set(index, value).unwrap();
        assert_eq!(factors.get(index).unwrap(), value, "{}", spec.name);
        let changed = (0..FACTORS.len())
            .filter(|&other| factors.get(other) != Factors::default().get(other))
            .collect::<Vec<_>>();
        assert_eq!(changed, [index]);
        let written = serde_json::to_value(factors).unwrap();
        let before = serde_json::to_value(Factors::default()).unwrap();
        for other in FACTORS {
            let same = written[other.name] == before[other.name];
            assert_eq!(same, other.name != spec.name, "{}", spec.name);
        }
    }
}

#[test]
fn set_takes_the_nearest_valid_value() {
    for (index, spec) in FACTORS.iter().enumerate() {
        for wild in [-7.3, -1e-9, 1.0, 1e30, f32::MAX, f32::MIN] {
            let mut factors = Factors::default();
            factors.set(index, wild).unwrap();
            factors.validate().unwrap();
            render(&factors, 16).unwrap_or_else(|error| panic!("{}: {error}", spec.name));
        }
    }
    let mut factors = Factors::default();
    let hue = factor_index("hue").unwrap();
    factors.set(hue, 1.25).unwrap();
    assert_eq!(factors.hue, 0.25);
    factors.set(factor_index("species").unwrap(), 2.6).unwrap();
    assert_eq!(factors.species, Species::Horse);
}

#[test]
fn factors_survive_json() {
    let factors = PuppetShow::default().sample_factors(2, 9);
    let json = serde_json::to_string(&factors).unwrap();
    assert_eq!(serde_json::from_str::<Factors>(&json).unwrap(), factors);
    assert!(json.contains("\"species\":\""), "{json}");
}

/// Over its traversal every factor moves several pixels by a visible amount,
/// for every species, and no step of it stands still.
#[test]
fn every_factor_shows() {
    for species in Species::ALL {
        let calm = Factors {
            species,
            ..Factors::default()
        };
        for (index, spec) in FACTORS.iter().enumerate() {
            let pictures: Vec<Vec<f32>> = traverse(&calm, index, 5)
                .unwrap()
                .iter()
                .map(|factors| render(factors, 32).unwrap().rgb)
                .collect();
            let moved = |a: &[f32], b: &[f32], by: f32| {
                a.iter()
                    .zip(b)
                    .filter(|(a, b)| (*a - *b).abs() > by)
                    .count()
            };
            let name = spec.name;
            let far = match spec.kind {
                // Opposite hues are half a turn apart.
                FactorKind::Circular => &pictures[2],
                _ => &pictures[pictures.len() - 1],
            };
            let total = moved(&pictures[0], far, 0.1);
            assert!(total >= 12, "{name} of {species:?} moves {total} values");
            for pair in pictures.windows(2) {
                let step = moved(&pair[0], &pair[1], 0.02);
                assert!(
                    step >= 6,
                    "a step of {name} of {species:?} moves {step} values"
                );
            }
        }
    }
}

#[test]
fn traversals_span_the_range() {
    let calm = Factors::default();
    let smile = factor_index("smile").unwrap();
    let walk = traverse(&calm, smile, 5).unwrap();
    let smiles: Vec<f32> = walk.iter().map(|factors| factors.smile).collect();
    assert_eq!(smiles, [-1.0, -0.5, 0.0, 0.5, 1.0]);
    let hues = traverse(&calm, factor_index("hue").unwrap(), 4).unwrap();
    let hues: Vec<f32> = hues.iter().map(|factors| factors.hue).collect();
    assert_eq!(hues, [0.0, 0.25, 0.5, 0.75]);
    assert_eq!(traverse(&calm, 0, 99).unwrap().len(), Species::ALL.len());
    assert_eq!(
        traverse(&calm, factor_index("hat").unwrap(), 0)
            .unwrap()
            .len(),
        2
    );
    assert!(traverse(&calm, smile, 0).unwrap().is_empty());
    assert_eq!(traverse(&calm, smile, 1).unwrap().len(), 1);
}

#[test]
fn factors_are_spread_and_independent() {
    const COUNT: usize = 20_000;
    let show = PuppetShow::default();
    let drawn: Vec<Factors> = (0..COUNT as u64)
        .map(|i| show.sample_factors(1, i))
        .collect();
    let columns: Vec<Vec<f64>> = (0..FACTORS.len())
        .map(|index| {
            drawn
                .iter()
                .map(|f| f64::from(f.get(index).unwrap()))
                .collect()
        })
        .collect();
    let mean = |column: &[f64]| column.iter().sum::<f64>() / COUNT as f64;
    for (spec, column) in FACTORS.iter().zip(&columns) {
        let (low, high) = spec.kind.range();
        let expected = match spec.name {
            "hat" | "glasses" => 0.3,
            "strings" => 0.4,
            "haunted" => 0.03,
            _ => f64::from(0.5 * (low + high)),
        };
        let tolerance = f64::from(high - low) * 0.012;
        let found = mean(column);
        assert!(
            (found - expected).abs() < tolerance,
            "{}: {found}",
            spec.name
        );
        assert!(
            column
                .iter()
                .all(|&v| f64::from(low) <= v && v <= f64::from(high))
        );
    }
    let standard: Vec<Vec<f64>> = columns
        .iter()
        .map(|column| {
            let middle = mean(column);
            let spread = mean(
                &column
                    .iter()
                    .map(|v| (v - middle).powi(2))
                    .collect::<Vec<_>>(),
            );
            column
                .iter()
                .map(|v| (v - middle) / spread.sqrt())
                .collect()
        })
        .collect();
    for a in 0..FACTORS.len() {
        for b in 0..a {
            let products: Vec<f64> = standard[a]
                .iter()
                .zip(&standard[b])
                .map(|(x, y)| x * y)
                .collect();
            let correlation = mean(&products);
            let names = (FACTORS[a].name, FACTORS[b].name);
            assert!(correlation.abs() < 0.035, "{names:?}: {correlation}");
        }
    }
    for species in Species::ALL {
        let share = drawn.iter().filter(|f| f.species == species).count() as f64 / COUNT as f64;
        assert!((share - 0.2).abs() < 0.012, "{species:?}: {share}");
    }
}

#[test]
fn the_haunted_share_is_kept_and_changes_nothing_else() {
    for share in [0.0, 0.25, 1.0] {
        let show = PuppetShow::new(share).unwrap();
        let haunted = (0..4_000)
            .filter(|&i| show.sample_factors(4, i).haunted)
            .count();
        let found = haunted as f32 / 4_000.0;
        assert!((found - share).abs() < 0.025, "{found} instead of {share}");
    }
    let calm = PuppetShow::new(0.0).unwrap().sample_factors(4, 2);
    let haunted = PuppetShow::new(1.0).unwrap().sample_factors(4, 2);
    assert_eq!(
        haunted,
        Factors {
            haunted: true,
            ..calm
        }
    );
}

#[test]
fn held_factors_are_at_rest_and_change_nothing_else() {
    let names = ["species", "hat", "smile"].map(str::to_owned);
    let held = PuppetShow::default().holding(&names).unwrap();
    let rest = Factors::default();
    for index in 0..200 {
        let free = PuppetShow::default().sample_factors(6, index);
        let expected = Factors {
            species: rest.species,
            hat: rest.hat,
            smile: rest.smile,
            ..free
        };
        assert_eq!(held.sample_factors(6, index), expected);
    }
    let text = serde_json::to_string(&held).unwrap();
    assert_eq!(
        text,
        r#"{"haunted_share":0.03,"held":["species","smile","hat"]}"#
    );
    assert_eq!(serde_json::from_str::<PuppetShow>(&text).unwrap(), held);
    let free = serde_json::to_string(&PuppetShow::default()).unwrap();
    assert_eq!(free, r#"{"haunted_share":0.03}"#);
    let error = serde_json::from_str::<PuppetShow>(r#"{"haunted_share":0.1,"held":["nose"]}"#);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("\"nose\"") && error.contains("nose_size"),
        "{error}"
    );
}
