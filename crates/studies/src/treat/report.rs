//! `report.json` of `treat`.

use super::{Evidence, Health, SideEffect};
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
    /// Which of them is treated, counted from 1.
    pub concept: usize,
    /// Mean score of the samples that show it, in deviations of the others,
    /// at each place.
    pub strength: Vec<f64>,
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
    /// Those that were moved; all others are unchanged bit by bit.
    pub treated: usize,
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
        }
        match learnt.noise {
            Some(noise) if noise > 0.0 => {
                write!(f, "\n    groups of pure noise stand up to {noise:.1} apart")?;
            }
            Some(_) => write!(f, "\n    pure noise has no such group")?,
            None => {}
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
        let sheet = if self.treated > 0 { "sheet.png, " } else { "" };
        write!(f, "\n{sheet}learn.png, {:.1} s", self.seconds)
    }
}
