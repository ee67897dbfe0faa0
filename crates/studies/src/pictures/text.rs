//! Lines of text, in two faces of Inter (OFL-1.1, see `fonts/`).

use ab_glyph::{Font, FontRef, ScaleFont};
use std::sync::LazyLock;

/// A face of the embedded type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// For reading.
    Regular,
    /// For headings and names.
    Bold,
}

static REGULAR: LazyLock<FontRef<'static>> =
    LazyLock::new(|| embedded(include_bytes!("fonts/Inter-Regular.otf")));
static BOLD: LazyLock<FontRef<'static>> =
    LazyLock::new(|| embedded(include_bytes!("fonts/Inter-SemiBold.otf")));

fn embedded(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the embedded fonts are read by a test")
}

/// A face at a size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Type {
    face: Face,
    size: f32,
}

impl Type {
    /// A face at `size` pixels to the em.
    #[must_use]
    pub const fn new(face: Face, size: f32) -> Self {
        Self { face, size }
    }

    /// The width of a line, in pixels.
    #[must_use]
    pub fn width(self, line: &str) -> f32 {
        let font = self.font();
        line.chars()
            .map(|c| font.h_advance(font.glyph_id(printable(c))))
            .sum()
    }

    fn font(self) -> ab_glyph::PxScaleFont<&'static FontRef<'static>> {
        let font = match self.face {
            Face::Regular => &*REGULAR,
            Face::Bold => &*BOLD,
        };
        // ab_glyph scales by the height of a line; a size is that of the em.
        let em = font.units_per_em().unwrap_or(1000.0);
        font.as_scaled(self.size * font.height_unscaled() / em)
    }
}

/// Control characters and line feeds in a name have no glyph.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// Calls `ink(dx, dy, coverage)` for the pixels of a line that starts at the
/// origin; y grows downwards from the baseline.
pub(super) fn draw(line: &str, style: Type, mut ink: impl FnMut(i64, i64, f32)) {
    let font = style.font();
    let mut x = 0.0;
    for c in line.chars() {
        let id = font.glyph_id(printable(c));
        let glyph = id.with_scale_and_position(font.scale(), ab_glyph::point(x, 0.0));
        x += font.h_advance(id);
        if let Some(outline) = font.outline_glyph(glyph) {
            let corner = outline.px_bounds().min;
            let (left, top) = (corner.x as i64, corner.y as i64);
            outline.draw(|dx, dy, coverage| {
                ink(left + i64::from(dx), top + i64::from(dy), coverage.min(1.0));
            });
        }
    }
}

/// The line, with its middle left out where it is wider than `width` pixels:
/// of a long path the last part matters as much as the first.
#[must_use]
pub fn shorten(line: &str, style: Type, width: f32) -> String {
    if style.width(line) <= width {
        return line.to_owned();
    }
    let chars: Vec<char> = line.chars().collect();
    let cut = |kept: usize| -> String {
        let tail = kept / 2;
        let head: String = chars[..kept - tail].iter().collect();
        let tail: String = chars[chars.len() - tail..].iter().collect();
        format!("{}…{}", head.trim_end(), tail.trim_start())
    };
    let kept = (0..chars.len())
        .rev()
        .find(|&kept| style.width(&cut(kept)) <= width)
        .unwrap_or(0);
    cut(kept)
}

/// The words in at most `lines` lines of `width` pixels; what does not fit is
/// left out and marked.
#[must_use]
pub fn wrap(words: &str, style: Type, width: f32, lines: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        let full = out.len() >= lines;
        match out.last_mut() {
            Some(line) if style.width(&format!("{line} {word}")) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(line) if full => {
                *line = ended(line, style, width);
                break;
            }
            None if full => break,
            _ => out.push(shorten(word, style, width)),
        }
    }
    out
}

/// The line with a mark that more would follow.
fn ended(line: &str, style: Type, width: f32) -> String {
    let mut kept = line.trim_end_matches([',', '.', ' ']).to_owned();
    while style.width(&format!("{kept}…")) > width && kept.pop().is_some() {}
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: Type = Type {
        face: Face::Regular,
        size: 14.0,
    };

    #[test]
    fn the_embedded_faces_have_every_sign_of_labels() {
        for face in [Face::Regular, Face::Bold] {
            let font = Type::new(face, 14.0).font();
            for c in "σρ−+×·…–—%‖₁√0123456789AZazéß".chars() {
                assert_ne!(font.glyph_id(c).0, 0, "{face:?} lacks {c}");
            }
            // Figures line up in columns.
            let widths: Vec<f32> = ('0'..='9')
                .map(|c| font.h_advance(font.glyph_id(c)))
                .collect();
            assert!(
                widths.iter().all(|w| (w - widths[0]).abs() < 0.05),
                "{widths:?}"
            );
        }
    }

    #[test]
    fn a_size_is_that_of_the_em() {
        // Inter's capitals are 0.727 em high.
        let mut top = 0;
        draw("H", Type::new(Face::Regular, 100.0), |_, y, coverage| {
            if coverage > 0.5 {
                top = top.min(y);
            }
        });
        assert!((-75..=-70).contains(&top), "{top}");
    }

    #[test]
    fn a_long_line_keeps_both_ends() {
        let path = "models/a/very/long/path/to/some/place/unet";
        let short = shorten(path, BODY, 120.0);
        assert!(BODY.width(&short) <= 120.0);
        assert!(short.starts_with("mod") && short.ends_with("unet") && short.contains('…'));
        assert_eq!(shorten("smile", BODY, 120.0), "smile");
        assert_eq!(shorten("smile", BODY, 0.0), "…");
    }

    #[test]
    fn words_wrap_and_the_rest_is_marked() {
        let lines = wrap("a cat with a small nose and a big smile", BODY, 100.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…'), "{lines:?}");
        assert!(lines.iter().all(|line| BODY.width(line) <= 100.0));
        assert_eq!(wrap("a cat", BODY, 100.0, 2), ["a cat"]);
        assert!(wrap("a cat", BODY, 100.0, 0).is_empty());
    }
}
