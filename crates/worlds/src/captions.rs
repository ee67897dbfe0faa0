//! Captions. What is worth saying is decided once, for both languages.

use crate::factors::{Factors, Species};

/// How far from the middle of its range a factor is worth a word.
const NOTABLE: f32 = 0.5;
/// Eyes open less than this are closed.
const CLOSED: f32 = 0.15;

/// Names of hues at even steps from red, each up to half a step either way.
const HUES: [(&str, &str); 12] = [
    ("red", "红色"),
    ("orange", "橙色"),
    ("yellow", "黄色"),
    ("lime", "黄绿色"),
    ("green", "绿色"),
    ("mint", "薄荷色"),
    ("teal", "青色"),
    ("blue", "蓝色"),
    ("indigo", "靛蓝色"),
    ("purple", "紫色"),
    ("magenta", "品红色"),
    ("pink", "粉色"),
];

/// One thing worth saying, in English and Chinese.
type Note = (&'static str, &'static str);

fn hue_name(turns: f32) -> Note {
    let step = (turns * HUES.len() as f32).round();
    // A hue outside [0, 1) saturates; drawing it is what reports the error.
    HUES[step as usize % HUES.len()]
}

/// The note for a low or a high value, if it is either.
fn extreme(value: f32, low: Note, high: Note) -> Option<Note> {
    if value <= -NOTABLE {
        Some(low)
    } else if value >= NOTABLE {
        Some(high)
    } else {
        None
    }
}

/// What the character has: "with …".
fn features(factors: &Factors) -> Vec<Note> {
    let species = factors.species;
    let nose = match species {
        Species::Horse => [("a small muzzle", "口鼻小"), ("a large muzzle", "口鼻大")],
        Species::Frog => [("small nostrils", "鼻孔小"), ("large nostrils", "鼻孔大")],
        _ => [("a small nose", "鼻子小"), ("a big nose", "鼻子大")],
    };
    let ears = match species {
        Species::Frog => [("small eardrums", "鼓膜小"), ("large eardrums", "鼓膜大")],
        _ => [("small ears", "耳朵小"), ("big ears", "耳朵大")],
    };
    let mut notes = Vec::new();
    if factors.haunted {
        notes.push(("hollow black eyes", "空洞的黑眼睛"));
        notes.push(("a jagged mouth", "锯齿般的嘴"));
    }
    notes.extend(extreme(
        factors.head_size,
        ("a small head", "头小"),
        ("a large head", "头大"),
    ));
    notes.extend(extreme(factors.nose_size, nose[0], nose[1]));
    notes.extend(extreme(factors.ear_size, ears[0], ears[1]));
    if !factors.haunted {
        notes.extend(face(factors));
    }
    notes.extend(extreme(
        factors.brow,
        ("angry brows", "怒眉"),
        ("worried brows", "愁眉"),
    ));
    notes
}

/// Eyes and mouth, as far as a face has living ones.
fn face(factors: &Factors) -> Vec<Note> {
    let mut notes = Vec::new();
    let closed = factors.eye_openness < CLOSED;
    if closed && factors.smile >= NOTABLE {
        notes.push(("a nap smile", "闭眼打盹般的微笑"));
        return notes;
    }
    if closed {
        notes.push(("closed eyes", "闭着眼睛"));
    } else {
        notes.extend(extreme(
            factors.eye_size,
            ("small eyes", "眼睛小"),
            ("big eyes", "眼睛大"),
        ));
    }
    notes.extend(extreme(
        factors.smile,
        ("a frown", "嘴角下垂"),
        ("a big smile", "笑得很开心"),
    ));
    notes
}

/// What the character does or wears.
fn states(factors: &Factors) -> Vec<Note> {
    let mut notes = Vec::new();
    if factors.haunted || factors.eye_openness >= CLOSED {
        notes.extend(extreme(
            factors.gaze,
            ("looking left", "看向左边"),
            ("looking right", "看向右边"),
        ));
    }
    notes.extend(extreme(
        factors.tilt,
        ("tilted to the left", "头向左歪"),
        ("tilted to the right", "头向右歪"),
    ));
    notes.extend(match (factors.hat, factors.glasses) {
        (true, true) => Some(("wearing a top hat and glasses", "戴着礼帽和眼镜")),
        (true, false) => Some(("wearing a top hat", "戴着礼帽")),
        (false, true) => Some(("wearing glasses", "戴着眼镜")),
        (false, false) => None,
    });
    if factors.strings {
        notes.push(("hanging on strings", "吊着提线"));
    }
    notes.extend(extreme(
        factors.light,
        ("lit from the left", "光从左边来"),
        ("lit from the right", "光从右边来"),
    ));
    notes
}

/// A short English caption: the species and what is notable about it.
#[must_use]
pub fn caption_en(factors: &Factors) -> String {
    let species = factors.species.name_en();
    let hue = hue_name(factors.hue).0;
    let mut features: Vec<String> = features(factors)
        .iter()
        .map(|note| note.0.to_owned())
        .collect();
    let mut subject = species.to_owned();
    if has_hair(factors.species) {
        features.insert(0, format!("{hue} hair"));
    } else {
        subject = format!("{hue} {species}");
    }
    if factors.haunted {
        subject = format!("haunted {subject}");
    }
    let article = if takes_an(&subject) { "An" } else { "A" };
    let mut caption = format!("{article} {subject}");
    if let Some((last, others)) = features.split_last() {
        caption += " with ";
        if !others.is_empty() {
            caption += &others.join(", ");
            caption += " and ";
        }
        caption += last;
    }
    for note in states(factors) {
        caption += ", ";
        caption += note.0;
    }
    let curtain = hue_name(factors.background_hue).0;
    let article = if takes_an(curtain) { "an" } else { "a" };
    caption + ", in front of " + article + " " + curtain + " curtain"
}

/// Whether "an" goes before it; no word here is spelled unlike it sounds.
fn takes_an(words: &str) -> bool {
    words.starts_with(['a', 'e', 'i', 'o', 'u'])
}

/// A short Chinese caption: the species and what is notable about it.
#[must_use]
pub fn caption_zh(factors: &Factors) -> String {
    let classifier = match factors.species {
        Species::Horse => "一匹",
        Species::Frog => "一只",
        _ => "一个",
    };
    let haunted = if factors.haunted { "惊魂的" } else { "" };
    let hue = hue_name(factors.hue).1;
    let colored = if has_hair(factors.species) {
        "头发的"
    } else {
        "的"
    };
    let mut clauses = vec![format!(
        "{classifier}{haunted}{hue}{colored}{}",
        factors.species.name_zh()
    )];
    let notes = features(factors).into_iter().chain(states(factors));
    clauses.extend(notes.map(|note| note.1.to_owned()));
    clauses.push(format!("背后是{}幕布", hue_name(factors.background_hue).1));
    clauses.join("，")
}

/// Whether the hue colours hair and clothes rather than the whole character.
fn has_hair(species: Species) -> bool {
    matches!(species, Species::Person | Species::Puppet)
}
