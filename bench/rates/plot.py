"""Draws what a basis costs, from the lines of the example `bases`.

    python bench/rates/plot.py OUT.svg NAME=LINES.jsonl...
"""

import json
import math
import sys
from pathlib import Path

INK, SOFT, GRID = "#222222", "#666666", "#e4e4e4"
COLOURS = ["#b3432b", "#2b6cb3", "#4d8a3d"]
WIDTH, HEIGHT, LEFT, TOP = 250, 200, 62, 58


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines() if line.strip()]


def panels(rows):
    """Title, axes and points of the three panels, for one model."""
    default = next(r for r in rows if r["kind"] == "default")
    by = lambda kind: [r for r in rows if r["kind"] == kind]
    rank = sorted([(r["rank"], r["vectors"]) for r in by("rank") + [default]])
    error = [(r["more"]["errors"]["sigma_error"], r["vectors"]) for r in by("tolerance") + [default]]
    size = [(r["more"]["dimension"], r["vectors"]) for r in by("dimension")]
    return {
        ("Directions wanted, k", "lin"): rank,
        ("Largest relative error of σ", "log"): sorted(error),
        ("Dimensions of the sample, n", "log"): sorted(size),
    }


def ticks(low, high, scale):
    if scale == "log":
        tens = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
        return [10.0**e for e in tens]
    step = 10 ** math.floor(math.log10(high))
    step = step / 5 if high / step < 2 else step / 2 if high / step < 5 else step
    return [i * step for i in range(int(high / step) + 1)]


def label(value):
    if value == 0:
        return "0"
    e = math.log10(value)
    if (value < 0.01 or value >= 1e4) and abs(e - round(e)) < 1e-9:
        digits = str(round(e)).replace("-", "⁻").translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"10{digits}"
    return f"{value:g}"


def panel(x, title, scale, series, top):
    every = [p[0] for points in series for p in points]
    low, high = (min(every) / 1.3, max(every) * 1.3) if scale == "log" else (0, 1.08 * max(every))
    place = (lambda v: math.log(v / low) / math.log(high / low)) if scale == "log" else (lambda v: v / high)
    px = lambda v: x + WIDTH * place(v)
    py = lambda v: TOP + HEIGHT * (1 - v / top)
    out = []
    for v in ticks(0, top, "lin"):
        out.append(f'<line x1="{x}" x2="{x + WIDTH}" y1="{py(v):.1f}" y2="{py(v):.1f}" stroke="{GRID}"/>')
        out.append(f'<text x="{x - 8}" y="{py(v) + 4:.1f}" text-anchor="end" fill="{SOFT}">{label(v)}</text>')
    for v in ticks(low, high, scale):
        out.append(f'<text x="{px(v):.1f}" y="{TOP + HEIGHT + 20}" text-anchor="middle" fill="{SOFT}">{label(v)}</text>')
        out.append(f'<line x1="{px(v):.1f}" x2="{px(v):.1f}" y1="{TOP + HEIGHT}" y2="{TOP + HEIGHT + 5}" stroke="{SOFT}"/>')
    out.append(f'<text x="{x + WIDTH / 2}" y="{TOP + HEIGHT + 42}" text-anchor="middle" fill="{INK}">{title}</text>')
    for points, colour in zip(series, COLOURS):
        path = " ".join(f"{px(a):.1f},{py(b):.1f}" for a, b in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{px(a):.1f}" cy="{py(b):.1f}" r="3.5" fill="{colour}"/>' for a, b in points]
    return out


def main():
    target, *named = sys.argv[1:]
    names, models = zip(*((n.split("=", 1)[0], panels(lines(n.split("=", 1)[1]))) for n in named))
    top = 1.08 * max(b for model in models for points in model.values() for _, b in points)
    out = []
    for i, key in enumerate(models[0]):
        out += panel(LEFT + i * (WIDTH + 62), *key, [model[key] for model in models], top)
    out.append(f'<text x="{LEFT - 44}" y="{TOP - 18}" fill="{INK}">Vector products</text>')
    x = LEFT + 110
    for name, colour in zip(names, COLOURS):
        out.append(f'<circle cx="{x}" cy="{TOP - 22}" r="4" fill="{colour}"/>')
        out.append(f'<text x="{x + 10}" y="{TOP - 18}" fill="{INK}">{name}</text>')
        x += 30 + 8 * len(name)
    width, height = LEFT + 3 * (WIDTH + 62) - 30, TOP + HEIGHT + 62
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">'
    body = [f'<rect width="{width}" height="{height}" fill="white"/>', *out]
    Path(target).write_text("\n".join([head, *body, "</svg>"]) + "\n")


if __name__ == "__main__":
    main()
