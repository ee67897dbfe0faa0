//! `config.json` of every network, and `scheduler_config.json`.

#![no_main]

use alice_diffusion::ScheduleConfig;
use alice_networks::{
    Architecture, AutoencoderKLConfig, ClipTextConfig, UNet2DConditionConfig, UNet2DConfig,
};
use libfuzzer_sys::fuzz_target;

fn read<A: Architecture>(text: &str) {
    if let Ok(config) = A::from_json(text) {
        let _ = config.smallest();
        assert!(A::from_json(&config.to_json()).is_ok());
    }
}

fuzz_target!(|text: &str| {
    read::<UNet2DConfig>(text);
    read::<UNet2DConditionConfig>(text);
    read::<AutoencoderKLConfig>(text);
    read::<ClipTextConfig>(text);
    if let Ok(config) = ScheduleConfig::from_json(text) {
        config.to_json().expect("what was read can be written");
    }
});
