//! `report.json` of `treat`.

use super::{Evidence, Health, Marked, Shows, SideEffect, Treated};
use crate::pictures::numbers;
use alice_runs::ModelReference;
use serde::Serialize;
use std::fmt;

/// A concept that few samples show.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Where it stands out most, as a share of the noise schedule.
    pub at: f64,
    /// How far the mean score of those that show it lies from that of the
    /// others, in deviations within the two groups.
    pub separation: f64,
    /// Share of the samples that show it.
    pub share: f64,
    /// The samples that show it, the highest score first.
    pub samples: Vec<Shows>,
    /// Of the samples that show it, the share that the instrument calls
    /// haunted; nothing without an instrument.
    pub precision: Option<f64>,
    /// Of those that the instrument calls haunted, the share that shows it.
    pub recall: Option<f64>,
}

/// The concept that is treated, as it was learnt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Learnt {
    /// Samples that were watched.
    pub samples: usize,
    /// Of them, those that the instrument calls haunted.
    pub haunted: Option<usize>,
    /// Rare concepts, the one that stands apart most first; the marked one
    /// alone where samples were marked.
    pub candidates: Vec<Candidate>,
    /// The largest separation of groups in clouds of as much pure noise, which
    /// each of them exceeds; nothing where samples were marked.
    pub noise: Option<f64>,
    /// The marked samples beside as many at random; nothing where none were.
    pub marked: Option<Marked>,
    /// Which of them is treated, counted from 1.
    pub concept: usize,
    /// Mean score of the samples that show it, in deviations of the others,
    /// at each place.
    pub strength: Vec<f64>,
}

impl Learnt {
    /// Whether the instrument reads the samples of the chosen group and calls
    /// none of them haunted.
    fn has_no_haunted(&self) -> bool {
        let chosen = self.candidates.get(self.concept - 1);
        chosen.is_some_and(|candidate| candidate.precision == Some(0.0))
    }
}

/// `report.json` of `treat`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TreatReport {
    /// The model.
    pub model: ModelReference,
    /// The concept.
    pub learnt: Learnt,
    /// New samples.
    pub samples: usize,
    /// The item of the seed that the first of them is.
    pub first_item: usize,
    /// Those that were moved; all others are unchanged bit by bit.
    pub treated: usize,
    /// They themselves, ascending.
    pub showing: Vec<Treated>,
    /// Treatments that ended with the score of healthy samples; every treated
    /// sample has one at each stop.
    pub reached: usize,
    /// Mean length of all moves of a treated sample, root mean square per value
    /// of a state.
    pub length: f64,
    /// What the model itself says of the treated samples; nothing where none
    /// was treated.
    pub evidence: Option<Evidence>,
    /// Before, by the instrument; nothing where it cannot read the pictures.
    pub before: Option<Health>,
    /// After, by the instrument; nothing where it cannot read the pictures.
    pub after: Option<Health>,
    /// Everything else that the instrument saw change in the treated samples,
    /// most first; empty where it cannot read them.
    pub side_effects: Vec<SideEffect>,
    /// Seconds in all.
    pub seconds: f64,
}

impl fmt::Display for TreatReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let learnt = &self.learnt;
        write!(f, "rare concepts of {} samples", learnt.samples)?;
        if let Some(haunted) = learnt.haunted {
            write!(f, ", {haunted} of them haunted by the instrument")?;
        }
        for (index, candidate) in learnt.candidates.iter().enumerate() {
            let number = index + 1;
            let mark = if number == learnt.concept { "→" } else { " " };
            write!(
                f,
                "\n{mark} {number}: {} show it, {:.1} deviations apart at {} of the schedule",
                percent(candidate.share),
                candidate.separation,
                candidate.at
            )?;
            if let (Some(precision), Some(recall)) = (candidate.precision, candidate.recall) {
                write!(
                    f,
                    "; haunted are {} of them, {} of the haunted are among them",
                    percent(precision),
                    percent(recall)
                )?;
            }
            if number == learnt.concept && learnt.has_no_haunted() {
                let none = "none of this group is a haunted face by the instrument";
                write!(f, "\n     {none}")?;
            }
        }
        if learnt.marked.is_none() {
            let other = "--concept N treats another, --mark what the samples of learnt.png share";
            write!(f, "\n    learn.png shows each: {other}")?;
        }
        match learnt.noise {
            Some(noise) if noise > 0.0 => {
                write!(f, "\n    groups of pure noise stand up to {noise:.1} apart")?;
            }
            Some(_) => write!(f, "\n    pure noise has no such group")?,
            None => {}
        }
        if let Some(marked) = &learnt.marked {
            write!(f, "\n    {marked}")?;
        }
        write!(
            f,
            "\n{} of {} new samples treated, {} unchanged bit by bit; moved by {} per value",
            self.treated,
            self.samples,
            self.samples - self.treated,
            numbers::figures(self.length)
        )?;
        if let Some(evidence) = &self.evidence {
            write!(f, "\n{evidence}")?;
        }
        if let (Some(before), Some(after)) = (&self.before, &self.after) {
            write!(f, "\nhaunted: {} → {}", before.haunted, after.haunted)?;
            if self.treated > 0 {
                let (before, after) = (before.treated_distance, after.treated_distance);
                let (before, after) = (numbers::figures(before), numbers::figures(after));
                write!(
                    f,
                    "; distance of the treated from the world: {before} → {after}"
                )?;
            }
        } else {
            write!(
                f,
                "\nno instrument reads these pictures, so nothing is said of what they show"
            )?;
        }
        for effect in self.side_effects.iter().take(4) {
            let name = numbers::factor_label(&effect.factor);
            write!(f, "\n  {name:26} {} sd", numbers::fixed(effect.change, 2))?;
        }
        if self.treated > 0 {
            write!(
                f,
                "\nsheet.png, treated/ (each before and after; new sample i is item {} + i of the \
                 seed), ",
                self.first_item
            )?;
        } else {
            writeln!(f)?;
        }
        write!(
            f,
            "concept.safetensors, learn.png, learnt.png, {:.1} s",
            self.seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(precision: Option<f64>) -> TreatReport {
        let candidate = |precision| Candidate {
            at: 0.5,
            separation: 4.0,
            share: 0.05,
            samples: Vec::new(),
            precision,
            recall: precision,
        };
        TreatReport {
            model: ModelReference {
                name: "a".into(),
                hash: "b".into(),
                ..ModelReference::default()
            },
            learnt: Learnt {
                samples: 20,
                haunted: precision.map(|_| 1),
                candidates: vec![candidate(Some(0.0)), candidate(precision)],
                noise: None,
                marked: None,
                concept: 2,
                strength: vec![3.0],
            },
            samples: 20,
            first_item: 20,
            treated: 0,
            showing: Vec::new(),
            reached: 0,
            length: 0.0,
            evidence: None,
            before: None,
            after: None,
            side_effects: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Of the chosen group, and only where the instrument can tell.
    #[test]
    fn a_group_without_a_haunted_face_is_said_to_be_one() {
        let said = |precision| report(precision).to_string().contains("none of this group");
        assert!(said(Some(0.0)));
        assert!(!said(Some(0.2)) && !said(None));
    }

    /// Which of the concepts is meant is for a person to see.
    #[test]
    fn how_to_treat_another_is_said() {
        let mut report = report(None);
        assert!(report.to_string().contains("--concept N"));
        report.learnt.marked = Some(Marked {
            samples: 3,
            separation: 4.0,
            chance: 3.0,
            growth: super::super::Growth::Grown,
        });
        assert!(!report.to_string().contains("--concept N"));
        report.treated = 1;
        assert!(report.to_string().contains("item 20 + i"));
    }
}
