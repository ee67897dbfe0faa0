//! A description for people.

use super::{ModelDescription, PartDescription};
use std::fmt::{self, Display};

impl Display for ModelDescription {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.kind)?;
        if let Some(class) = &self.class {
            write!(f, ", {class}")?;
        }
        if let Some(path) = &self.path {
            let path = path.display().to_string();
            if path != self.name {
                write!(f, "\n  in {path}")?;
            }
        }
        for part in &self.parts {
            write!(f, "\n  {part}")?;
        }
        if let Some(lora) = &self.lora {
            let layers = lora.layers.iter().map(|(part, n)| format!("{n} of {part}"));
            write!(
                f,
                "\n  changes layers: {}",
                layers.collect::<Vec<_>>().join(", ")
            )?;
            for (key, value) in &lora.said {
                write!(f, "\n  {key}: {value}")?;
            }
        }
        if let Some(scheduler) = &self.scheduler {
            let (first, last) = scheduler.betas;
            write!(
                f,
                "\n  scheduler: {}, {}, {} {first} … {last}, {} steps{}",
                scheduler.class,
                scheduler.prediction,
                scheduler.schedule,
                scheduler.steps,
                if scheduler.from_file {
                    ""
                } else {
                    " (default)"
                }
            )?;
        }
        match &self.licence {
            Some(licence) => write!(f, "\n  licence: {} ({})", licence.name, licence.file)?,
            None => write!(f, "\n  licence: its files name none")?,
        }
        match &self.hash {
            Some(hash) => write!(f, "\n  hash: {hash}")?,
            None => write!(f, "\n  hash: not computed (--hash)")?,
        }
        for note in &self.notes {
            write!(f, "\n  note: {note}")?;
        }
        Ok(())
    }
}

impl Display for PartDescription {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}, {}", self.part, self.class, self.architecture)?;
        if self.parameters > 0 {
            let types: Vec<_> = self.types.keys().copied().collect();
            write!(
                f,
                "; {} parameters, {}, {}",
                large(self.parameters, [("G", 1e9), ("M", 1e6), ("k", 1e3)]),
                types.join(" + "),
                large(self.bytes, [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)])
            )?;
        }
        if !self.files.is_empty() {
            write!(f, " in {}", self.files.join(", "))?;
        }
        Ok(())
    }
}

/// A count with three digits and a unit.
fn large(count: u64, units: [(&str, f64); 3]) -> String {
    let value = count as f64;
    let unit = units.into_iter().find(|(_, size)| value >= *size);
    let Some((unit, size)) = unit else {
        return count.to_string();
    };
    let value = value / size;
    let decimals = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.decimals$} {unit}")
}

/// Text from a file, safe to show: escaped, and cut when it is long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    let cut: String = text.chars().take(LONGEST).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", cut.escape_debug())
}
