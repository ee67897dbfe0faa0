"""Times the published way to latent directions, in PyTorch on the CPU.

    pip install torch==2.9.1 diffusers==0.42.0 safetensors
    python published_method.py MODEL --input in.safetensors --rank 50

MODEL is a diffusers UNet2DModel folder or a pipeline folder with unet/.
in.safetensors holds `sample` [N, C, H, W] and `timestep` [1] or [N]; the first
sample is the point. Without --input the point is random.

The method is the subspace iteration of Park et al. (NeurIPS 2023), written
anew from its description: forward mode for J V, reverse mode row by row for
Uᵀ J, a singular value decomposition, until V stands still element by element.

Prints JSON: seconds of the basis, of a U-Net forward pass and of a training
step, and the process's peak memory at its end. --basis FILE also writes singular_values [K], right [K, C·H·W] and
left [K, dim H], as `alice discover` does, to compare both.
"""

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from diffusers.models.attention_processor import Attention
from safetensors.torch import load_file, save_file


class PlainAttention:
    """Self-attention by products and a softmax; the fused one has no forward mode."""

    def __call__(self, attn, hidden_states, temb=None, **_):
        x = hidden_states
        b, c, h, w = x.shape
        y = x.reshape(b, c, h * w).transpose(1, 2)  # [B, T, C]
        if attn.group_norm is not None:
            y = attn.group_norm(y.transpose(1, 2)).transpose(1, 2)

        def split(z):  # [B, T, heads·d] -> [B, heads, T, d]
            return z.reshape(b, h * w, attn.heads, -1).transpose(1, 2)

        q, k, v = split(attn.to_q(y)), split(attn.to_k(y)), split(attn.to_v(y))
        weights = torch.softmax(q @ k.transpose(-1, -2) * attn.scale, dim=-1)  # [B, heads, T, T]
        y = (weights @ v).transpose(1, 2).reshape(b, h * w, -1)  # [B, T, heads·d]
        y = attn.to_out[0](y).transpose(1, 2).reshape(b, c, h, w)
        return (y + x) / attn.rescale_output_factor


class DenseGroupNorm(torch.nn.GroupNorm):
    """A group norm whose forward mode never sees a strided tangent."""

    def forward(self, x):
        dense = x.clone(memory_format=torch.contiguous_format)
        return F.group_norm(dense, self.num_groups, self.weight, self.bias, self.eps)


def allow_forward_mode(model):
    for module in model.modules():
        if isinstance(module, Attention):
            module.set_processor(PlainAttention())
        if isinstance(module, torch.nn.GroupNorm):
            module.__class__ = DenseGroupNorm


def bottleneck(model, timestep, space):
    """x [C, H, W] -> the mid block's output as a vector; the decoder is not run."""

    def f(x):
        x = 2 * x - 1 if model.config.center_input_sample else x
        time_vector = model.time_embedding(model.time_proj(timestep.reshape(1)).to(x.dtype))
        h = model.conv_in(x[None])
        for block in model.down_blocks:
            h, _ = block(hidden_states=h, temb=time_vector)
        if model.mid_block is not None:
            h = model.mid_block(h, time_vector)
        return h[0].sum(dim=(1, 2)) if space == "pooled" else h[0].flatten()

    return f


def basis(f, x, options):
    """Subspace iteration with the published stopping rule."""
    n = x.numel()
    generator = torch.Generator().manual_seed(options.seed)
    v = torch.linalg.qr(torch.randn(n, options.rank, generator=generator).to(x.dtype))[0]  # [n, K]

    def push(tangent):
        return torch.func.jvp(f, (x,), (tangent.reshape(x.shape),))[1]

    seconds, moved = [], None
    for iteration in range(options.iterations):
        start = time.perf_counter()
        with torch.no_grad():
            u = torch.func.vmap(push, chunk_size=options.chunk)(v.T.contiguous())  # [K, m]
        point = x.clone().requires_grad_(True)
        inner = u @ f(point)  # [K]
        rows = [torch.autograd.grad(value, point, retain_graph=True)[0].flatten() for value in inner]
        w = torch.stack(rows)  # [K, n]
        _, squares, vt = torch.linalg.svd(w, full_matrices=False)
        moved = (vt.T - v).abs().max().item()
        v = vt.T
        seconds.append(time.perf_counter() - start)
        if moved < 1e-4 and iteration > 10:
            break
    values = squares.sqrt()
    with torch.no_grad():
        left = torch.func.vmap(push, chunk_size=options.chunk)(v.T.contiguous()) / values[:, None]
    report = {
        "rank": options.rank,
        "space": options.space,
        "iterations": len(seconds),
        "stopped_by_its_rule": len(seconds) < options.iterations,
        "last_elementwise_change": moved,
        "seconds": sum(seconds),
        "seconds_per_iteration": statistics.median(seconds),
        "singular_values": values.tolist(),
    }
    tensors = {"singular_values": values, "right": v.T.contiguous(), "left": left.contiguous()}
    return report, tensors


def timed(run, repeats):
    """The median seconds of `run` after one warm-up."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def time_forward(model, sample, timestep, repeats):
    def run():
        with torch.no_grad():
            model(sample, timestep)

    return timed(run, repeats)


def time_training(model, sample, options):
    """One AdamW step of the noise-prediction loss."""
    generator = torch.Generator().manual_seed(options.seed)
    pictures = sample.repeat(options.batch, 1, 1, 1)
    noise = torch.randn(pictures.shape, generator=generator)
    timesteps = torch.randint(0, 1000, (options.batch,), generator=generator)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-6)

    def run():
        loss = F.mse_loss(model(pictures + noise, timesteps).sample, noise)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return timed(run, options.repeats)


def read_model(folder):
    folder = Path(folder)
    folder = folder / "unet" if (folder / "unet").is_dir() else folder
    return UNet2DModel.from_pretrained(folder, low_cpu_mem_usage=False, torch_dtype=torch.float32).eval()


def read_point(model, options):
    """One sample [1, C, H, W] and its timestep [1]."""
    if options.input:
        file = load_file(options.input)
        timestep = file["timestep"].reshape(-1)[:1]
        learned = model.config.time_embedding_type == "learned"
        return file["sample"][:1].float(), timestep.long() if learned else timestep
    size = model.config.sample_size
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    generator = torch.Generator().manual_seed(options.seed)
    sample = torch.randn(1, model.config.in_channels, height, width, generator=generator)
    return sample, torch.tensor([500])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--input", help="safetensors with sample and timestep")
    parser.add_argument("--rank", type=int, default=50)
    parser.add_argument("--iterations", type=int, default=50, help="at most; the published limit is 50")
    parser.add_argument("--chunk", type=int, default=25, help="tangents pushed forward at once")
    parser.add_argument("--space", choices=["full", "pooled"], default="full")
    parser.add_argument("--basis", help="write the basis to this safetensors file")
    parser.add_argument("--batch", type=int, default=16, help="pictures of a training step, and of the larger forward pass")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, help="default: all cores")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["forward", "training", "basis"], help="time only this")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    model = read_model(options.model)
    if model.class_embedding is not None:
        parser.error("networks with classes are not measured")
    sample, timestep = read_point(model, options)
    if options.rank > sample.numel():
        parser.error(f"the rank is at most {sample.numel()}")
    report = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "sample": list(sample.shape[1:]),
        "timestep": timestep.item(),
    }
    wanted = [options.only] if options.only else ["forward", "training", "basis"]
    # First what runs with PyTorch's own fused attention and norms.
    if "forward" in wanted:
        batch = sample.repeat(options.batch, 1, 1, 1)
        report["forward_seconds"] = {
            1: time_forward(model, sample, timestep, options.repeats),
            options.batch: time_forward(model, batch, timestep, options.repeats),
        }
    if "training" in wanted:
        trained = read_model(options.model).train()
        seconds = time_training(trained, sample, options)
        report["training"] = {
            "batch": options.batch,
            "seconds_per_step": seconds,
            "pictures_per_second": options.batch / seconds,
        }
    if "basis" in wanted:
        allow_forward_mode(model)
        model.requires_grad_(False)
        f = bottleneck(model, timestep, options.space)
        report["basis"], tensors = basis(f, sample[0], options)
        if options.basis:
            save_file(tensors, options.basis)
    # Linux counts it in KiB.
    report["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
