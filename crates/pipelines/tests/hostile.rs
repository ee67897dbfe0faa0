//! Scheduler configs that are broken by accident or on purpose: an error or a
//! schedule, never a panic.

use alice_diffusion::ScheduleConfig;
use std::path::Path;

#[test]
fn damaged_schedules_are_refused_or_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let path = fixtures.join("sd/scheduler/scheduler_config.json");
    let text = std::fs::read(path).unwrap();
    let flips = (0..8 * text.len()).map(|bit| {
        let mut flipped = text.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    });
    let prefixes = (0..text.len()).map(|length| text[..length].to_vec());
    let mut refused = 0;
    for damaged in flips.chain(prefixes) {
        match ScheduleConfig::from_json(&String::from_utf8_lossy(&damaged)) {
            Ok(config) => {
                let again = ScheduleConfig::from_json(&config.to_json().unwrap());
                assert_eq!(again.unwrap(), config);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > text.len(), "{refused}");
}
