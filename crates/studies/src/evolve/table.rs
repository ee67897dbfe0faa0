//! Tables, for the terminal, for documents and for the page.

use crate::discover::table::{Column, lines};
use maud::{Markup, html};

/// A heading and one row of cells per line; the first columns are words.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    pub headings: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    /// Columns that hold words and begin on the left.
    pub words: usize,
}

impl Table {
    /// Takes out the columns under a heading.
    pub fn remove(&mut self, heading: &str) {
        let kept: Vec<bool> = self.headings.iter().map(|h| *h != heading).collect();
        for row in &mut self.rows {
            let mut kept = kept.iter();
            row.retain(|_| kept.next() == Some(&true));
        }
        self.headings.retain(|h| *h != heading);
    }

    /// For a terminal, without colour.
    pub fn to_text(&self) -> String {
        let columns: Vec<Column> = self
            .headings
            .iter()
            .enumerate()
            .map(|(index, heading)| Column {
                heading,
                left: index < self.words,
                cells: self.rows.iter().map(|row| row[index].clone()).collect(),
            })
            .collect();
        lines(&columns)
    }

    /// For a Markdown document.
    pub fn to_markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let headings: Vec<String> = self.headings.iter().map(ToString::to_string).collect();
        let rules: Vec<String> = (0..headings.len())
            .map(|index| if index < self.words { "---" } else { "---:" }.to_owned())
            .collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        line(&headings) + &line(&rules) + &rows
    }

    /// For the page.
    pub fn to_html(&self, about: &str) -> Markup {
        html! {
            div.scroll tabindex="0" role="group" aria-label=(about) {
                table.plain {
                    thead { tr { @for (index, heading) in self.headings.iter().enumerate() {
                        th.num[index >= self.words] scope="col" { (heading) }
                    } } }
                    tbody { @for row in &self.rows { tr {
                        @for (index, cell) in row.iter().enumerate() {
                            @if index == 0 { th scope="row" { (cell) } }
                            @else { td.num[index >= self.words] { (cell) } }
                        }
                    } } }
                }
            }
        }
    }
}
