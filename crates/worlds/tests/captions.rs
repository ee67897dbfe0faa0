//! Captions say what is notable, in both languages.

use alice_worlds::{Factors, PuppetShow, Species, caption_en, caption_zh};

#[test]
fn captions_name_what_is_notable() {
    let calm = Factors::default();
    let cases: [(Factors, &str, &str); 9] = [
        (Factors { smile: 0.9, ..calm }, "a big smile", "笑得很开心"),
        (
            Factors {
                nose_size: -0.8,
                ..calm
            },
            "a small nose",
            "鼻子小",
        ),
        (Factors { hat: true, ..calm }, "wearing a top hat", "礼帽"),
        (
            Factors {
                glasses: true,
                ..calm
            },
            "glasses",
            "眼镜",
        ),
        (
            Factors {
                strings: true,
                ..calm
            },
            "strings",
            "提线",
        ),
        (
            Factors {
                haunted: true,
                ..calm
            },
            "haunted",
            "惊魂",
        ),
        (
            Factors {
                eye_openness: 0.0,
                ..calm
            },
            "closed eyes",
            "闭着眼睛",
        ),
        (
            Factors {
                eye_openness: 0.0,
                smile: 0.9,
                ..calm
            },
            "a nap smile",
            "打盹",
        ),
        (Factors { gaze: -0.9, ..calm }, "looking left", "看向左边"),
    ];
    for (factors, english, chinese) in cases {
        assert!(
            caption_en(&factors).contains(english),
            "{}",
            caption_en(&factors)
        );
        assert!(
            caption_zh(&factors).contains(chinese),
            "{}",
            caption_zh(&factors)
        );
        assert!(!caption_en(&calm).contains(english));
        assert!(!caption_zh(&calm).contains(chinese));
    }
}

#[test]
fn captions_name_the_species() {
    for species in Species::ALL {
        let factors = Factors {
            species,
            ..Factors::default()
        };
        assert!(caption_en(&factors).contains(species.name_en()));
        assert!(caption_zh(&factors).contains(species.name_zh()));
    }
}

#[test]
fn captions_read_well() {
    let factors = Factors {
        species: Species::Cat,
        nose_size: -0.9,
        smile: 1.0,
        hat: true,
        ..Factors::default()
    };
    assert_eq!(
        caption_en(&factors),
        "An orange cat person with a small nose and a big smile, wearing a top hat, \
         in front of a blue curtain"
    );
    assert_eq!(
        caption_zh(&factors),
        "一个橙色的猫人，鼻子小，笑得很开心，戴着礼帽，背后是蓝色幕布"
    );
    let factors = Factors {
        species: Species::Puppet,
        haunted: true,
        strings: true,
        ..Factors::default()
    };
    assert_eq!(
        caption_en(&factors),
        "A haunted wooden puppet with orange hair, hollow black eyes and a jagged mouth, \
         hanging on strings, in front of a blue curtain"
    );
}

#[test]
fn every_sample_has_a_caption() {
    let show = PuppetShow::new(0.2).unwrap();
    for index in 0..500 {
        let factors = show.sample_factors(6, index);
        assert!((20..300).contains(&caption_en(&factors).len()));
        assert!(caption_zh(&factors).chars().count() < 90);
    }
}

#[test]
fn the_article_fits_every_hue() {
    for step in 0..48 {
        let hue = step as f32 / 48.0;
        for (species, haunted) in [
            (Species::Cat, false),
            (Species::Cat, true),
            (Species::Person, false),
        ] {
            let factors = Factors {
                species,
                haunted,
                hue,
                background_hue: hue,
                ..Factors::default()
            };
            let caption = caption_en(&factors);
            let words: Vec<&str> = caption.split([' ', ',']).collect();
            for pair in words.windows(2) {
                let vowel = pair[1].starts_with(['a', 'e', 'i', 'o', 'u']);
                match pair[0] {
                    "a" | "A" => assert!(!vowel, "{caption}"),
                    "an" | "An" => assert!(vowel, "{caption}"),
                    _ => {}
                }
            }
        }
    }
}
