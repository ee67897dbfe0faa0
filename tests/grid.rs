//! `grid`, on the bundled model and on small Stable Diffusion pipelines that
//! diffusers made.

mod common;

use common::{Home, misused, pipeline, read};
use serde_json::json;
use std::fs;

/// Large cells have thumbnails on the page, which lead to them; those that are
/// missing when a grid goes on are made again.
#[test]
fn large_cells_have_thumbnails() {
    let home = Home::new();
    let sd = pipeline("sd");
    let grid =
        format!("grid --model {sd} --prompt cat --size 320x32 --steps 1 --x seed=0..3 --out run");
    home.json(&grid);
    let page = fs::read_to_string(home.path("run/report.html")).unwrap();
    for i in 0..3 {
        let thumbnail = format!("thumbnails/{i:05}.png");
        assert!(page.contains(&format!("src=\"{thumbnail}\"")), "{page}");
        assert!(page.contains(&format!("href=\"cells/{i:05}.png\"")));
        let found = read(&home, &format!("run/{thumbnail}"));
        assert_eq!((found.width(), found.height()), (256, 26));
    }
    let before = read(&home, "run/thumbnails/00001.png");
    for name in ["report.json", "thumbnails/00001.png", "report.html"] {
        fs::remove_file(home.path("run").join(name)).unwrap();
    }
    assert_eq!(home.json(&grid)["report"]["found"], 3);
    assert_eq!(read(&home, "run/thumbnails/00001.png"), before);
    let replay = home.json("replay run --out again");
    assert_eq!(replay["replay"]["different"], json!([]));
}

/// Equal cells are drawn once; an interrupted grid goes on; the sheet and the
/// page show all of them.
#[test]
fn a_grid_has_every_combination() {
    let home = Home::new();
    let grid = "grid --x steps=2,3,2 --y seed=4..6 --z sampler=ddim,dpm++-2m --out run";
    let report = home.json(grid);
    assert_eq!(report["report"]["extents"], json!([3, 2, 2]));
    assert_eq!(report["report"]["distinct"], 8);
    let sheets = report["report"]["sheets"].as_array().unwrap().len();
    assert_eq!(sheets, 2);
    let page = fs::read_to_string(home.path("run/report.html")).unwrap();
    assert_eq!(page.matches("<img").count(), 12);
    assert!(!home.path("run/thumbnails").exists());
    assert!(page.contains("loading=\"lazy\"") && page.contains("seed 5"));
    for part in [
        "<th scope=\"col\">steps 3</th>",
        "<th scope=\"row\">seed 4</th>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for part in ["<th></th>", "<th>", "class=\"\"", "<main><style"] {
        assert!(!page.contains(part), "{part}");
    }
    // The cell is the picture that `sample` draws.
    home.json("sample --seed 5 --steps 3 --count 1 --sampler dpm++-2m --out one");
    assert_eq!(
        read(&home, "run/cells/00007.png"),
        read(&home, "one/0000.png")
    );

    let first = fs::read(home.path("run/cells/00003.png")).unwrap();
    for name in ["report.json", "cells/00003.png", "report.html"] {
        fs::remove_file(home.path("run").join(name)).unwrap();
    }
    let report = home.json(grid);
    assert_eq!(report["report"]["found"], 7);
    assert_eq!(fs::read(home.path("run/cells/00003.png")).unwrap(), first);
    misused(&home, "grid --x colour=1 --out bad", "known are seed");
    home.refused("grid --x steps=0 --out bad", &["steps", "0"]);
    home.refused("grid --x strength=0.5 --out bad", &["--picture"]);
    // Every cell is asked what `img2img` is.
    home.refused(
        "grid --x strength=0.5,0.01 --picture one/0000.png --steps 5 --out bad",
        &["--strength", "0.01", "is none"],
    );
    home.json("grid --x strength=0,0.5 --picture one/0000.png --steps 5 --out from");
    home.refused("grid --x prompt=a|b --out bad", &["--prompt", "read text"]);
    let turned = "grid --x variation=0,0.3 --steps 3";
    home.refused(&format!("{turned} --out bad"), &["--variation-seed"]);
    home.refused(
        "grid --x variation=2 --variation-seed 9 --out bad",
        &["--variation", "between 0 and 1"],
    );
    home.json(&format!(
        "{turned} --seed 5 --variation-seed 9 --out turned"
    ));
    home.json("sample --seed 5 --steps 3 --count 1 --variation-seed 9 --variation 0.3 --out like");
    assert_eq!(
        read(&home, "turned/cells/00001.png"),
        read(&home, "like/0000.png")
    );
    home.refused("grid --x seed=1 --y seed=2 --out bad", &["seed", "already"]);
}

/// The values of an axis alone are wrapped, along whichever side it is.
#[test]
fn a_grid_of_one_axis_is_wrapped() {
    let home = Home::new();
    for side in ["x", "y"] {
        let report = home.json(&format!("grid --{side} seed=0..12 --steps 1 --out {side}"));
        assert_eq!(report["report"]["distinct"], 12);
        assert_eq!(report["report"]["sheets"], json!(["sheet.png"]));
        let sheet = read(&home, &format!("{side}/sheet.png"));
        let ratio = f64::from(sheet.width()) / f64::from(sheet.height());
        assert!((0.7..1.5).contains(&ratio), "{side}: {ratio}");
        let page = fs::read_to_string(home.path(side).join("report.html")).unwrap();
        assert!(page.contains("class=\"wrapped\"") && !page.contains("<table"));
        assert_eq!(page.matches("loading=\"lazy\"").count(), 12);
        assert!(page.contains("<figcaption>seed 11</figcaption>"));
    }
    assert_eq!(read(&home, "x/sheet.png"), read(&home, "y/sheet.png"));
    let replay = home.json("replay y --out again");
    assert_eq!(replay["replay"]["different"], json!([]));
}

/// What an axis varies is not set beside it, and ranges and files without
/// values are explained.
#[test]
fn axes_of_a_grid_that_make_no_sense_are_refused() {
    let home = Home::new();
    for (options, words) in [
        ("--x seed=0..2 --seed 0", ["--seed", "--x"]),
        ("--x seed=0..2 --y steps=3,4 --steps 50", ["--steps", "--y"]),
        ("--x eta=0,1 --eta 0.5", ["--eta", "--x"]),
        (
            "--x guidance=1,5 --model none --guidance 3",
            ["--guidance", "--x"],
        ),
        ("--x seed=5..3", ["runs backwards", "3..5"]),
        ("--x seed=3..3", ["is empty", "left out"]),
        ("--z seed=0..2", ["--x", "required"]),
    ] {
        for word in words {
            misused(&home, &format!("grid {options} --out bad"), word);
        }
    }
    fs::write(home.path("none.txt"), "\n \n").unwrap();
    home.refused(
        "grid --x seed@none.txt --out bad",
        &["none.txt", "no line", "one value a line"],
    );
    home.refused("grid --x steps=3,,4 --out bad", &["value 2 of 3 is empty"]);
    assert!(!home.path("bad").exists());
    let help = home.alice("grid --help").stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("0..8 (which leaves out 8)"), "{help}");
}

#[test]
fn texts_of_a_grid_are_replaced() {
    let home = Home::new();
    let sd = pipeline("sd");
    fs::write(home.path("artists.txt"), "Klee\n\nRembrandt\n").unwrap();
    let report = home.json(&format!(
        "grid --model {sd} --prompt cat,WHO --size 16x16 --steps 2 --x prompt:WHO@artists.txt --y guidance=1,5 --out run"
    ));
    assert_eq!(report["report"]["distinct"], 4);
    let png = fs::read(home.path("run/cells/00001.png")).unwrap();
    assert!(String::from_utf8_lossy(&png).contains("cat,Rembrandt"));
    assert_ne!(
        read(&home, "run/cells/00000.png"),
        read(&home, "run/cells/00001.png")
    );
    // The network that is told other prompts is as good as a new one.
    home.json(&format!(
        "sample --model {sd} --prompt cat,Rembrandt --guidance 5 --size 16x16 --steps 2 --out one"
    ));
    assert_eq!(
        read(&home, "run/cells/00003.png"),
        read(&home, "one/0000.png")
    );
    home.refused(
        &format!("grid --model {sd} --prompt cat --size 16x16 --x prompt:WHO=a|b --out bad"),
        &["WHO", "does not hold"],
    );
    // Nothing is a negative prompt too, and no place in another one.
    let grid = format!("grid --model {sd} --prompt cat --size 16x16 --steps 1");
    let report = home.json(&format!("{grid} --y negative=blue| --out none"));
    assert_eq!(report["report"]["distinct"], 2);
    let page = fs::read_to_string(home.path("none/report.html")).unwrap();
    assert!(page.contains("<figcaption>none</figcaption>") || page.contains(">none</th>"));
    home.refused(
        &format!("{grid} --negative blue --y negative=|red --out bad"),
        &["--negative", "negative:WHAT"],
    );
}
