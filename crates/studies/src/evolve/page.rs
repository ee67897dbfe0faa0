//! `report.html` of `evolve`.

use super::curve;
use super::paper::PaperReport;
use super::report::EvolveReport;
use super::table::Table;
use super::tour::TourReport;
use crate::page::{again, document, png_uri};
use crate::pictures::numbers;
use alice_runs::Recipe;
use maud::{Markup, html};

/// A film with a still that stands for it.
pub(super) struct Film<'a> {
    pub film: &'a [u8],
    pub sheet: &'a [u8],
    /// What it shows.
    pub about: String,
}

const METHOD: &str = "Diffusion Evolution takes evolution for the reversal of diffusion: a population of noise is \
denoised step by step. Each generation, every individual estimates where it comes from, as a mean of all \
individuals weighted by their fitness and by their nearness at this noise level, and moves a little towards it. \
Early, the kernel is wide and all agree on what is good; late, it is narrow and each settles on the good place \
nearest to it. So the population ends in many good places, not in one.";

fn head(kicker: &str, title: &str, facts: &[(&str, String)]) -> Markup {
    html! {
        header.top {
            p.kicker { "Alice · " (kicker) }
            h1 { (title) }
            dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
        }
    }
}

fn film_section(film: &Film) -> Markup {
    let (moving, still) = (png_uri(film.film), png_uri(film.sheet));
    html! {
        section #film {
            h2 { "The film" }
            figure {
                img.drawn.moving src=(moving) alt=(film.about);
                figcaption { (film.about) }
            }
            h3 { "As stills" }
            figure { img.drawn src=(still) alt="Moments of the film, side by side"; }
        }
    }
}

fn method_section() -> Markup {
    html! { section #about { h2 { "What was done" } p.lead { (METHOD) } } }
}

fn page(title: &str, facts: &[(&str, String)], sections: &Markup, recipe: &Recipe) -> String {
    let all = html! { (sections) (again(recipe)) };
    document(title, recipe, head(&recipe.verb, title, facts), all, "")
}

/// The page of one run.
pub(super) fn single(
    report: &EvolveReport,
    fitness: &[Vec<f64>],
    film: Option<&Film>,
    recipe: &Recipe,
) -> String {
    let title = format!("{} on {}", report.method, report.problem);
    let best = format!("best {}", report.elite);
    let facts = [
        ("best fitness", numbers::figures(report.best_fitness)),
        (
            best.as_str(),
            numbers::figures(report.measures.top64_fitness),
        ),
        ("evaluations", numbers::count(report.evaluations)),
        (
            "per generation",
            format!(
                "{} ms",
                numbers::figures(1e3 * report.seconds_per_generation)
            ),
        ),
        ("seed", recipe.seed.to_string()),
    ];
    let sections = html! {
        @if report.diffuses() { (method_section()) }
        @if let Some(film) = film { (film_section(film)) }
        section #fitness {
            h2 { "Fitness" }
            p { "The best individual of each generation, and how the others lie below it." }
            (curve::plot(fitness))
        }
        section #figures { h2 { "Figures" } (report.table().to_html("Figures of the run")) }
        @if let Some(note) = report.outside_note() { p.note { (note) "." } }
        @if let Some(point) = report.shown_point() {
            section #best { h2 { "The best individual" } pre { code { (point) } } }
        }
    };
    page(&title, &facts, &sections, recipe)
}

/// The page of all functions.
pub(super) fn tour(
    report: &TourReport,
    table: &Table,
    fitness: &[(String, Vec<Vec<f64>>)],
    film: &Film,
    recipe: &Recipe,
) -> String {
    let evaluations: usize = report.problems.iter().map(|r| r.evaluations).sum();
    let diffuses = report.problems.iter().all(EvolveReport::diffuses);
    let facts = [
        ("method", report.method().to_owned()),
        ("functions", report.problems.len().to_string()),
        ("evaluations", numbers::count(evaluations)),
        (
            "evolved in",
            format!("{} s", numbers::figures(report.seconds)),
        ),
        ("seed", recipe.seed.to_string()),
    ];
    let sections = html! {
        @if diffuses { (method_section()) }
        (film_section(film))
        section #figures {
            h2 { @if report.comparable { "Beside the released figures" } @else { "Figures" } }
            p {
                "One run each"
                @if report.comparable {
                    "; the released figures (in the columns beside) are of Diffusion Evolution, means read off the paper’s plots"
                }
                ". "
                "Entropy is that of the cells of a tenth that hold the best 64, at most 6 bits; mean is over the whole final population; "
                "QD adds up the best fitness of each unit cell; outside is the share of the final population beyond ±4."
            }
            (table.to_html("Figures of all functions"))
        }
        section #fitness {
            h2 { "Fitness" }
            @for (name, fitness) in fitness { h3 { (name) } (curve::plot(fitness)) }
        }
    };
    let title = "Populations over landscapes";
    page(title, &facts, &sections, recipe)
}

/// The page of the paper's experiments.
pub(super) fn paper(
    report: &PaperReport,
    plots: &[(&'static str, Markup)],
    recipe: &Recipe,
) -> String {
    let facts = [
        ("runs of each", report.seeds.to_string()),
        ("experiments", report.rows.len().to_string()),
        ("first seed", report.seed.to_string()),
    ];
    let sections = html! {
        (method_section())
        @for (name, plot) in plots { section { h2 { (name) } div.scroll { (plot) } } }
        @for (title, table) in report.tables() {
            section {
                h2 { (title) }
                p.note { "Means ± half of the 95 % interval of the mean; released figures in brackets." }
                (table.to_html(&title))
            }
        }
    };
    let title = "The paper’s experiments";
    page(title, &facts, &sections, recipe)
}
