"""Timings beside their peers in one run: ``python -m tools.benchmark layer``.

Timings of one machine and hour say little; ratios of medians, taken in turn in one process, say more.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence

from tqdm import tqdm

from errors import run_cleanly
from files import atomic_path
from options import Parser, add_device_options, positive_int, setup_device

LAYER_SHAPES = (  # batch, channels in, channels out, side, kernel, stride: stages of the network at 256×256
    (4, 64, 128, 128, 5, 2),
    (4, 128, 256, 64, 5, 2),
    (4, 256, 512, 32, 3, 2),
    (4, 512, 512, 16, 3, 2),
    (4, 64, 64, 64, 3, 1),
    (4, 256, 256, 32, 3, 1),
)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(argv)
    setup_device(options.device, options.threads)
    rows = BENCHMARKS[options.what](options)
    print(markdown(rows))
    if options.json:
        with atomic_path(options.json) as temporary:
            temporary.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")


def parse_options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(prog="python -m tools.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument(
        "what", choices=tuple(BENCHMARKS), help="layer: PartialConv2D beside Conv2D, forward + backward"
    )
    parser.add_argument("--repeats", type=positive_int, default=15, metavar="N", help="timed turns, after two untimed")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    add_device_options(parser)
    return parser.parse_args(argv)


def layer_benchmark(options: argparse.Namespace) -> list[dict]:
    """Forward and backward of one layer: ordinary, partial (mask of one channel), partial the usual way."""
    import paddle
    import paddle.nn.functional as F

    from models import PartialConv2D
    from tools.reference import reference_partial_conv

    rows = []
    for n, c_in, c_out, side, kernel, stride in tqdm(LAYER_SHAPES, desc="layer"):
        geometry = {"stride": stride, "padding": kernel // 2}
        layer = PartialConv2D(c_in, c_out, kernel, bias_attr=False, **geometry)
        x = paddle.randn([n, c_in, side, side])
        x.stop_gradient = False
        mask = (paddle.rand([n, 1, side, side]) > 0.3).astype("float32")
        contenders = {
            "conv": lambda x=x, w=layer.weight, g=geometry: F.conv2d(x, w, **g),
            "partial": lambda x=x, m=mask, f=layer: f(x, m)[0],
            "usual": lambda x=x, m=mask, w=layer.weight, g=geometry: reference_partial_conv(x, m, w, **g)[0],
        }
        medians = in_turn({k: forward_backward(f) for k, f in contenders.items()}, options.repeats)
        rows.append(
            {
                "shape": f"{n}×{c_in}×{side}², {kernel}×{kernel}/{stride} → {c_out}",
                "Conv2D ms": medians["conv"] * 1e3,
                "PartialConv2D ms": medians["partial"] * 1e3,
                "usual way ms": medians["usual"] * 1e3,
                "partial / conv": medians["partial"] / medians["conv"],
                "usual / conv": medians["usual"] / medians["conv"],
            }
        )
    return rows


def forward_backward(forward: Callable) -> Callable[[], None]:
    """A step of ``forward``: run it, go back from its sum, and wait for the device."""
    import paddle

    def step():
        forward().sum().backward()
        if paddle.get_device().startswith("gpu"):
            paddle.device.cuda.synchronize()

    return step


def in_turn(contenders: dict[str, Callable[[], None]], repeats: int, warm_up: int = 2) -> dict[str, float]:
    """Median seconds of each, run A B C A B C ... so that the machine's moods meet all alike."""
    times = {name: [] for name in contenders}
    for turn in range(warm_up + repeats):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            if turn >= warm_up:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def markdown(rows: list[dict]) -> str:
    """A table of the rows, numbers to three digits."""
    cells = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> dict:
    import os

    import paddle

    threads = os.environ.get("OMP_NUM_THREADS")
    return {"processor": platform.processor() or platform.machine(), "threads": threads, "paddle": paddle.__version__}


BENCHMARKS = {"layer": layer_benchmark}


if __name__ == "__main__":
    run_cleanly(main)
