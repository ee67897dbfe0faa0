//! `evolve` by its contract and on bad input.

mod common;

use common::Home;

const SMALL: &str = "evolve --population 64 --generations 8";

#[test]
fn the_contract_holds_on_every_function() {
    let home = Home::new();
    for problem in ["rosenbrock", "beale", "himmelblau", "ackley", "rastrigin"] {
        let arguments = format!("{SMALL} --problem {problem} --seed 3 --out {problem}");
        let found = home.json(&arguments);
        assert_eq!(found["evaluations"], 64 * 8, "{problem}");
        let number = |key: &str| found[key].as_f64().expect(key);
        assert!(number("seconds_per_generation") > 0.0);
        for key in ["top64_fitness", "top64_fitness_x0"] {
            assert!((0.0..=1.0).contains(&number(key)), "{problem} {key}");
        }
        assert!((0.0..=6.0).contains(&number("entropy")), "{problem}");
        assert!((0.0..=64.0).contains(&number("qd")), "{problem}");
        // The same again, whatever the number of threads.
        let again = format!("{SMALL} --problem {problem} --seed 3 --json --out again-{problem}");
        let mut command = home.command(&again);
        let output = command.env("RAYON_NUM_THREADS", "1").output().unwrap();
        let again: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(again["best_point"], found["best_point"], "{problem}");
        assert_eq!(again["qd"], found["qd"], "{problem}");
    }
}

/// The paper's settings reach what its figures show: all of the best 64 near
/// the top, in many places.
#[test]
fn the_defaults_find_good_and_different_points() {
    let home = Home::new();
    let found = home.json("evolve --problem rosenbrock --out run");
    assert_eq!(found["evaluations"], 512 * 25);
    let number = |key: &str| found[key].as_f64().expect(key);
    assert!(number("top64_fitness") > 0.8 && number("entropy") > 5.0);
}

#[test]
fn bad_problems_are_refused() {
    let home = Home::new();
    for (arguments, words) in [
        ("--problem sphere", ["sphere", "rosenbrock"]),
        ("--population 1", ["population", "2"]),
        ("--generations 0", ["generations", "0"]),
        ("--problem beale --dim 3", ["beale", "3"]),
        ("--mutation NaN", ["mutation", "NaN"]),
        ("--mutation 2", ["mutation", "2"]),
    ] {
        home.refused(&format!("evolve {arguments} --out none"), &words);
        assert!(!home.path("none").exists(), "{arguments}");
    }
    let mut command = home.command("evolve --out none --problem");
    let output = command.arg("cmd false").output().unwrap();
    common::check_refusal("cmd false", &output.into(), &["false", "ended"]);
}
