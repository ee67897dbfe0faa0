//! `evolve` goes on after a crash, a hang, nonsense and a kill, and ends as if
//! nothing had happened.
#![cfg(unix)]

mod common;

use common::{Home, Ran, check_refusal, kill_once};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// Gives 6 individuals fitness; at generation 4 it does what it is told unless
/// the file `repaired` is there.
const PROGRAM: &str = r#"
while read -r line; do
  g=${line#*generation\":}
  g=${g%%,*}
  if [ "$g" = 4 ] && [ ! -e repaired ]; then
    case $1 in
      crash) echo out of luck >&2; exit 3 ;;
      hang) sleep 20 ;;
      nan) echo '{"fitness": [1, NaN, 1, 1, 1, 1]}'; continue ;;
      negative) echo '{"fitness": [1, -2, 1, 1, 1, 1]}'; continue ;;
      missing) echo '{"fitness": [1, 1]}'; continue ;;
      stale) echo "{\"generation\": 3, \"fitness\": [3, 2.5, 3, 1, 0.5, 4]}"; continue ;;
      slow) sleep 2 ;;
    esac
  fi
  [ "$1" = slow ] && [ ! -e repaired ] && sleep 0.3
  echo "{\"fitness\": [$g, 2.5, 3, 1, 0.5, 4]}"
done
"#;

fn prepare() -> Home {
    let home = Home::new();
    fs::write(home.path("fitness.sh"), PROGRAM).unwrap();
    home
}

fn run(home: &Home, fate: &str, timeout: &str, out: &str) -> Ran {
    command(home, fate, timeout, out).output().unwrap().into()
}

fn command(home: &Home, fate: &str, timeout: &str, out: &str) -> std::process::Command {
    let arguments = format!(
        "evolve --population 6 --generations 9 --seed 2 --timeout {timeout} --json --out {out} --problem"
    );
    let mut command = home.command(&arguments);
    command.arg(format!("cmd sh fitness.sh {fate}"));
    command
}

fn report(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn whatever_befalls_a_program_the_population_is_kept() {
    let home = prepare();
    let fates = [
        ("crash", "out of luck"),
        ("hang", "no answer"),
        ("nan", "NaN"),
        ("negative", "-2"),
        ("missing", "2 fitness values"),
        ("stale", "generation 3"),
    ];
    for (fate, words) in fates {
        let ran = run(&home, fate, "1.5", fate);
        check_refusal(fate, &ran, &["generation 5", words, "--out", "kept"]);
        assert!(home.path(fate).join("population.evolution").is_file());
        assert!(!home.path(fate).join("report.json").exists());
        // Another run does not go on from this one.
        let other = command(&home, fate, "1.5", fate)
            .args(["--mutation", "0.5"])
            .output()
            .unwrap()
            .into();
        check_refusal(fate, &other, &["--overwrite"]);
    }
    fs::write(home.path("repaired"), "").unwrap();
    let whole = report(&run(&home, "crash", "9", "whole"));
    for (fate, _) in fates {
        // It may be given more time than before.
        let resumed = report(&run(&home, fate, "9", fate));
        assert_eq!(resumed["resumed_at"], 4, "{fate}");
        for key in ["best_point", "mean_fitness", "entropy", "evaluations"] {
            assert_eq!(resumed[key], whole[key], "{fate} {key}");
        }
        let population = |run: &str| fs::read(home.path(run).join("population.evolution")).unwrap();
        assert_eq!(population(fate), population("whole"), "{fate}");
    }
}

/// What is kept is there, for every method and from the first generation on.
#[test]
fn what_is_said_to_be_kept_is_there() {
    let home = Home::new();
    // It fails at the first generation or at the third, or not.
    let script = r#"
while read -r line; do
  g=${line#*generation\":}
  g=${g%%,*}
  [ "$g" = "$1" ] && [ ! -e repaired ] && exit 3
  echo "{\"fitness\": [$g, 2.5, 3, 1, 0.5, 4]}"
done
"#;
    fs::write(home.path("fitness.sh"), script).unwrap();
    let run = |method: &str, fails: u64, out: &str| -> Ran {
        let mut command = home.command(&format!(
            "evolve --population 6 --generations 4 --method {method} --json --out {out} --problem"
        ));
        let program = format!("cmd sh fitness.sh {fails}");
        command.arg(program).output().unwrap().into()
    };
    for method in ["diffusion", "cma-es", "pepg", "open-es", "map-elites"] {
        for fails in [0, 2] {
            let out = format!("{method}-{fails}");
            let _ = fs::remove_file(home.path("repaired"));
            let named = format!("{out}/population.csv");
            let generation = format!("generation {}", fails + 1);
            let next = ["begins again", "goes on"][usize::from(fails > 0)];
            let ran = run(method, fails, &out);
            check_refusal(method, &ran, &[&generation, "kept", &named, next]);
            let table = fs::read_to_string(home.path(&named)).unwrap();
            let fitness: Vec<&str> = table
                .lines()
                .skip(1)
                .map(|line| line.split(',').nth(2).unwrap())
                .collect();
            match (fails, method) {
                (0, _) => assert_eq!(fitness, [""; 6], "{method}"),
                (_, "map-elites") => assert!(fitness.contains(&"4.0"), "{fitness:?}"),
                _ => assert_eq!(fitness, ["1.0", "2.5", "3.0", "1.0", "0.5", "4.0"]),
            }
            fs::write(home.path("repaired"), "").unwrap();
            let found = report(&run(method, fails, &out));
            assert_eq!(found["resumed_at"], fails, "{method}");
            let whole = format!("whole-{out}");
            report(&run(method, fails, &whole));
            let table = |run: &str| fs::read(home.path(run).join("population.csv")).unwrap();
            assert_eq!(table(&out), table(&whole), "{method}");
        }
    }
}

/// A population on its way is none to continue with.
#[test]
fn an_unfinished_run_is_not_continued() {
    let home = prepare();
    check_refusal(
        "crash",
        &run(&home, "crash", "9", "broken"),
        &["generation 5"],
    );
    let mut command = home.command(
        "evolve --population 6 --continue-from broken/population.evolution --rediffuse 0.5 \
         --out on --problem",
    );
    let ran = command.arg("cmd sh fitness.sh crash").output().unwrap();
    check_refusal(
        "unfinished",
        &ran.into(),
        &["unfinished", "generation 4 of 9", "--out"],
    );
}

#[test]
fn a_killed_run_goes_on() {
    let home = prepare();
    let mut command = command(&home, "slow", "9", "run");
    kill_once(&mut command, &home.path("run/fitness.history"));
    fs::write(home.path("repaired"), "").unwrap();
    let resumed = report(&run(&home, "slow", "9", "run"));
    assert!(resumed["resumed_at"].as_u64() > Some(0));
    let whole = report(&run(&home, "slow", "9", "whole"));
    assert_eq!(resumed["best_point"], whole["best_point"]);
    assert_eq!(resumed["mean_fitness"], whole["mean_fitness"]);
}

/// The functions that an interrupted run had finished are not searched again,
/// and the one it was at goes on.
#[test]
fn a_killed_tour_goes_on() {
    let home = Home::new();
    let arguments = "evolve --population 256 --generations 1000 --out";
    let mut command = home.command(&format!("{arguments} run"));
    kill_once(&mut command, &home.path("run/rosenbrock.history"));
    let resumed = home.json(&format!("{arguments} run"));
    let whole = home.json(&format!("{arguments} whole"));
    let (resumed, whole) = (&resumed["problems"], &whole["problems"]);
    assert_eq!(resumed[0]["resumed_at"], 1000);
    assert!(resumed[1]["resumed_at"].as_u64() > Some(0));
    assert_eq!(resumed[5]["resumed_at"], 0);
    for (resumed, whole) in resumed
        .as_array()
        .unwrap()
        .iter()
        .zip(whole.as_array().unwrap())
    {
        assert_eq!(whole["resumed_at"], 0);
        for key in ["best_point", "mean_fitness", "entropy"] {
            assert_eq!(resumed[key], whole[key], "{}: {key}", whole["problem"]);
        }
    }
}

/// A program is asked once for each individual and generation, and what it
/// does after the last generation is its own business.
#[test]
fn a_finished_search_asks_no_more() {
    let home = Home::new();
    let script = r#"
n=0
while read -r line; do
  n=$((n + 1))
  echo "$line" >> asked
  [ $n = 3 ] && { echo '{"fitness": [1, 2, 3, 4, 5, 6]}'; exit 5; }
  echo '{"fitness": [1, 2, 3, 4, 5, 6]}'
done
"#;
    fs::write(home.path("fitness.sh"), script).unwrap();
    let mut command = home.command(
        "evolve --population 6 --generations 3 --bounds -1,3,10,20 --constraint clamp --json --out run --problem",
    );
    let ran = command
        .arg("cmd cd . && FOO=1 sh fitness.sh")
        .output()
        .unwrap()
        .into();
    let found = report(&ran);
    assert_eq!(found["evaluations"], 18);
    assert!(found.get("top64_fitness_x0").is_none() && found.get("qd_x0").is_none());
    let asked = fs::read_to_string(home.path("asked")).unwrap();
    let batches: Vec<Value> = asked
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(batches.len(), 3);
    for (generation, batch) in batches.iter().enumerate() {
        assert_eq!(batch["generation"], generation);
        assert_eq!(batch["dimension"], 2);
        assert_eq!(
            batch["bounds"],
            serde_json::json!([[-1.0, 3.0], [10.0, 20.0]])
        );
        for point in batch["points"].as_array().unwrap() {
            let (x, y) = (point[0].as_f64().unwrap(), point[1].as_f64().unwrap());
            assert!((-1.0..=3.0).contains(&x) && (10.0..=20.0).contains(&y));
        }
    }
    // The report speaks the program's language, and the recipe knows the box.
    assert_eq!(found["best_point"], batches[2]["points"][5]);
    let recipe = fs::read_to_string(home.path("run/recipe.json")).unwrap();
    let recipe: Value = serde_json::from_str(&recipe).unwrap();
    assert_eq!(
        recipe["arguments"]["bounds"],
        serde_json::json!([-1.0, 3.0, 10.0, 20.0])
    );
    // Somebody else's recipe does not run a program unasked.
    home.refused(
        "replay run --out replayed",
        &["sh fitness.sh", "--run-program"],
    );
    assert_eq!(fs::read_to_string(home.path("asked")).unwrap(), asked);
    let replay = home.json("replay run --out replayed --run-program");
    assert_eq!(replay["replay"]["different"], serde_json::json!([]));
}

/// However Alice ends, the program and what it started end too.
#[test]
fn a_program_does_not_outlive_its_run() {
    let home = Home::new();
    let script = "(while sleep 0.05; do echo >> alive; done) & wait";
    fs::write(home.path("fitness.sh"), script).unwrap();
    let mut command = home.command("evolve --population 6 --out run --problem");
    command.arg("cmd sh fitness.sh");
    kill_once(&mut command, &home.path("alive"));
    std::thread::sleep(Duration::from_millis(500));
    let written = || fs::metadata(home.path("alive")).unwrap().len();
    let before = written();
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(written(), before);
}

/// Every method keeps to a box far from the origin, and a run in it goes on.
#[test]
fn bounds_hold_for_every_method_and_for_a_run_that_goes_on() {
    let home = Home::new();
    // Fitness is the first parameter; one batch fails until it is repaired.
    let script = r#"
while read -r line; do
  g=${line#*generation\":}
  g=${g%%,*}
  echo "$line" >> asked
  [ "$g" = 2 ] && [ ! -e repaired ] && exit 3
  echo "$line" | sed 's/.*"points":\[//; s/\[\([0-9.]*\),[^]]*\]/\1/g; s/\].*//; s/.*/{"fitness": [&]}/'
done
"#;
    fs::write(home.path("fitness.sh"), script).unwrap();
    let run = |options: &str, out: &str| -> Ran {
        let mut command = home.command(&format!(
            "evolve --population 6 --generations 4 {options} --json --out {out} --problem"
        ));
        command.arg("cmd sh fitness.sh").output().unwrap().into()
    };
    for method in [
        "cma-es",
        "pepg",
        "open-es",
        "map-elites",
        "diffusion --constraint reflect",
    ] {
        let options = format!("--bounds 100,100.5 --method {method}");
        let out = method.split(' ').next().unwrap();
        let _ = fs::remove_file(home.path("repaired"));
        check_refusal(method, &run(&options, out), &["generation 3", "kept"]);
        fs::write(home.path("repaired"), "").unwrap();
        // Another box is another run.
        let other = run(&options.replace("100.5", "100.25"), out);
        check_refusal(method, &other, &["--overwrite"]);
        let found = report(&run(&options, out));
        assert_eq!(found["resumed_at"], 2, "{method}");
        let best = found["best_point"][0].as_f64().unwrap();
        assert!((100.0..=100.5).contains(&best), "{method}: {best}");
        assert_eq!(found["best_fitness"].as_f64(), Some(best), "{method}");
        let whole = report(&run(&options, &format!("whole-{out}")));
        assert_eq!(whole["best_point"], found["best_point"], "{method}");
    }
    let asked = fs::read_to_string(home.path("asked")).unwrap();
    for line in asked.lines() {
        let batch: Value = serde_json::from_str(line).unwrap();
        for x in batch["points"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|p| p.as_array().unwrap())
        {
            assert!((100.0..=100.5).contains(&x.as_f64().unwrap()), "{line}");
        }
    }
}

/// Points may leave the bounds where nothing keeps them; that the best one did
/// is said.
#[test]
fn a_best_point_outside_the_bounds_is_told() {
    let home = Home::new();
    let script = "while read -r line; do echo '{\"fitness\": [1, 2, 3, 4, 5, 6]}'; done";
    fs::write(home.path("fitness.sh"), script).unwrap();
    let run = |options: &str| -> Ran {
        let mut command = home.command(&format!(
            "evolve --population 6 --generations 3 --bounds 0,1 {options} --out run --overwrite --problem"
        ));
        command.arg("cmd sh fitness.sh").output().unwrap().into()
    };
    let mut left = 0;
    for seed in 0..4 {
        let found = report(&run(&format!("--seed {seed} --json")));
        let point = found["best_point"].as_array().unwrap().iter();
        let outside = point
            .map(|x| x.as_f64().unwrap())
            .any(|x| !(0.0..=1.0).contains(&x));
        assert_eq!(found.get("outside").is_some(), outside, "seed {seed}");
        let text = run(&format!("--seed {seed}")).stdout;
        assert_eq!(text.contains("outside --bounds"), outside, "{text}");
        let page = fs::read_to_string(home.path("run/report.html")).unwrap();
        assert_eq!(page.contains("outside --bounds"), outside, "seed {seed}");
        left += usize::from(outside);
        let kept = report(&run(&format!("--seed {seed} --constraint clamp --json")));
        assert!(kept.get("outside").is_none(), "seed {seed}");
    }
    assert!(left > 0);
}
