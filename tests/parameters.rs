//! Every PNG of pictures that a model drew says how, as other programs read it.

mod common;

use alice_runs::Recipe;
use alice_runs::picture::{PARAMETERS_KEYWORD, read_png};
use common::{Home, files};

#[test]
fn sheets_strips_and_films_carry_their_parameters() {
    let home = Home::new();
    home.tiny_model();
    home.json("sample --model model --steps 3 --count 2 --seed 4 --out sample");
    let edit = "edit sample/0000.png --model model --steps 3 --iterations 2 --frames 1 --seed 4";
    let discover = "discover --model model --samples 2 --steps 3 --rank 2 --walks 1 --iterations 2 \
                    --frames 1 --seed 4";
    for (command, out, wanted) in [
        (discover, "discover", &["sheet.png"][..]),
        (edit, "edit", &["strip.png", "walk.png"]),
        (
            "invert sample/0000.png --model model --steps 3",
            "invert",
            &["strip.png", "reconstruction.png"],
        ),
        (
            "img2img sample/0000.png --model model --steps 3 --count 1 --seed 4",
            "img2img",
            &["sheet.png", "0000.png"],
        ),
    ] {
        home.json(&format!("{command} --out {out}"));
        for name in wanted {
            assert!(home.path(out).join(name).is_file(), "{out} {name}");
        }
        let pictures = files(&home.path(out)).into_iter();
        for path in pictures.filter(|path| path.extension().is_some_and(|e| e == "png")) {
            let (_, metadata) = read_png(&path).unwrap();
            let text = metadata.texts.get(PARAMETERS_KEYWORD);
            let text = text.unwrap_or_else(|| panic!("{} has none", path.display()));
            let seed = Recipe::find(&path).unwrap().seed;
            let start = format!("Steps: 3, Sampler: DDIM, Seed: {seed}, Size: 8x8, Model hash: ");
            assert!(text.starts_with(&start), "{}: {text}", path.display());
        }
    }
}
