"""Times U-Nets here and in PyTorch, alternately, and prints a table.

    cargo build --release -p alice-training --example networks
    python bench/rates/networks.py [--python PYTHON] [--rounds N] NAME=FOLDER...

FOLDER is a UNet2DModel in the diffusers layout, such as models/puppets-32 or
what bench/peer/random_models.py writes. The least median of the rounds counts.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "target/release/examples/networks"
PEER = ROOT / "bench/peer/published_method.py"


def output(command):
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def peer(python, folder):
    found = {}
    for kind in ["forward", "training"]:
        found |= output([python, PEER, folder, "--only", kind])
    return found["forward_seconds"] | {"step": found["training"]["seconds_per_step"]}


def ours(folder):
    found = output([OURS, folder])
    return found["forward_seconds"] | {"step": found["training_seconds"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    labels = {"1": "forward pass of 1", "16": "forward pass of 16", "step": "training step of 16"}
    print("| model | work | Alice, s | PyTorch, s | ratio |\n|---|---|--:|--:|--:|", flush=True)
    for model in options.models:
        name, folder = model.split("=", 1)
        best = [{}, {}]
        for _ in range(options.rounds):
            for slot, found in zip(best, [ours(folder), peer(options.python, folder)]):
                for kind, value in found.items():
                    slot[kind] = min(value, slot.get(kind, value))
        for kind, label in labels.items():
            a, b = best[0][kind], best[1][kind]
            print(f"| {name} | {label} | {a:.3g} | {b:.3g} | {b / a:.2f} |", flush=True)


if __name__ == "__main__":
    main()
