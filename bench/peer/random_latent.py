"""Writes a pipeline folder of Stable Diffusion 1.5's shapes with random weights,
for bench/rates/latent.py and for `alice discover --model`.

    pip install torch==2.9.1 diffusers==0.42.0 transformers==5.23.0
    python random_latent.py FOLDER [--half]

The tokenizer and the scheduler are those of crates/pipelines/tests/fixtures/sd.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

SMALL = Path(__file__).resolve().parents[2] / "crates/pipelines/tests/fixtures/sd"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", action="store_true", help="write f16")
    options = parser.parse_args()
    out = options.folder
    for part in ["tokenizer", "scheduler"]:
        shutil.copytree(SMALL / part, out / part, dirs_exist_ok=True)
    (out / "tokenizer/tokenizer_config.json").write_text(json.dumps({"model_max_length": 77}))
    text = json.loads((SMALL / "text_encoder/config.json").read_text())
    torch.manual_seed(0)
    down, up = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
    parts = {
        "unet": UNet2DConditionModel(
            sample_size=64,
            down_block_types=(down, down, down, "DownBlock2D"),
            up_block_types=("UpBlock2D", up, up, up),
            block_out_channels=(320, 640, 1280, 1280),
            cross_attention_dim=768,
            attention_head_dim=8,
        ),
        "vae": AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            sample_size=512,
        ),
        "text_encoder": CLIPTextModel(
            CLIPTextConfig(
                vocab_size=text["vocab_size"],
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
                bos_token_id=text["bos_token_id"],
                eos_token_id=text["eos_token_id"],
            )
        ),
    }
    for name, model in parts.items():
        model = model.half() if options.half else model
        model.save_pretrained(out / name)
    (out / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))


if __name__ == "__main__":
    main()
