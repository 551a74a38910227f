"""The scripts' way of telling mistakes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    "command",
    [
        "train.py --config nothing.yaml",
        "train.py --model unet",
        "train.py --lr minus",
        "train.py --image_root nothing",
        "train.py --device gpu",
        "train.py --phase finetune",
        "train.py --amp O1",
        "test.py --weights nothing",
        "test.py --input nothing",
        "eval.py --images nothing --method telea",
        "eval.py --method magic",
    ],
)
def test_a_mistake_is_one_line_with_a_status_and_no_traceback(command, tmp_path):
    if "gpu" in command or "amp" in command:
        paddle = pytest.importorskip("paddle")
        if paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count():
            pytest.skip("this machine has a GPU")
    script, *arguments = command.split()
    result = subprocess.run(
        [sys.executable, ROOT / script, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode in (1, 2)
    *notes, last = result.stderr.splitlines()
    assert last.startswith("error: ") and len(notes) <= 1 and "Traceback" not in result.stderr, result.stderr
    assert not (tmp_path / "logs").exists()
