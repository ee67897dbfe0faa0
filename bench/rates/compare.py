"""Times operations here and in PyTorch, alternately, and prints a table.

    cargo build --release -p alice-kernels --example rates
    python bench/rates/compare.py [--python PYTHON] [--only TEXT] [--rounds N] [--json FILE]

Both programs stay open and take turns case by case, so that both see the same
machine; the least time of the rounds counts. PYTHON has PyTorch (default: this
one). A ratio above 1 says that Alice is faster.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RATES = ROOT / "target/release/examples/rates"
PEER = ROOT / "bench/peer/operations.py"


def name(case):
    batch, side = case["batch"], case["side"]
    if case["kind"] == "convolution":
        stride = ", stride 2" if case["stride"] == 2 else ""
        kernel, channels = case["kernel"], f"{case['input']}→{case['output']}"
        return f"convolution {kernel}×{kernel}{stride}, {batch}×{side}², {channels}"
    label = {"norm": "norm + SiLU", "attention": "attention", "upsample": "upsampling", "concat": "concatenation"}
    tail = {"norm": f", {case.get('groups')} groups", "attention": f", {case.get('heads')} heads"}
    return f"{label[case['kind']]}, {batch}×{side}², {case['channels']}{tail.get(case['kind'], '')}"


def operations(case, kind):
    """Multiplications and additions of a pass, or nothing where memory decides."""
    batch, area = case["batch"], case["side"] ** 2
    if case["kind"] == "convolution":
        outputs = batch * (area if case["stride"] == 1 else (case["side"] // 2) ** 2)
        return 2 * outputs * case["kernel"] ** 2 * case["input"] * case["output"]
    if case["kind"] == "attention":
        product = 2 * batch * area * area * case["channels"]
        return product * {"forward": 2, "forward and tangent": 6, "cotangent": 4}[kind]
    return None


def moved(case, kind):
    """Bytes that a pass must at least read and write."""
    values = case["batch"] * case["side"] ** 2 * case["channels"]
    if case["kind"] == "norm":
        # The forward pass keeps two arrays for the tangent.
        return 4 * values * {"forward": 2, "forward and tangent": 8, "cotangent": 4}[kind]
    return 4 * values * (5 if case["kind"] == "upsample" else 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--only", default="", help="cases whose set and name hold this text")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="also write the rows to this file")
    options = parser.parse_args()
    cases = json.loads((ROOT / "bench/rates/operations.json").read_text())
    cases = [c for c in cases if options.only in f"{c['set']}: {name(c)}"]
    peaks = {}

    def look_at_peaks():
        found = json.loads(subprocess.run([RATES, "--peaks"], capture_output=True, check=True, text=True).stdout)
        for kind, value in found.items():
            peaks[kind] = max(value, peaks.get(kind, value))

    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    programs = [subprocess.Popen(c, **pipes) for c in ([RATES], [options.python, PEER])]

    def ask(program, case):
        time.sleep(0.25)  # PyTorch's threads spin for a while
        program.stdin.write(json.dumps(case) + "\n")
        program.stdin.flush()
        return json.loads(program.stdout.readline())

    rows = []
    for index, case in enumerate(cases):
        if index % 5 == 0:
            look_at_peaks()
        best = [{}, {}]
        for _ in range(options.rounds):
            for slot, program in zip(best, programs):
                for kind, value in ask(program, case).items():
                    slot[kind] = min(value, slot.get(kind, value))
        for kind, ours in best[0].items():
            row = {"set": case["set"], "case": name(case), "pass": kind, "alice": ours, "pytorch": best[1][kind]}
            work = operations(case, kind)
            bound = "operations" if work else "bytes"
            rows.append(row | {"ratio": best[1][kind] / ours, "bound": bound, "work": work or moved(case, kind)})
    for program in programs:
        program.stdin.close()
        program.wait()

    print(
        f"Peak of {peaks['threads']} threads: {peaks['operations_per_second'] / 1e9:.0f} GFLOP/s in registers, "
        f"copies {peaks['bytes_per_second'] / 1e9:.1f} GB/s.\n"
    )
    last = None
    for row in rows:
        if row["set"] != last:
            last = row["set"]
            print(f"\n**{last}**\n\n| operation | pass | Alice, ms | PyTorch, ms | ratio | share of peak |")
            print("|---|---|--:|--:|--:|--:|")
        share = row["work"] / row["alice"] / peaks[f"{row['bound']}_per_second"]
        bound = "" if row["bound"] == "operations" else " of copy"
        print(
            f"| {row['case']} | {row['pass']} | {1e3 * row['alice']:.3g} | {1e3 * row['pytorch']:.3g} "
            f"| {row['ratio']:.2f} | {100 * share:.0f} %{bound} |"
        )
    if options.json:
        Path(options.json).write_text(json.dumps({"peaks": peaks, "rows": rows}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
