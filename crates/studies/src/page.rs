//! The frame of every `report.html`: one file that needs nothing else.
//!
//! No request leaves the page: style, script, pictures and plots are inside
//! it. [`maud`] escapes what comes from files.

use alice_runs::Recipe;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("discover/page/style.css");

/// A whole page from its header and its sections.
pub(crate) fn document(
    title: &str,
    recipe: &Recipe,
    header: Markup,
    sections: Markup,
    script: &str,
) -> String {
    whole(title, recipe, header, sections, ["", script], "data:")
}

/// A page whose pictures lie beside it, for more of them than one file holds.
pub(crate) fn document_with_files(
    title: &str,
    recipe: &Recipe,
    style: &str,
    header: Markup,
    sections: Markup,
) -> String {
    let pictures = "'self' file: data:";
    whole(title, recipe, header, sections, [style, ""], pictures)
}

fn whole(
    title: &str,
    recipe: &Recipe,
    header: Markup,
    sections: Markup,
    [style, script]: [&str; 2],
    pictures: &str,
) -> String {
    let policy = format!(
        "default-src 'none'; img-src {pictures}; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    );
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Even a mistake below must not reach the network.
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { (title) " · Alice" }
                style { (PreEscaped(STYLE)) (PreEscaped(style)) }
            }
            body {
                (header)
                main { (sections) }
                footer { "Made by Alice " (recipe.alice) ", a workbench for the geometry of diffusion models." }
                @if !script.is_empty() { script { (PreEscaped(script)) } }
            }
        }
    };
    markup.into_string()
}

/// How to repeat the run.
pub(crate) fn again(recipe: &Recipe) -> Markup {
    html! {
        section #again {
            h2 { "Do it again" }
            p { "In the folder of this page:" }
            pre.command { code { "alice replay ." } }
            p {
                "The recipe gives the same bytes on the same machine."
                @if let Some(model) = &recipe.model {
                    " It wants the model " strong { (model.name) } " with the hash " code.hash { (model.hash) } "."
                }
            }
            details {
                summary { "The recipe" }
                pre { code { (recipe.to_json()) } }
            }
        }
    }
}

/// A PNG as a `data:` address.
pub(crate) fn png_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}
