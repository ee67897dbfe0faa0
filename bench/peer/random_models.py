"""Writes the U-Nets with random weights that docs/speed.md measures.

    pip install torch==2.9.1 diffusers==0.42.0
    python random_models.py FOLDER

FOLDER/unet17m: block_out_channels (64, 128, 128, 256), 32². FOLDER/cifar10: the
shape of ddpm-cifar10-32, 35.7 M parameters. FOLDER/point.safetensors: a random
sample and its timestep, for both.
"""

import sys
from pathlib import Path

import torch
from diffusers import UNet2DModel
from safetensors.torch import save_file

CIFAR10 = {
    "sample_size": 32,
    "block_out_channels": (128, 256, 256, 256),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": None,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
}
UNET17M = CIFAR10 | {"block_out_channels": (64, 128, 128, 256)}


def main():
    folder = Path(sys.argv[1])
    sample = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"sample": sample, "timestep": torch.tensor([500.0])}, folder / "point.safetensors")
    for name, config in {"unet17m": UNET17M, "cifar10": CIFAR10}.items():
        torch.manual_seed(0)
        model = UNet2DModel(**config)
        model.save_pretrained(folder / name)
        print(name, sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
