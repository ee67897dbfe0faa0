"""Times single operations in PyTorch on the CPU, for bench/rates/compare.py.

    pip install torch==2.9.1
    python operations.py < cases

Each line of the standard input is a case of bench/rates/operations.json; the
answer is one line of JSON, seconds by pass. Convolutions and norms run in both
memory formats, and the faster counts. PyTorch's forward mode computes the
value anew with each tangent, so "forward and tangent" is both on either side.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

FORMATS = [torch.contiguous_format, torch.channels_last]


def seconds(call):
    """The least seconds of a call, among at least three and a tenth of a second."""
    call()
    best, total, calls = float("inf"), 0.0, 0
    while calls < 3 or total < 0.1:
        start = time.perf_counter()
        call()
        taken = time.perf_counter() - start
        best, total, calls = min(best, taken), total + taken, calls + 1
    return best


def formatted(shape, memory_format):
    return torch.randn(shape).contiguous(memory_format=memory_format)


def convolution(case, memory_format):
    kernel, stride = case["kernel"], case["stride"]
    padding = kernel // 2
    x = formatted([case["batch"], case["input"], case["side"], case["side"]], memory_format)
    weight = formatted([case["output"], case["input"], kernel, kernel], memory_format)
    bias = torch.randn(case["output"])
    u = torch.randn_like(F.conv2d(x, weight, bias, stride, padding)).contiguous(memory_format=memory_format)

    def adjoint(mask):
        return torch.ops.aten.convolution_backward(
            u, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, mask
        )

    return {
        "forward": seconds(lambda: F.conv2d(x, weight, bias, stride, padding)),
        "input adjoint": seconds(lambda: adjoint([True, False, False])),
        "weight adjoint": seconds(lambda: adjoint([False, True, False])),
    }


def norm(case, memory_format):
    x = formatted([case["batch"], case["channels"], case["side"], case["side"]], memory_format)
    u = torch.randn_like(x)
    gain, bias = torch.randn(case["channels"]), torch.randn(case["channels"])

    def f(x, gain, bias):
        return F.silu(F.group_norm(x, case["groups"], gain, bias, 1e-5))

    found = {"forward": seconds(lambda: f(x, gain, bias))}
    if memory_format == torch.contiguous_format:  # its forward mode refuses strided tangents
        found["forward and tangent"] = seconds(lambda: torch.func.jvp(lambda x: f(x, gain, bias), (x,), (u,)))
    leaves = [t.clone().requires_grad_(True) for t in (x, gain, bias)]
    with torch.enable_grad():
        y = f(*leaves)
    found["cotangent"] = seconds(lambda: torch.autograd.grad(y, leaves, u, retain_graph=True))
    return found


def attention(case):
    shape = [case["batch"], case["heads"], case["side"] ** 2, case["channels"] // case["heads"]]
    q, k, v, u = (torch.randn(shape) for _ in range(4))

    def plain(q, k, v):  # the fused one has no forward mode
        return torch.softmax(q @ k.transpose(-1, -2) * shape[-1] ** -0.5, dim=-1) @ v

    found = {
        "forward": seconds(lambda: F.scaled_dot_product_attention(q, k, v)),
        "forward and tangent": seconds(lambda: torch.func.jvp(plain, (q, k, v), (u, v, q))),
    }
    leaves = [t.clone().requires_grad_(True) for t in (q, k, v)]
    with torch.enable_grad():
        y = F.scaled_dot_product_attention(*leaves)
    found["cotangent"] = seconds(lambda: torch.autograd.grad(y, leaves, u, retain_graph=True))
    return found


def upsample(case, memory_format):
    x = formatted([case["batch"], case["channels"], case["side"], case["side"]], memory_format)
    found = {"forward": seconds(lambda: F.interpolate(x, scale_factor=2, mode="nearest"))}
    leaf = x.clone().requires_grad_(True)
    with torch.enable_grad():
        y = F.interpolate(leaf, scale_factor=2, mode="nearest")
    u = torch.randn_like(y)
    found["cotangent"] = seconds(lambda: torch.autograd.grad(y, leaf, u, retain_graph=True))
    return found


def concat(case, memory_format):
    x = formatted([case["batch"], case["channels"], case["side"], case["side"]], memory_format)
    u = torch.cat([x, x], 1)

    def split():  # a view would move no data, and the next operation would have to
        return [part.contiguous(memory_format=memory_format) for part in u.chunk(2, 1)]

    return {"forward": seconds(lambda: torch.cat([x, x], 1)), "cotangent": seconds(split)}


def measure(case):
    if case["kind"] == "attention":
        return attention(case)
    run = {"convolution": convolution, "norm": norm, "upsample": upsample, "concat": concat}[case["kind"]]
    best = {}
    for memory_format in FORMATS:
        for name, value in run(case, memory_format).items():
            best[name] = min(value, best.get(name, value))
    return best


def main():
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    for line in sys.stdin:
        print(json.dumps(measure(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
