//! `population.csv`: who was there last, for other programs.

use super::search::Survivors;
use super::subject::Subject;
use std::fmt::Write;

/// Numbers of points that are written beside their estimates, at most: large
/// policies make files of hundreds of megabytes.
const MOST_WITH_ESTIMATES: usize = 1 << 20;

/// One line per individual: x in the problem's own numbers, its fitness, and
/// the estimate x̂₀ in the same numbers where there is one. A fitness that is
/// not known yet is empty.
pub(super) fn csv(survivors: &Survivors, subject: &Subject) -> String {
    let d = subject.problem().dimension();
    let points = subject.own(&survivors.points);
    let denoised = survivors.denoised.as_ref();
    let denoised = denoised
        .filter(|values| values.len() <= MOST_WITH_ESTIMATES)
        .map(|values| subject.own(values));
    let names = |of: &'static str| (1..=d).map(move |k| format!("{of}_{k}"));
    let mut headings: Vec<String> = names("x").collect();
    headings.push("fitness".to_owned());
    if denoised.is_some() {
        headings.extend(names("x0"));
    }
    let mut text = headings.join(",") + "\n";
    // Writing to a string cannot fail. Debug is the shortest text that reads
    // back as the same number, with a power of ten where it has many zeros.
    for (i, point) in points.chunks_exact(d).enumerate() {
        for x in point {
            let _ = write!(text, "{x:?},");
        }
        if let Some(fitness) = survivors.fitness.get(i) {
            let _ = write!(text, "{fitness:?}");
        }
        let estimate = denoised.as_ref().map(|values| &values[i * d..][..d]);
        for x0 in estimate.into_iter().flatten() {
            let _ = write!(text, ",{x0:?}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alice_evolution::problems::Function;

    #[test]
    fn numbers_read_back_as_they_were() {
        let subject = Subject::Function(Function::new("ackley", None).unwrap());
        let mut survivors = Survivors {
            points: vec![0.1, -1e300, 1.0 / 3.0, 5e-324],
            fitness: vec![0.25, 1e308],
            denoised: Some(vec![1.0, 2.0, 3.0, 4.5]),
        };
        let text = csv(&survivors, &subject);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "x_1,x_2,fitness,x0_1,x0_2");
        assert_eq!(lines[1], "0.1,-1e300,0.25,1.0,2.0");
        let numbers: Vec<f64> = lines[2].split(',').map(|v| v.parse().unwrap()).collect();
        assert_eq!(numbers, [1.0 / 3.0, 5e-324, 1e308, 3.0, 4.5]);
        survivors.fitness.clear();
        survivors.denoised = None;
        let text = csv(&survivors, &subject);
        assert_eq!(text.lines().nth(1), Some("0.1,-1e300,"));
    }
}
