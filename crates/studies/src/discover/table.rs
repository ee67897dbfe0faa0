//! What `discover` found, as a table for a terminal.

use super::findings::{DiscoverReport, FactorResponse, WalkReport};
use crate::pictures::numbers;
use crate::walk::LEAST_HELD;

const GAP: &str = "  ";

/// One column: its heading, whether its cells begin on the left, and its cells.
pub(crate) struct Column {
    pub heading: &'static str,
    pub left: bool,
    pub cells: Vec<String>,
}

/// One line per direction, without colour, ending with a line feed.
///
/// Columns that have nothing to say (no instrument, no walks) are left out;
/// directions that were found but not walked share a line; the sliders follow.
#[must_use]
pub fn table(report: &DiscoverReport) -> String {
    if report.walks.is_empty() {
        return basis_only(report) + &unsettled(report);
    }
    let mut text = walked(&report.walks, "direction");
    text.push_str(&rest(&report.singular_values, &report.walks));
    text.push_str(&unsettled(report));
    if let Some(sliders) = &report.sliders {
        let directions = numbers::counted(report.singular_values.len() as u64, "direction");
        text.push('\n');
        let found = if sliders.is_empty() {
            "no combination that moves one factor alone was found"
        } else {
            text.push_str(&walked(sliders, "slider"));
            "combinations that move one factor alone"
        };
        text.push_str(&format!("{GAP}of {directions}, {found}\n"));
    }
    text
}

/// One line per walk.
pub(crate) fn walked(walks: &[WalkReport], kind: &'static str) -> String {
    let column = |heading, left, cell: &dyn Fn(&WalkReport) -> String| Column {
        heading,
        left,
        cells: walks.iter().map(cell).collect(),
    };
    let mut columns = vec![
        column(kind, false, &|w| w.direction.to_string()),
        column("σ", false, &|w| numbers::figures(w.singular_value)),
    ];
    if walks.iter().any(|w| w.strongest.is_some()) {
        columns.extend([
            column("strongest factor", true, &strongest_name),
            column("change", false, &|w| {
                strongest(w, |r| numbers::signed(r.change, 2))
            }),
            column("ρ", false, &|w| strongest(w, FactorResponse::rho)),
            column("purity", false, &|w| share(w.purity)),
        ]);
    }
    if walks.iter().any(|w| w.sound.is_some()) {
        columns.push(column("sound", false, &|w| share(w.sound)));
    }
    if columns.len() == 2 {
        columns.push(column("pixel change", false, &|w| {
            numbers::figures(w.pixel_change)
        }));
    }
    lines(&columns) + &lost(walks)
}

/// Which geodesics turned round, if any.
fn lost(walks: &[WalkReport]) -> String {
    let lost: Vec<String> = walks
        .iter()
        .filter(|walk| walk.is_lost())
        .map(|walk| walk.direction.to_string())
        .collect();
    if lost.is_empty() {
        return String::new();
    }
    let (geodesics, were) = match lost.len() {
        1 => ("the geodesic", "was"),
        _ => ("the geodesics", "were"),
    };
    format!(
        "{GAP}{geodesics} of {} turned round and {were} not read: the tangent space held less than \
         {} of the direction; a smaller --reach or more --iterations keep it\n",
        lost.join(", "),
        numbers::percent(LEAST_HELD)
    )
}

/// The factor that moved most along a walk, and how.
pub(super) fn strongest(walk: &WalkReport, cell: impl Fn(&FactorResponse) -> String) -> String {
    let name = walk.strongest.as_deref();
    let moved = walk
        .responses
        .iter()
        .find(|r| Some(r.factor.as_str()) == name);
    moved.map_or_else(|| numbers::NONE.to_owned(), cell)
}

fn strongest_name(walk: &WalkReport) -> String {
    let name = walk.strongest.as_deref().unwrap_or(numbers::NONE);
    numbers::factor_label(name).to_owned()
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| numbers::NONE.to_owned(), numbers::percent)
}

fn basis_only(report: &DiscoverReport) -> String {
    let sigmas = &report.singular_values;
    lines(&[
        Column {
            heading: "direction",
            left: false,
            cells: (0..sigmas.len()).map(|i| i.to_string()).collect(),
        },
        Column {
            heading: "σ",
            left: false,
            cells: sigmas.iter().map(|s| numbers::figures(*s)).collect(),
        },
    ])
}

/// That the basis did not converge, if so, and how far it came.
fn unsettled(report: &DiscoverReport) -> String {
    if report.converged {
        return String::new();
    }
    let products = numbers::counted(report.block_products as u64, "block product");
    format!(
        "{GAP}not converged: after {products} the residual is {:.1e} of σ₁, above the tolerance; \
         do not trust the last directions, or ask with a larger --tolerance or a smaller --rank\n",
        report.residual
    )
}

/// The directions that were found but not walked.
pub(crate) fn rest(singular_values: &[f64], walks: &[WalkReport]) -> String {
    let walked = walks.iter().map(|w| w.direction + 1).max().unwrap_or(0);
    match singular_values.get(walked..) {
        Some([only]) => {
            let sigma = numbers::figures(*only);
            format!("{GAP}direction {walked} was not walked: σ {sigma}\n")
        }
        Some([first, .., last]) => format!(
            "{GAP}directions {} to {} were not walked: σ {} to {}\n",
            walked,
            singular_values.len() - 1,
            numbers::figures(*first),
            numbers::figures(*last),
        ),
        _ => String::new(),
    }
}

/// The columns side by side, a line per row.
pub(crate) fn lines(columns: &[Column]) -> String {
    let chars = |text: &str| text.chars().count();
    let rows = columns.first().map_or(0, |c| c.cells.len());
    let mut text = String::new();
    for row in 0..=rows {
        let mut line = String::new();
        for column in columns {
            let cell = |row: usize| match row.checked_sub(1) {
                Some(row) => column.cells[row].as_str(),
                None => column.heading,
            };
            let width = (0..=rows).map(|r| chars(cell(r))).max().unwrap_or(0);
            let padding = " ".repeat(width - chars(cell(row)));
            line.push_str(GAP);
            if column.left {
                line.push_str(cell(row));
                line.push_str(&padding);
            } else {
                line.push_str(&padding);
                line.push_str(cell(row));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;

    #[test]
    fn the_table_reads_without_colour() {
        let findings = synthetic::findings(&synthetic::Shape {
            walks: 3,
            sliders: 1,
            rank: 6,
            ..synthetic::Shape::default()
        });
        let expected = "  \
direction     σ  strongest factor           change      ρ  purity  sound
          0  12.4  smile                       +3.46  +1.00    80 %  100 %
          1  10.9  head position, horizontal   −2.77  −1.00    89 %   89 %
          2  9.60  hat                         +2.00  +1.00    90 %  100 %
  directions 3 to 5 were not walked: σ 8.40 to 6.51

  slider     σ  strongest factor  change      ρ  purity  sound
       0  12.4  smile              +3.46  +1.00    80 %  100 %
  of 6 directions, combinations that move one factor alone
";
        assert_eq!(
            table(&findings.report),
            expected,
            "\n{}",
            table(&findings.report)
        );
    }

    #[test]
    fn columns_with_nothing_to_say_are_left_out() {
        let shape = synthetic::Shape {
            instrument: false,
            walks: 1,
            rank: 2,
            ..synthetic::Shape::default()
        };
        let mut report = synthetic::findings(&shape).report;
        report.walks[0].singular_value = f64::NAN;
        let text = table(&report);
        assert!(
            text.starts_with("  direction  σ  pixel change\n          0  –"),
            "{text}"
        );
        assert!(
            text.ends_with("  direction 1 was not walked: σ 10.9\n"),
            "{text}"
        );
        report.walks.clear();
        assert_eq!(
            table(&report),
            "  direction     σ\n          0  12.4\n          1  10.9\n"
        );
        report.singular_values.clear();
        assert_eq!(table(&report), "  direction  σ\n");
    }
}
