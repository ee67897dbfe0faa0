//! `evolve` by its contract, its pictures, its baselines, and on bad input.

mod common;

use common::Home;
use serde_json::Value;
use std::fs;

const SMALL: &str = "evolve --population 64 --generations 8";

fn number(report: &Value, key: &str) -> f64 {
    report[key].as_f64().unwrap_or_else(|| panic!("{key}"))
}

#[test]
fn the_contract_holds_on_every_function() {
    let home = Home::new();
    for problem in ["rosenbrock", "beale", "himmelblau", "ackley", "rastrigin"] {
        let arguments = format!("{SMALL} --problem {problem} --seed 3 --out {problem}");
        let found = home.json(&arguments);
        assert_eq!(found["evaluations"], 64 * 8, "{problem}");
        assert!(number(&found, "seconds_per_generation") > 0.0);
        for key in ["top64_fitness", "top64_fitness_x0"] {
            assert!(
                (0.0..=1.0).contains(&number(&found, key)),
                "{problem} {key}"
            );
        }
        assert!(
            (0.0..=6.0).contains(&number(&found, "entropy")),
            "{problem}"
        );
        assert!((0.0..=81.0).contains(&number(&found, "qd")), "{problem}");
        // The same again, whatever the number of threads.
        let again = format!("{SMALL} --problem {problem} --seed 3 --json --out again-{problem}");
        let mut command = home.command(&again);
        let output = command.env("RAYON_NUM_THREADS", "1").output().unwrap();
        let again: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(again["best_point"], found["best_point"], "{problem}");
        assert_eq!(again["qd"], found["qd"], "{problem}");
        assert_eq!(again["outside_share"], found["outside_share"], "{problem}");
    }
    let replay = home.json("replay beale --out replayed");
    assert_eq!(replay["replay"]["different"], serde_json::json!([]));
}

/// The paper's settings reach what its figures show, on one seed.
#[test]
fn the_defaults_reach_the_released_figures() {
    let home = Home::new();
    let found = home.json("evolve --problem rosenbrock --out rosenbrock");
    assert_eq!(found["evaluations"], 512 * 25);
    assert!(number(&found, "top64_fitness") > 0.8);
    assert!((number(&found, "entropy") - 5.86).abs() < 0.3);
    assert!((number(&found, "mean_fitness") - 0.70).abs() < 0.05);
    // 35.5 was released; the mean of 100 seeds is 35.3 here.
    assert!((number(&found, "qd") - 35.3).abs() < 4.0);
}

#[test]
fn without_a_problem_all_functions_are_shown() {
    let home = Home::new();
    let found = home.json(&format!("{SMALL} --out run"));
    assert_eq!(found["problems"].as_array().map(Vec::len), Some(6));
    for name in ["film.png", "sheet.png"] {
        alice_runs::picture::read_png(home.path("run").join(name)).unwrap();
    }
    let page = fs::read_to_string(home.path("run/report.html")).unwrap();
    // The released figures are of other settings than these.
    assert!(page.contains("himmelblau") && !page.contains("35.5") && !page.contains("released"));
    // Nothing is fetched from anywhere.
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"));
    let text = home.alice(&format!("{SMALL} --out text"));
    assert!(text.stdout.contains("rastrigin"), "{}", text.stdout);
    assert!(!text.stdout.contains("released"), "{}", text.stdout);
    let text = home.alice("evolve --out papers").stdout;
    assert!(text.contains("released") && text.contains("35.5"), "{text}");
}

/// `population.csv`: its headings, and its numbers in rows.
fn table(home: &Home, path: &str) -> (Vec<String>, Vec<Vec<f64>>) {
    let text = fs::read_to_string(home.path(path)).unwrap();
    let mut lines = text.lines().map(|line| line.split(','));
    let headings = lines.next().unwrap().map(str::to_owned).collect();
    let rows = lines.map(|line| line.map(|v| v.parse().unwrap()).collect());
    (headings, rows.collect())
}

/// The table of the last population has what the report was made of.
#[test]
fn every_run_leaves_its_population() {
    let home = Home::new();
    for method in ["diffusion", "cma-es", "pepg", "open-es", "map-elites"] {
        let found = home.json(&format!(
            "{SMALL} --problem rosenbrock --method {method} --out {method}"
        ));
        let (headings, rows) = table(&home, &format!("{method}/population.csv"));
        let expected: &[&str] = match method {
            "diffusion" => &["x_1", "x_2", "fitness", "x0_1", "x0_2"],
            _ => &["x_1", "x_2", "fitness"],
        };
        assert_eq!(headings, expected, "{method}");
        assert_eq!(rows.len() == 64, method != "map-elites", "{method}");
        let best = number(&found, "best_fitness");
        assert!(rows.iter().all(|row| row[2] <= best), "{method}");
        let leads =
            |row: &Vec<f64>| row[2] == best && serde_json::json!(row[..2]) == found["best_point"];
        assert!(rows.iter().any(leads), "{method}");
        let mean = rows.iter().map(|row| row[2]).sum::<f64>() / rows.len() as f64;
        assert!(
            (mean - number(&found, "mean_fitness")).abs() < 1e-12,
            "{method}"
        );
        let far = |row: &&Vec<f64>| row[..2].iter().any(|x| x.abs() > 4.0);
        let share = rows.iter().filter(far).count() as f64 / rows.len() as f64;
        assert_eq!(number(&found, "outside_share"), share, "{method}");
        assert_eq!(share > 0.0, method == "diffusion", "{method}: {share}");
    }
    home.json(&format!("{SMALL} --out tour"));
    assert_eq!(table(&home, "tour/ackley.population.csv").1.len(), 64);
    home.json("evolve --problem cart-pole --population 8 --generations 2 --out policies");
    let (headings, rows) = table(&home, "policies/population.csv");
    assert_eq!((headings.len(), rows.len()), (58 + 1 + 58, 8));
}

/// Points outside are worth nothing beyond the published two dimensions, so
/// that the search ends inside.
#[test]
fn rosenbrock_in_many_dimensions_is_searched_inside() {
    let home = Home::new();
    for dim in [3, 10] {
        let arguments = format!("evolve --problem rosenbrock --dim {dim}");
        let found = home.json(&format!("{arguments} --out {dim}"));
        assert!(number(&found, "outside_share") < 0.1, "{dim}");
        assert!(found.get("outside").is_none(), "{dim}");
    }
    let text = home.alice("evolve --problem rosenbrock --out plane").stdout;
    assert!(text.contains("outside the box"), "{text}");
    let kept = "evolve --problem rosenbrock --constraint reflect --out kept";
    let text = home.alice(kept).stdout;
    assert!(!text.contains("outside"), "{text}");
}

#[test]
fn baselines_run_on_the_same_problems() {
    let home = Home::new();
    for method in ["cma-es", "pepg", "open-es", "map-elites"] {
        let arguments = format!("{SMALL} --problem rastrigin --method {method} --out {method}");
        let found = home.json(&arguments);
        assert_eq!(found["evaluations"], 64 * 8, "{method}");
        assert!(number(&found, "best_fitness") > 0.2, "{method}");
        assert!(found.get("top64_fitness_x0").is_none(), "{method}");
        assert!(!home.path(method).join("population.evolution").exists());
    }
}

#[test]
fn controllers_evolve_and_are_filmed() {
    let home = Home::new();
    for (problem, options) in [
        ("cartpole", ""),
        ("mountain-car", "--latent 2"),
        ("pendulum", "--hidden 4,4 --method cma-es"),
    ] {
        let arguments = format!(
            "evolve --population 32 --generations 3 --problem {problem} {options} --out {problem}"
        );
        let found = home.json(&arguments);
        let control = &found["control"];
        assert!(control["other_starts_return"].is_number(), "{problem}");
        assert_eq!(
            control["population_solved"].is_number(),
            problem != "pendulum"
        );
        alice_runs::picture::read_png(home.path(problem).join("film.png")).unwrap();
    }
    assert_eq!(
        home.json(
            "evolve --problem cart-pole --population 8 --generations 2 --hidden 128,128 --out l"
        )["control"]["parameters"],
        17_410
    );
}

#[test]
fn a_finished_run_can_be_continued() {
    let home = Home::new();
    home.json(&format!("{SMALL} --problem ackley --out first"));
    let on = "--continue-from first/population.evolution --rediffuse 0.4 --generations 5";
    let found = home.json(&format!(
        "evolve --population 64 --problem ackley {on} --out second"
    ));
    assert_eq!(found["evaluations"], 64 * 5);
    for (options, words) in [
        ("--population 32", ["population", "64"]),
        ("--population 64 --dim 3", ["2 parameters", "3"]),
        ("--population 64 --latent 2", ["latent", "none"]),
        ("--population 64 --problem beale", ["ackley", "beale"]),
    ] {
        let problem = match options.contains("--problem") {
            true => "",
            false => "--problem ackley",
        };
        home.refused(
            &format!("evolve {problem} {on} {options} --out none"),
            &words,
        );
    }
    // What one changes when one goes on.
    let other = "--seed 9 --schedule linear --mutation 0.5 --scaling 2 --map power --exponent 2";
    let changed = home.json(&format!(
        "evolve --population 64 --problem ackley {on} {other} --out third"
    ));
    assert_ne!(changed["best_point"], found["best_point"]);
    // One generation would return the noised population.
    home.refused(
        &format!(
            "evolve --population 64 --problem ackley {} --out none",
            on.replace("--generations 5", "--generations 1")
        ),
        &["--generations", "at least 2"],
    );
}

#[test]
fn bad_arguments_are_refused() {
    let home = Home::new();
    for (arguments, words) in [
        ("--problem sphere", ["sphere", "rosenbrock"]),
        ("--problem beale --population 1", ["population", "2"]),
        ("--population 1", ["population", "2"]),
        ("--generations 0", ["generations", "0"]),
        ("--problem beale --dim 3", ["beale", "3"]),
        ("--mutation NaN", ["mutation", "NaN"]),
        ("--mutation 2", ["mutation", "2"]),
        ("--dim 3", ["--dim", "--problem"]),
        ("--method pepg --latent 2", ["--latent", "PEPG"]),
        ("--problem beale --latent 3", ["latent", "2"]),
        ("--elite 512", ["elite", "population"]),
        ("--temperature 3", ["--temperature", "energy"]),
        ("--map energy --temperature 0", ["temperature", "positive"]),
        ("--map energy --exponent 2", ["--exponent", "power"]),
        ("--problem acrobot --dim 9", ["--dim", "--hidden"]),
        ("--problem beale --hidden 8", ["--hidden", "control"]),
        ("--problem beale --timeout 8", ["--timeout", "program"]),
        ("--problem beale --bounds -1,1", ["--bounds", "cmd PROGRAM"]),
        (
            "--problem acrobot --bounds -1,1",
            ["--bounds", "cmd PROGRAM"],
        ),
        ("--bounds -1,1", ["--bounds", "--problem"]),
        (
            "--problem beale --rediffuse 0.5",
            ["--rediffuse", "--continue-from"],
        ),
        ("--study --problem beale", ["--problem", "--study"]),
        ("--study --seeds 0", ["--seeds", "1"]),
        ("--seeds 3", ["--seeds", "--study"]),
        (
            "--problem cart-pole --hidden 128,128 --method cma-es",
            ["dimension", "4096"],
        ),
    ] {
        home.refused(&format!("evolve {arguments} --out none"), &words);
        assert!(!home.path("none").exists(), "{arguments}");
    }
    for (options, words) in [
        ("--bounds 1,1", ["--bounds", "1,1"]),
        ("--bounds 0,1,2", ["3 numbers", "4 numbers"]),
        ("--bounds 0,NaN", ["--bounds", "NaN"]),
        ("--dim 3 --bounds 0,1,0,1", ["4 numbers", "6 numbers"]),
    ] {
        let mut command = home.command(&format!("evolve {options} --out none --problem"));
        let output = command.arg("cmd false").output().unwrap();
        common::check_refusal(options, &output.into(), &words);
        assert!(!home.path("none").exists(), "{options}");
    }
}

/// A small version of the paper's experiments, taken further.
#[test]
fn the_study_has_its_tables_and_goes_on() {
    let home = Home::new();
    let study = "evolve --study --parts functions";
    let found = home.json(&format!("{study} --seeds 1 --out grown"));
    assert_eq!(found["rows"].as_array().map(Vec::len), Some(5 * 5));
    home.json(&format!("{study} --seeds 2 --out grown"));
    home.json(&format!("{study} --seeds 2 --out whole"));
    let tables = |run: &str| fs::read_to_string(home.path(run).join("tables.md")).unwrap();
    assert_eq!(tables("grown"), tables("whole"));
    assert!(tables("whole").contains("MAP-Elites") && tables("whole").contains("(35.5)"));
    assert!(home.path("whole/functions.svg").is_file());
    let again = home.alice(&format!("{study} --seeds 2 --out whole"));
    assert!(again.stderr.contains("--overwrite"), "{}", again.stderr);
    let found = home.json("evolve --study --parts control,schedules --seeds 1 --out others");
    // Five tasks and three methods; twelve schedules.
    assert_eq!(found["rows"].as_array().map(Vec::len), Some(5 * 3 + 12));
    let tables = tables("others");
    for words in ["cart-pole", "pendulum", "(92.5)", "DDPM", "500"] {
        assert!(tables.contains(words), "{words}: {tables}");
    }
}

/// The program that the document shows, in its own place.
#[test]
#[cfg(unix)]
fn the_documented_program_works() {
    let python = std::process::Command::new("python3").arg("-V").output();
    if python.is_err() {
        return;
    }
    let home = Home::new();
    let document = include_str!("../docs/evolution.md");
    let (_, program) = document.split_once("```python\n").unwrap();
    let (program, _) = program.split_once("```").unwrap();
    fs::write(home.path("fitness.py"), program).unwrap();
    let mut command = home.command(
        "evolve --population 64 --generations 8 --dim 10 --bounds 0,1 --constraint reflect \
         --json --out run --problem",
    );
    let output = command.arg("cmd python3 fitness.py").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(number(&found, "outside_share"), 0.0);
    let (_, rows) = table(&home, "run/population.csv");
    // Estimates too are in the program's numbers.
    let (points, estimates): (Vec<_>, Vec<_>) =
        rows.iter().map(|row| (&row[..10], &row[11..])).unzip();
    for point in [points, estimates].concat() {
        assert!(point.iter().all(|x| (0.0..=1.0).contains(x)), "{point:?}");
    }
}

/// Fitness at the end of the numbers has means too.
#[test]
#[cfg(unix)]
fn huge_fitness_has_figures() {
    let home = Home::new();
    let script =
        "while read -r l; do echo '{\"fitness\": [1e308, 1e308, 1.5e308, 1e308, 0, 1e308]}'; done";
    fs::write(home.path("huge.sh"), script).unwrap();
    for method in ["diffusion", "pepg", "cma-es"] {
        let mut command = home.command(&format!(
            "evolve --population 6 --generations 4 --method {method} --json --out {method} --problem"
        ));
        let output = command.arg("cmd sh huge.sh").output().unwrap();
        assert!(output.status.success(), "{method}: {output:?}");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        for key in ["top64_fitness", "mean_fitness"] {
            assert!((number(&found, key) / 1e308 - 5.5 / 6.0).abs() < 1e-9);
        }
        assert!(number(&found, "qd") >= 1.5e308, "{method}");
        let page = fs::read_to_string(home.path(method).join("report.html")).unwrap();
        assert!(!page.contains("NaN") && !page.contains("inf,"), "{method}");
    }
}
