//! Single-file checkpoints, and the networks in them.

#![no_main]

use alice_networks::{AutoencoderKLConfig, ClipTextConfig, ModelLocation, UNet2DConditionConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile();
    let file = file.expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("written");
    let Ok(location) = ModelLocation::find(file.path()) else {
        return;
    };
    let _ = location.scheduler();
    let _ = location.network::<UNet2DConditionConfig>("unet");
    let _ = location.network::<AutoencoderKLConfig>("vae");
    let _ = location.network::<ClipTextConfig>("text_encoder");
    let _ = location.network::<ClipTextConfig>("text_encoder_2");
});
