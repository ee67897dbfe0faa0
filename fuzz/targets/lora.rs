//! LoRA files, merged into a small U-Net.

#![no_main]

use alice_networks::{
    Architecture, Lora, LoraFile, LoraLayout, LoraSummary, LoraTarget, UNet2DCondition,
    UNet2DConditionConfig,
};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const CONFIG: &str = include_str!("../../crates/networks/tests/fixtures/sd15/config.json");

static UNET: LazyLock<UNet2DCondition> = LazyLock::new(|| {
    let config = <UNet2DConditionConfig as Architecture>::from_json(CONFIG).expect("a config");
    UNet2DCondition::random(config, 0).expect("a network")
});

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile();
    let file = file.expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("written");
    let _ = LoraSummary::open(file.path());
    let Ok(read) = LoraFile::open(file.path()) else {
        return;
    };
    let mut unet = UNET.clone();
    let mut targets = [LoraTarget::unet(&mut unet).expect("a target")];
    if let Ok(lora) = Lora::resolve(read, &targets) {
        let _ = lora.merge(&mut targets, 0.5);
        let _ = lora.to_tensors(LoraLayout::Kohya);
        let _ = lora.to_tensors(LoraLayout::Peft);
    }
});
