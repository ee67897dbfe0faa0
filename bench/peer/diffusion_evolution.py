"""Times the released Diffusion Evolution package, per generation, on the CPU.

    pip install torch==2.9.1 diffevo
    python diffusion_evolution.py

Only the update is timed, not the fitness, as `cargo run --release -p
alice-evolution --example generations` does. The package's licence allows
academic use only: it is run here, nothing of it is in Alice.
"""

import json
import time

import torch
from diffevo import BayesianGenerator, DDIMScheduler


def seconds_per_generation(population, dimension, steps=25, repeats=5):
    least = None
    for _ in range(repeats):
        x = torch.randn(population, dimension)
        total, count = 0.0, 0
        for _, alpha in DDIMScheduler(num_step=steps):
            fitness = 1 / (1 + x[:, 0] ** 2)
            start = time.perf_counter()
            x = BayesianGenerator(x, fitness, alpha)(noise=0.1)
            total += time.perf_counter() - start
            count += 1
        mean = total / count
        least = mean if least is None else min(least, mean)
    return least


def main():
    report = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    for population, dimension, steps, repeats in [(512, 2, 25, 10), (512, 58, 25, 5), (4096, 2, 5, 2), (512, 17410, 3, 1)]:
        seconds = seconds_per_generation(population, dimension, steps, repeats)
        report[f"{population} x {dimension}"] = f"{1e3 * seconds:.2f} ms"
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
