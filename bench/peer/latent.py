"""Times a latent diffusion model in diffusers on the CPU, as the example
`latent` of alice-pipelines does here.

    pip install torch==2.9.1 diffusers==0.42.0
    python latent.py unet|decoder FOLDER PIXELS [TILE]
"""

import json
import resource
import statistics
import sys
import time

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

TOKENS = 77


def main():
    part, folder, pixels = sys.argv[1], sys.argv[2], int(sys.argv[3])
    tile = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    start = time.perf_counter()
    side = pixels // 8
    torch.manual_seed(0)
    if part == "unet":
        model = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=torch.float32).eval()
        sample = torch.randn(1, model.config.in_channels, side, side)
        context = torch.randn(1, TOKENS, model.config.cross_attention_dim)
        added = None
        if model.config.addition_embed_type == "text_time":
            text = model.config.projection_class_embeddings_input_dim - 6 * model.config.addition_time_embed_dim
            added = {"text_embeds": torch.randn(1, text), "time_ids": torch.full((1, 6), float(pixels))}
        run = lambda: model(sample, 500, context, added_cond_kwargs=added)
    else:
        model = AutoencoderKL.from_pretrained(folder, subfolder="vae", torch_dtype=torch.float32).eval()
        if tile > 0:
            model.enable_tiling()
            model.tile_sample_min_size, model.tile_latent_min_size = tile, tile // 8
        sample = torch.randn(1, model.config.latent_channels, side, side)
        run = lambda: model.decode(sample)
    taken, first = [], None
    with torch.inference_mode():
        for _ in range(4 if part == "unet" else 3):
            clock = time.perf_counter()
            run()
            taken.append(time.perf_counter() - clock)
            first = first or time.perf_counter() - start
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": statistics.median(taken[1:]), "first": first, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
