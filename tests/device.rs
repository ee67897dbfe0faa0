//! `--device`: the same verbs on a graphics card, and what is said without one.

mod common;

use alice_runs::TensorFile;
use alice_runs::picture::read_png;
use common::Home;

/// Whether this program has devices and this machine one. Tests without one
/// say that they are skipped and pass, unless `ALICE_REQUIRE_GPU` is set.
fn has_card(home: &Home) -> bool {
    if !cfg!(feature = "wgpu") {
        home.refused("sample --device wgpu", &["--features wgpu", "--device cpu"]);
    }
    let ran = home.alice("sample --device wgpu --count 1 --steps 1 --out probe");
    let found = ran.code == Some(0);
    assert!(
        found || std::env::var_os("ALICE_REQUIRE_GPU").is_none(),
        "{}",
        ran.stderr
    );
    if !found {
        assert!(ran.stderr.contains("--device"), "{}", ran.stderr);
        eprintln!("skipped: {}", ran.stderr.trim());
    }
    found
}

fn succeeds(home: &Home, arguments: &str) -> String {
    let ran = home.alice(arguments);
    assert_eq!(ran.code, Some(0), "{arguments}: {}", ran.stderr);
    ran.stdout
}

#[test]
fn pictures_and_directions_agree_with_the_processor() {
    let home = Home::new();
    if !has_card(&home) {
        return;
    }
    home.tiny_model();
    for device in ["cpu", "wgpu"] {
        let on = |verb: &str| format!("{verb} --device {device} --out {device}");
        let text = succeeds(&home, &on("sample --count 2 --steps 2 --sampler dpm++-2m"));
        assert_eq!(text.contains("computed on"), device == "wgpu", "{text}");
        let verb = "discover --model model --rank 3 --samples 1 --steps 2 --seed 3";
        succeeds(
            &home,
            &format!("{verb} --device {device} --out found-{device}"),
        );
    }
    for item in 0..2 {
        let read = |device: &str| {
            read_png(home.path(&format!("{device}/000{item}.png")))
                .unwrap()
                .0
        };
        let (one, other) = (read("cpu"), read("wgpu"));
        let pairs = one.rgb().iter().zip(other.rgb());
        let apart = pairs.map(|(a, b)| a.abs_diff(*b)).max();
        // Rounding may fall to either side.
        assert!(apart <= Some(1), "picture {item}: {apart:?}");
    }
    let read = |device: &str| {
        let file = TensorFile::read(home.path(&format!("found-{device}/basis.safetensors")));
        file.unwrap().get("singular_values").unwrap().data.clone()
    };
    for (a, b) in read("wgpu").iter().zip(&read("cpu")) {
        assert!((a - b).abs() < 1e-4 * b, "{a} {b}");
    }
}

/// A recipe says what, not where: what a card drew is drawn again here.
#[test]
fn a_replay_may_run_elsewhere() {
    let home = Home::new();
    if !has_card(&home) {
        return;
    }
    succeeds(
        &home,
        "sample --device wgpu --count 1 --steps 3 --out drawn",
    );
    let text = succeeds(&home, "replay drawn --out again");
    assert!(text.contains("same bytes"), "{text}");
    let text = succeeds(&home, "replay drawn --device wgpu --out there");
    assert!(text.contains("same bytes: 3 of 3"), "{text}");
}
