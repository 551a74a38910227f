"""Write a network as a static model for Paddle Inference and ONNX: ``python export.py --help``.

The export is run on two batches of noise of different sizes, and kept only if it agrees with the network.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from options import check_folder, export_parser, setup_device
from utils.errors import naming, run_cleanly


def main(argv: Sequence[str] | None = None) -> None:
    options = export_parser().parse_args(argv)
    os.environ.setdefault("GLOG_minloglevel", "2")  # Paddle's remarks on its own tracing
    setup_device(options.device, options.threads)
    from inpainting.checkpoint import load_weights, read_meta, weights_directory
    from inpainting.exported import export_model
    from inpainting.meta import ENTRIES

    check_folder("--output", Path(options.output))
    with naming("--weights"):
        directory = weights_directory(options.weights)
        model = load_weights(directory)
    carried = {key: value for key, value in read_meta(directory).items() if key in ENTRIES}
    del carried["model"], carried["options"]
    differences = export_model(model, options.output, options.onnx, **carried)
    for name, difference in differences.items():
        print(f"{name}: differs from the network by at most {difference:.1e}")
    print(f"{model.model_name} exported: {options.output}")


if __name__ == "__main__":
    run_cleanly(main)
