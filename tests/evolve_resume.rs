//! `evolve` goes on after a crash, a hang, nonsense and a kill, and ends as if
//! nothing had happened.
#![cfg(unix)]

mod common;

use common::{Home, Ran, check_refusal};
use serde_json::Value;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

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

#[test]
fn a_killed_run_goes_on() {
    let home = prepare();
    let mut child = command(&home, "slow", "9", "run")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let clock = Instant::now();
    while !home.path("run/fitness.history").exists() {
        assert!(clock.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(home.path("repaired"), "").unwrap();
    let resumed = report(&run(&home, "slow", "9", "run"));
    assert!(resumed["resumed_at"].as_u64() > Some(0));
    let whole = report(&run(&home, "slow", "9", "whole"));
    assert_eq!(resumed["best_point"], whole["best_point"]);
    assert_eq!(resumed["mean_fitness"], whole["mean_fitness"]);
}
