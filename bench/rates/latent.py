"""Times a latent diffusion model here and in diffusers, in turns, and prints a table.

    cargo build --release -p alice-pipelines --example latent
    python bench/peer/random_latent.py /tmp/sd15
    python bench/rates/latent.py /tmp/sd15 [--python PYTHON] [--rounds N] [--pixels P] [--parts decoder] [--tile PIXELS]
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = [ROOT / "target/release/examples/latent"]
PEER = ROOT / "bench/peer/latent.py"


def output(command):
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pixels", default="512")
    parser.add_argument("--parts", nargs="*", default=["unet", "decoder"])
    parser.add_argument("--tile", default="0", help="side of the decoder's tiles in pixels, 0 for none")
    options = parser.parse_args()
    sides = {"Alice": OURS, "diffusers": [options.python, PEER]}
    print("| work | | seconds | until the first | peak, GiB | ratio | memory |\n|---|---|--:|--:|--:|--:|--:|", flush=True)
    labels = {"unet": "U-Net, one evaluation", "decoder": "autoencoder, one decoding"}
    for part in options.parts:
        label = labels[part]
        best = {}
        for _ in range(options.rounds):
            for side, command in sides.items():
                found = output([*command, part, options.folder, options.pixels, options.tile])
                known = best.setdefault(side, found)
                best[side] = {key: min(value, known[key]) for key, value in found.items()}
        a, b = best["Alice"], best["diffusers"]
        for side, found in best.items():
            ratios = ["", ""]
            if side == "Alice":
                ratios = [f"{b['seconds'] / a['seconds']:.2f}", f"{a['peak_bytes'] / b['peak_bytes']:.2f}"]
            cells = [label if side == "Alice" else "", side, f"{found['seconds']:.3g}", f"{found['first']:.3g}"]
            cells += [f"{found['peak_bytes'] / 2**30:.2f}", *ratios]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
