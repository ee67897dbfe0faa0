use super::*;
use std::time::Instant;

const POINTS: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

fn external(command: &str) -> External {
    External::new(command, 2, Duration::from_millis(1500)).unwrap()
}

fn batch(external: &External, generation: u64) -> Result<Vec<f64>, String> {
    let mut fitness = vec![0.0; 3];
    let draws = Draws {
        seed: 0,
        generation,
    };
    let told = external.evaluate(&POINTS, draws, &mut fitness);
    told.map_err(|e| e.to_string())?;
    Ok(fitness)
}

/// The answers of two batches, or the first error.
fn ask(command: &str) -> Result<Vec<f64>, String> {
    let external = external(command);
    batch(&external, 0)?;
    batch(&external, 1)
}

#[test]
fn a_program_answers_batch_after_batch() {
    let loop_ = "sh -c 'while read line; do echo \"{\\\"fitness\\\": [1, 2.5, 0]}\"; done'";
    assert_eq!(ask(loop_).unwrap(), [1.0, 2.5, 0.0]);
}

#[test]
fn what_goes_wrong_is_said() {
    for (command, words) in [
        ("no-such-program-here", &["ended", "not found"][..]),
        (
            "sh -c 'echo my trouble >&2; exit 3'",
            &["ended", "3", "my trouble"],
        ),
        ("sleep 30", &["no answer within 1.5 s", "flush its output"]),
        (
            "sh -c 'read l; echo nonsense; sleep 9'",
            &["nonsense", "not understood"],
        ),
        ("sh -c 'read l; echo \"{}\"; sleep 9'", &["fitness"]),
        (
            "sh -c 'read l; echo \"{\\\"fitness\\\": [1]}\"; sleep 9'",
            &["1 fitness values", "3 numbers"],
        ),
        (
            "sh -c 'read l; echo \"{\\\"fitness\\\": [1, null, 2]}\"; sleep 9'",
            &["individual 1", "null"],
        ),
        (
            "sh -c 'read l; echo \"{\\\"fitness\\\": [1, NaN, 2]}\"; sleep 9'",
            &["NaN"],
        ),
        (
            "read l; yes '{\"fitness\": [1, 2, 3]}' | tr '\\n' ' '",
            &["65728 bytes"],
        ),
        ("read l; printf '\\377\\n'; sleep 9", &["UTF-8"]),
    ] {
        let error = ask(command).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{command}: {error}");
        }
    }
}

#[test]
fn an_answer_that_nobody_asked_for_is_no_fitness() {
    let twice =
        "while read l; do printf '{\"fitness\": [1, 2, 3]}\\n{\"fitness\": [7, 7, 7]}\\n'; done";
    let external = external(twice);
    assert_eq!(batch(&external, 0).unwrap(), [1.0, 2.0, 3.0]);
    // The second line is there by now; a search takes longer.
    std::thread::sleep(Duration::from_millis(100));
    let error = batch(&external, 1).unwrap_err();
    for word in ["7, 7, 7", "before it was asked for generation 1"] {
        assert!(error.contains(word), "{error}");
    }
    // It was started anew.
    assert_eq!(batch(&external, 1).unwrap(), [1.0, 2.0, 3.0]);
}

#[test]
fn a_generation_that_is_repeated_is_checked() {
    let answer = |generation: &str| {
        format!(
            "while read l; do echo '{{\"generation\": {generation}, \"fitness\": [1, 2, 3]}}'; done"
        )
    };
    let late = ask(&answer("0")).unwrap_err();
    for word in ["asked for generation 1", "answered generation 0"] {
        assert!(late.contains(word), "{late}");
    }
    let first = batch(&external(&answer("1.0")), 1);
    assert_eq!(first.unwrap(), [1.0, 2.0, 3.0]);
}

#[test]
fn the_shell_understands_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let script = "while read l; do echo \"{\\\"fitness\\\": [$FOO, 2, 3]}\"; done";
    std::fs::write(folder.path().join("fitness.sh"), script).unwrap();
    let place = folder.path().display();
    for command in [
        format!("cd '{place}' && FOO=4 sh fitness.sh"),
        format!("FOO=4 sh '{place}/fitness.sh'"),
    ] {
        assert_eq!(ask(&command).unwrap()[0], 4.0, "{command}");
    }
}

#[test]
fn what_a_program_started_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("alive");
    // A grandchild that writes for as long as it lives.
    let command = format!(
        "(while sleep 0.05; do echo >> '{0}'; done) & while [ ! -s '{0}' ]; do sleep 0.05; done; wait",
        mark.display()
    );
    let clock = Instant::now();
    let error = batch(&external(&command), 0).unwrap_err();
    assert!(error.contains("no answer"), "{error}");
    assert!(clock.elapsed() < Duration::from_secs(5));
    let written = || std::fs::metadata(&mark).unwrap().len();
    let before = written();
    assert!(before > 0);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(written(), before);
}

#[test]
fn a_program_is_told_its_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let asked = folder.path().join("asked");
    let command = format!(
        "read l; echo \"$l\" > '{}'; echo '{{\"fitness\": [1, 2, 3]}}'",
        asked.display()
    );
    let bounds = Bounds {
        lower: vec![-1.0, 0.0],
        upper: vec![1.0, 5.5],
    };
    let boxed = external(&command).with_bounds(bounds.clone()).unwrap();
    batch(&boxed, 3).unwrap();
    let asked: Value = serde_json::from_str(&std::fs::read_to_string(asked).unwrap()).unwrap();
    assert_eq!(
        asked["bounds"],
        serde_json::json!([[-1.0, 1.0], [0.0, 5.5]])
    );
    assert_eq!(
        (&asked["dimension"], &asked["generation"]),
        (&2.into(), &3.into())
    );
    assert_eq!(asked["points"][2], serde_json::json!([5.0, 6.0]));
    assert_eq!(boxed.bounds(), Some(bounds));
    for (lower, upper) in [
        (vec![0.0], vec![1.0]),
        (vec![0.0, 2.0], vec![1.0, 2.0]),
        (vec![0.0, f64::NAN], vec![1.0, 1.0]),
        (vec![0.0, -1e308], vec![1.0, 1e308]),
    ] {
        let bounds = Bounds { lower, upper };
        assert!(external("true").with_bounds(bounds).is_err());
    }
}
