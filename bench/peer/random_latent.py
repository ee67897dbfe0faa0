"""Writes a pipeline folder of a Stable Diffusion's shapes with random weights,
for bench/rates/latent.py and for `alice discover --model`.

    pip install torch==2.9.1 diffusers==0.42.0 transformers==5.23.0
    python random_latent.py FOLDER [--family sd15|sd21|sdxl] [--half]

The tokenizers and the scheduler are those of the small models in
crates/pipelines/tests/fixtures. SDXL takes 14 GiB of memory and of disk, half
of it on disk with --half.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

FIXTURES = Path(__file__).resolve().parents[2] / "crates/pipelines/tests/fixtures"
DOWN, UP = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
LINEAR = {"use_linear_projection": True}
FOUR_LEVELS = {
    "down_block_types": (DOWN, DOWN, DOWN, "DownBlock2D"),
    "up_block_types": ("UpBlock2D", UP, UP, UP),
    "block_out_channels": (320, 640, 1280, 1280),
}
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
CLIP_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16}
CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
FAMILIES = {
    "sd15": {
        "small": "sd",
        "class": "StableDiffusionPipeline",
        "unet": {**FOUR_LEVELS, "sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
        "vae": {"sample_size": 512},
        "text_encoder": (CLIPTextModel, CLIP_L),
    },
    "sd21": {
        "small": "sd",
        "class": "StableDiffusionPipeline",
        "unet": {
            **FOUR_LEVELS, **LINEAR, "sample_size": 96, "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20),
        },
        "vae": {"sample_size": 768},
        "text_encoder": (CLIPTextModel, {**CLIP_H, "hidden_act": "gelu"}),
    },
    "sdxl": {
        "small": "sdxl",
        "class": "StableDiffusionXLPipeline",
        "unet": {
            **LINEAR,
            "sample_size": 128,
            "down_block_types": ("DownBlock2D", DOWN, DOWN),
            "up_block_types": (UP, UP, "UpBlock2D"),
            "block_out_channels": (320, 640, 1280),
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        "vae": {"sample_size": 1024, "scaling_factor": 0.13025},
        "text_encoder": (CLIPTextModel, CLIP_L),
        "text_encoder_2": (CLIPTextModelWithProjection, {**CLIP_G, "hidden_act": "gelu", "projection_dim": 1280}),
    },
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", choices=FAMILIES, default="sd15")
    parser.add_argument("--half", action="store_true", help="write f16")
    options = parser.parse_args()
    out, family = options.folder, FAMILIES[options.family]
    small = FIXTURES / family["small"]
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float16 if options.half else torch.float32)

    def save(name, make):
        make().save_pretrained(out / name)  # one in memory at a time

    def text_encoder(name):
        kind, extents = family[name]
        copied = json.loads((small / name / "config.json").read_text())
        copied = {key: copied[key] for key in ["vocab_size", "bos_token_id", "eos_token_id"]}
        return kind(CLIPTextConfig(**copied, **extents))

    save("unet", lambda: UNet2DConditionModel(**family["unet"]))
    vae = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
    }
    save("vae", lambda: AutoencoderKL(**vae, **family["vae"]))
    for name in [name for name in family if name.startswith("text_encoder")]:
        save(name, lambda: text_encoder(name))
        tokenizer = name.replace("text_encoder", "tokenizer")
        shutil.copytree(small / tokenizer, out / tokenizer, dirs_exist_ok=True)
        (out / tokenizer / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 77}))
    shutil.copytree(small / "scheduler", out / "scheduler", dirs_exist_ok=True)
    (out / "model_index.json").write_text(json.dumps({"_class_name": family["class"]}))


if __name__ == "__main__":
    main()
