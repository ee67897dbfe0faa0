//! Weights in prompts, as users write them with brackets.

/// How much a pair of round brackets adds, and of square ones takes.
const BRACKET: f64 = 1.1;

/// A part of a prompt and how much it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The text, without brackets.
    pub text: String,
    /// 1 is as written.
    pub weight: f64,
}

/// Splits a prompt into pieces of one weight: `(x)` counts 1.1 times, `[x]`
/// 1/1.1 times, `(x:1.5)` 1.5 times, nested brackets multiply; `\(` is a
/// bracket of the text. Brackets that never close count to the end, and those
/// that never opened are text.
#[must_use]
pub fn parse(prompt: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = vec![plain(String::new())];
    // Where the pieces of each open bracket begin.
    let (mut round, mut square) = (Vec::new(), Vec::new());
    let mut rest = prompt.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if matches!(rest.peek(), Some('(' | ')' | '[' | ']' | '\\')) => {
                push(&mut pieces, rest.next().unwrap_or('\\'));
            }
            '(' => open(&mut pieces, &mut round),
            '[' => open(&mut pieces, &mut square),
            ')' => match round.pop() {
                None => push(&mut pieces, c),
                Some(start) => {
                    let weight = pieces.last_mut().and_then(take_weight);
                    scale(&mut pieces[start..], weight.unwrap_or(BRACKET));
                    pieces.push(plain(String::new()));
                }
            },
            ']' => match square.pop() {
                None => push(&mut pieces, c),
                Some(start) => {
                    scale(&mut pieces[start..], 1.0 / BRACKET);
                    pieces.push(plain(String::new()));
                }
            },
            c => push(&mut pieces, c),
        }
    }
    for start in round {
        scale(&mut pieces[start..], BRACKET);
    }
    for start in square {
        scale(&mut pieces[start..], 1.0 / BRACKET);
    }
    pieces.retain(|piece| !piece.text.is_empty());
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if last.weight == piece.weight => last.text.push_str(&piece.text),
            _ => joined.push(piece),
        }
    }
    if joined.is_empty() {
        joined.push(plain(String::new()));
    }
    joined
}

fn plain(text: String) -> Piece {
    Piece { text, weight: 1.0 }
}

fn open(pieces: &mut Vec<Piece>, stack: &mut Vec<usize>) {
    stack.push(pieces.len());
    pieces.push(plain(String::new()));
}

fn push(pieces: &mut [Piece], c: char) {
    if let Some(last) = pieces.last_mut() {
        last.text.push(c);
    }
}

fn scale(pieces: &mut [Piece], factor: f64) {
    for piece in pieces {
        piece.weight *= factor;
    }
}

/// Takes `:1.5` off the end of a piece.
fn take_weight(piece: &mut Piece) -> Option<f64> {
    let (text, number) = piece.text.rsplit_once(':')?;
    let weight: f64 = number.trim().parse().ok()?;
    if !weight.is_finite() {
        return None;
    }
    piece.text = text.to_owned();
    Some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(prompt: &str) -> Vec<(String, f64)> {
        let rounded = |w: f64| (w * 1e6).round() / 1e6;
        let found = parse(prompt).into_iter();
        found.map(|p| (p.text, rounded(p.weight))).collect()
    }

    #[test]
    fn brackets_weigh() {
        let cases: [(&str, &[(&str, f64)]); 12] = [
            ("a cat", &[("a cat", 1.0)]),
            ("", &[("", 1.0)]),
            ("a (big) cat", &[("a ", 1.0), ("big", 1.1), (" cat", 1.0)]),
            (
                "a ((big)) cat",
                &[("a ", 1.0), ("big", 1.21), (" cat", 1.0)],
            ),
            (
                "a [big] cat",
                &[("a ", 1.0), ("big", 0.909_091), (" cat", 1.0)],
            ),
            (
                "a (big:1.5) cat",
                &[("a ", 1.0), ("big", 1.5), (" cat", 1.0)],
            ),
            (
                "(a (big:2) cat:0.5)",
                &[("a ", 0.5), ("big", 1.0), (" cat", 0.5)],
            ),
            ("(a: b)", &[("a: b", 1.1)]),
            (r"a \(big\) cat", &[("a (big) cat", 1.0)]),
            ("a) cat", &[("a) cat", 1.0)]),
            ("a (cat", &[("a ", 1.0), ("cat", 1.1)]),
            ("(a:nan)", &[("a:nan", 1.1)]),
        ];
        for (prompt, expected) in cases {
            let expected: Vec<(String, f64)> = expected
                .iter()
                .map(|(t, w)| ((*t).to_owned(), *w))
                .collect();
            assert_eq!(pieces(prompt), expected, "{prompt}");
        }
    }
}
