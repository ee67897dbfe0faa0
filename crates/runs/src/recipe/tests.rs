use super::*;
use crate::{Metadata, Picture};
use serde_json::json;

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Arguments {
    rank: usize,
    strength: f64,
    prompt: String,
}

fn example() -> Recipe {
    let arguments = Arguments {
        rank: 50,
        strength: 0.1 + 0.2,
        prompt: "一只猫 \"nap smile\"".into(),
    };
    let model = ModelReference {
        name: "puppets-32".into(),
        hash: "ab".repeat(32),
        options: ModelOptions {
            prompt: Some("a cat".into()),
            guidance: Some(7.5),
            prediction: Some("v_prediction".into()),
            ..ModelOptions::default()
        },
        parts: [("vae".to_owned(), "cd".repeat(32))].into(),
    };
    Recipe::new("discover", &arguments, u64::MAX, Some(model)).unwrap()
}

#[test]
fn a_recipe_survives_the_round_trip_to_the_last_bit() {
    let recipe = example();
    for text in [recipe.to_json(), recipe.to_line()] {
        let back = Recipe::from_json("r", &text).unwrap();
        assert_eq!(back, recipe);
        assert_eq!(back.to_json(), recipe.to_json());
        let arguments: Arguments = back.arguments("r").unwrap();
        assert_eq!(arguments.strength.to_bits(), (0.1f64 + 0.2).to_bits());
    }
    assert!(!recipe.to_line().contains('\n'));
    for x in [1e-310, 5e-324, 1.0 / 3.0, 123_456_789.123_456_78, f64::MAX] {
        let line = Recipe::new("x", &x, 0, None).unwrap().to_line();
        let back: f64 = Recipe::from_json("r", &line)
            .unwrap()
            .arguments("r")
            .unwrap();
        assert_eq!(back.to_bits(), x.to_bits());
    }
}

#[test]
fn a_recipe_is_found_in_a_folder_a_file_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = example();
    assert!(
        Recipe::find(folder.path())
            .unwrap_err()
            .what()
            .contains("not a run")
    );
    let file = folder.path().join("recipe.json");
    recipe.write(&file).unwrap();
    assert_eq!(Recipe::find(folder.path()).unwrap(), recipe);
    assert_eq!(Recipe::find(&file).unwrap(), recipe);

    let picture = Picture::new(1, 1, vec![1, 2, 3]).unwrap();
    let path = folder.path().join("sample.png");
    let bytes =
        picture::encode_png(&path, &picture, &Metadata::new().with_recipe(&recipe)).unwrap();
    atomic::write(&path, &bytes).unwrap();
    assert_eq!(Recipe::find(&path).unwrap(), recipe);

    let bare = picture::encode_png(&path, &picture, &Metadata::new()).unwrap();
    atomic::write(&path, &bare).unwrap();
    assert!(
        Recipe::find(&path)
            .unwrap_err()
            .what()
            .contains("carries no recipe")
    );
    assert!(Recipe::find(folder.path().join("none")).is_err());
}

#[test]
fn wrong_recipes_are_explained() {
    let recipe = example();
    let with = |key: &str, value: Value| {
        let mut json = serde_json::to_value(&recipe).unwrap();
        json[key] = value;
        Recipe::from_json("r.json", &json.to_string())
    };
    let what = |result: Result<Recipe>| result.unwrap_err().to_string();
    assert!(what(with("alice", json!("99.0.0"))).contains("made by Alice 99.0.0"));
    assert!(what(with("alice", json!("new"))).contains("not a version"));
    assert!(what(with("alice", json!(1))).contains("wrong or missing field"));
    assert!(what(with("seed", json!(-1))).contains("wrong or missing field"));
    assert!(what(with("surprise", json!(1))).contains("surprise"));
    assert!(with("alice", json!("0.0.9")).is_ok());
    assert!(what(Recipe::from_json("r", "{}")).contains("missing field `alice`"));
    assert!(what(Recipe::from_json("r", "Steps: 20")).contains("not valid JSON"));
    let text = recipe.to_json();
    for end in (0..text.len() - 2).filter(|&end| text.is_char_boundary(end)) {
        assert!(Recipe::from_json("r", &text[..end]).is_err());
    }
}

#[test]
fn verb_arguments_and_model_are_checked() {
    let recipe = example();
    recipe.require_verb("r", &["sample", "discover"]).unwrap();
    let error = recipe.require_verb("r", &["sample", "edit"]).unwrap_err();
    assert!(error.what().contains("\"discover\"") && error.hint().contains("sample, edit"));
    let error = recipe.arguments::<Vec<u8>>("r").unwrap_err();
    assert!(error.what().contains("\"discover\" do not fit"), "{error}");
    recipe.require_model("r", &"ab".repeat(32)).unwrap();
    let error = recipe.require_model("r", &"cd".repeat(32)).unwrap_err();
    assert!(error.what().contains("puppets-32"), "{error}");
    let none = Recipe::new("world", &(), 0, None).unwrap();
    none.require_model("r", "any").unwrap();
}

#[test]
fn models_differ_by_their_parts() {
    let model = |hash: &str, parts: &[(&str, &str)]| ModelReference {
        hash: hash.into(),
        parts: parts
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect(),
        ..ModelReference::default()
    };
    let one = model("a", &[("scheduler", "1"), ("vae", "2")]);
    assert_eq!(one.differences(&one), [""; 0]);
    assert_eq!(one.differences(&model("b", &[])), ["unet"]);
    assert_eq!(one.differences(&model("a", &[])), [""; 0]);
    let other = model("a", &[("tokenizer", "1"), ("vae", "3")]);
    assert_eq!(one.differences(&other), ["scheduler", "tokenizer", "vae"]);
}
