//! Which files of a model Alice reads.

use alice_networks::WeightsFile;
use std::collections::BTreeSet;

/// The folders of a pipeline, and the name of the weights in each.
const PARTS: [(&str, Option<&str>); 9] = [
    ("", Some(DIFFUSERS)),
    ("unet/", Some(DIFFUSERS)),
    ("vae/", Some(DIFFUSERS)),
    ("text_encoder/", Some(TRANSFORMERS)),
    ("text_encoder_2/", Some(TRANSFORMERS)),
    ("tokenizer/", None),
    ("tokenizer_2/", None),
    ("scheduler/", None),
    ("controlnet/", Some(DIFFUSERS)),
];
const DIFFUSERS: &str = "diffusion_pytorch_model.safetensors";
const TRANSFORMERS: &str = "model.safetensors";
/// Weights of LoRAs.
const LORAS: [&str; 2] = [
    "pytorch_lora_weights.safetensors",
    "adapter_model.safetensors",
];
/// What else is read in a folder, by how its name ends.
const TEXTS: [&str; 3] = [".json", "merges.txt", "vocab.txt"];

/// Of a model's files, those that Alice reads: configs, tokenizers, what is
/// said of the licence, and one set of safetensors weights for each network.
/// Of weights in shards it is their index. Weights come last.
///
/// # Errors
/// When there are no weights that it reads; says what there is instead.
pub fn wanted<'a>(files: impl Iterator<Item = &'a str> + Clone) -> Result<Vec<String>, String> {
    let (mut texts, mut weights) = (Vec::new(), Vec::new());
    for (part, weights_name) in PARTS {
        let inside = files.clone().filter_map(|file| file.strip_prefix(part));
        let names: BTreeSet<&str> = inside.filter(|name| !name.contains('/')).collect();
        let full = |name: &str| format!("{part}{name}");
        let is_text = |name: &&&str| {
            TEXTS.iter().any(|end| name.ends_with(end)) && !name.ends_with("index.json")
                || **name == "model_index.json"
                || part.is_empty() && (**name == "README.md" || name.starts_with("LICENSE"))
        };
        texts.extend(names.iter().filter(is_text).map(|name| full(name)));
        let chosen = weights_name.and_then(|w| WeightsFile::choose(names.iter().copied(), w));
        match chosen {
            Some(WeightsFile::Whole(name) | WeightsFile::Index(name)) => weights.push(full(&name)),
            None if part.is_empty() => {
                let lora = LORAS.iter().find(|lora| names.contains(*lora));
                weights.extend(lora.map(|name| full(name)));
            }
            None => {}
        }
    }
    if weights.is_empty() {
        let single = files.clone().filter(|f| f.ends_with(".safetensors"));
        let single: Vec<&str> = single.take(3).collect();
        let pickled = [".bin", ".ckpt", ".pt", ".pth"];
        return Err(if !single.is_empty() {
            format!(
                "is not in the diffusers layout. Download the file you want ({}) with hf download, \
                 and name that",
                single.join(", ")
            )
        } else if files
            .clone()
            .any(|f| pickled.iter().any(|end| f.ends_with(end)))
        {
            "has its weights as Python's pickles only, which can run code when they are opened"
                .to_owned()
        } else {
            "holds no weights in safetensors files".to_owned()
        });
    }
    texts.extend(weights);
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &str) -> Result<Vec<String>, String> {
        let mut found = wanted(files.split_whitespace())?;
        found.sort();
        Ok(found)
    }

    #[test]
    fn pipelines_are_taken_without_what_is_there_twice() {
        let found = of(
            "README.md LICENSE.md model_index.json v1-5-pruned.safetensors v1-5-pruned.ckpt \
             unet/config.json unet/diffusion_pytorch_model.bin \
             unet/diffusion_pytorch_model.fp16.safetensors \
             unet/diffusion_pytorch_model.non_ema.safetensors \
             unet/diffusion_pytorch_model.safetensors text_encoder/config.json \
             text_encoder/model.safetensors text_encoder/model.fp16.safetensors \
             text_encoder/flax_model.msgpack tokenizer/merges.txt tokenizer/vocab.json \
             scheduler/scheduler_config.json safety_checker/model.safetensors \
             feature_extractor/preprocessor_config.json vae/config.json \
             vae/diffusion_pytorch_model.fp16.safetensors vae_decoder/model.onnx",
        );
        let expected = of_lines(
            "LICENSE.md README.md model_index.json scheduler/scheduler_config.json \
             text_encoder/config.json text_encoder/model.safetensors tokenizer/merges.txt \
             tokenizer/vocab.json unet/config.json unet/diffusion_pytorch_model.safetensors \
             vae/config.json vae/diffusion_pytorch_model.fp16.safetensors",
        );
        assert_eq!(found.unwrap(), expected);
    }

    fn of_lines(files: &str) -> Vec<String> {
        files.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn networks_alone_shards_and_loras_are_taken() {
        let ddpm = "config.json diffusion_pytorch_model.bin diffusion_pytorch_model.safetensors \
                    model_index.json scheduler_config.json images/a.png";
        let expected = "config.json diffusion_pytorch_model.safetensors model_index.json \
                        scheduler_config.json";
        assert_eq!(of(ddpm).unwrap(), of_lines(expected));
        let shards = "unet/config.json unet/diffusion_pytorch_model.safetensors.index.json \
                      unet/diffusion_pytorch_model-00001-of-00002.safetensors \
                      unet/diffusion_pytorch_model.bin.index.json";
        let expected = "unet/config.json unet/diffusion_pytorch_model.safetensors.index.json";
        assert_eq!(of(shards).unwrap(), of_lines(expected));
        let lora = "README.md pytorch_lora_weights.safetensors pytorch_lora_weights.bin";
        let expected = "README.md pytorch_lora_weights.safetensors";
        assert_eq!(of(lora).unwrap(), of_lines(expected));
    }

    #[test]
    fn nothing_leaves_the_folder_and_what_is_missing_is_said() {
        let hostile = "../unet/config.json unet/../../x.json /etc/x.json unet/a/b.json \
                       unet/diffusion_pytorch_model.safetensors";
        let expected = "unet/diffusion_pytorch_model.safetensors";
        assert_eq!(of(hostile).unwrap(), of_lines(expected));
        for (files, word) in [
            ("a.safetensors README.md", "a.safetensors"),
            ("unet/diffusion_pytorch_model.bin", "pickles"),
            ("README.md", "no weights"),
        ] {
            assert!(of(files).unwrap_err().contains(word), "{files}");
        }
    }
}
