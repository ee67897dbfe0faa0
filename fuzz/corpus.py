"""Writes the corpora of the fuzz targets.

    pip install torch==2.9.1 diffusers==0.42.0 transformers==5.23.0 safetensors pillow
    python corpus.py
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent / "corpus"
CRATES = HERE.parents[1] / "crates"
NETWORKS = CRATES / "networks/tests/fixtures"
sys.path.insert(0, str(NETWORKS))


def folder(name):
    (HERE / name).mkdir(parents=True)
    return HERE / name


def tensors(to):
    save_file({"a": torch.arange(6.0).reshape(2, 3)}, to / "one", {"format": "pt"})
    kinds = dict(h=torch.float16, b=torch.bfloat16, i=torch.int64, t=torch.bool, u=torch.uint8)
    save_file({k: torch.ones(2, dtype=v) for k, v in kinds.items()}, to / "kinds")
    save_file({"scalar": torch.tensor(1.0), "none": torch.zeros(0, 4)}, to / "edges")
    (to / "pickle").write_bytes(b"\x80\x02}q\x00.")


def configs(to):
    for case in ("ddpm", "sd15", "sdxl", "vae", "clip_projected"):
        shutil.copyfile(NETWORKS / case / "config.json", to / case)
    scheduler = CRATES / "pipelines/tests/fixtures/sd/scheduler/scheduler_config.json"
    shutil.copyfile(scheduler, to / "scheduler")


def checkpoint(to):
    from export_single import CROSS, PLAIN, SMALL_VAE, AutoencoderKL, CLIPTextModel
    from export_single import UNet2DConditionModel, blocks, clip, networks, text

    unet = UNet2DConditionModel(
        block_out_channels=(2, 2),
        layers_per_block=1,
        cross_attention_dim=2,
        attention_head_dim=(1, 1),
        use_linear_projection=True,
        norm_num_groups=2,
        **blocks([CROSS, PLAIN]),
    )
    vae = AutoencoderKL(**{**SMALL_VAE, "block_out_channels": (2, 2), "norm_num_groups": 2})
    found, _ = networks(unet, vae)
    found |= clip(text(CLIPTextModel, hidden=2, layers=1), "cond_stage_model.transformer.")
    save_file({k: v.half().contiguous().clone() for k, v in found.items()}, to / "small")


def lora(to):
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to"
    draw = lambda *shape: torch.randn(shape)
    kinds = {
        "kohya": {"_q.lora_down.weight": (2, 16), "_q.lora_up.weight": (16, 2), "_q.alpha": ()},
        "loha": {"_q.hada_w1_a": (16, 2), "_q.hada_w1_b": (2, 16)}
        | {"_q.hada_w2_a": (16, 1), "_q.hada_w2_b": (1, 16)},
        "lokr": {"_q.lokr_w1": (4, 4), "_q.lokr_w2_a": (4, 1), "_q.lokr_w2_b": (1, 4)},
        "dora": {"_q.lora_down.weight": (2, 16), "_q.lora_up.weight": (16, 2), "_q.dora_scale": (16, 1)},
    }
    for name, shapes in kinds.items():
        save_file({layer + end: draw(*shape) for end, shape in shapes.items()}, to / name)
    layer = "unet.mid_block.resnets.0.conv1.lora_"
    shapes = {"A.weight": (2, 16, 3, 3), "B.weight": (16, 2, 1, 1)}
    metadata = {"lora_adapter_metadata": '{"unet.lora_alpha": 3, "unet.alpha_pattern": {"conv1": 2}}'}
    save_file({layer + end: draw(*shape) for end, shape in shapes.items()}, to / "peft", metadata)


def tokenizer(to):
    shutil.copyfile(CRATES / "text/tests/fixtures/clip_fast/tokenizer.json", to / "clip")


def vocabulary(to):
    files = ["vocab.json", "merges.txt"]
    clip = [(CRATES / "text/tests/fixtures/clip" / name).read_bytes() for name in files]
    (to / "clip").write_bytes(b"\0".join(clip))
    special = ["<|startoftext|>", "<|endoftext|>"]
    letters = ["a", "a</w>", "c", "t</w>", "ca", "cat</w>"]
    for name, tokens, merges in (("small", special + letters, "c a\nca t</w>\n"), ("stranger", special, "c a\n")):
        ids = json.dumps({token: i for i, token in enumerate(tokens)}, separators=(",", ":"))
        (to / name).write_bytes(f"{ids}\0#version: 0.2\n{merges}".encode())


def picture(to):
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "cat\nSteps: 4, Sampler: DDIM, CFG scale: 7.5")
    text.add_itxt("recipe", '{"alice":"0.1.0","verb":"sample","arguments":{},"seed":0}', zip=True)
    Image.new("RGB", (3, 2), (200, 40, 90)).save(to / "text.png", pnginfo=text)
    Image.new("L", (2, 2), 90).save(to / "grey.png")


if __name__ == "__main__":
    torch.manual_seed(0)
    shutil.rmtree(HERE, ignore_errors=True)
    for make in (tensors, configs, checkpoint, lora, tokenizer, vocabulary, picture):
        make(folder(make.__name__))
