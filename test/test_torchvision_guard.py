"""torchvision imports and works whether or not its compiled operators load."""

import subprocess
import sys
from pathlib import Path

SOURCE = str(Path(__file__).resolve().parent.parent / "src")
# A fresh process each: an import happens once in one.
HEAD = f"import sys; sys.path.insert(0, {SOURCE!r}); from grasp_learning.torchvision_guard import import_torchvision\n"


def run(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", HEAD + code], capture_output=True, text=True, timeout=100, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


# A torchvision whose import does what the real one does beside another build of torch: describe operators that its
# library, which did not load, would have declared.
FAKE = """
import torch
from torchvision import leftover
torch.library.register_fake("torchvision::nms")(lambda dets, scores, iou_threshold: dets.new_empty(0))
whole = leftover.count
"""
LEFTOVER = "count = 1\n"


def fake_torchvision(folder: Path, body: str) -> str:
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text(body)
    (folder / "torchvision" / "leftover.py").write_text(LEFTOVER)
    return f"sys.path.insert(0, {str(folder)!r})\n"


def test_the_real_one_imports_and_makes_models():
    code = """
import torch
torchvision = import_torchvision()
assert import_torchvision() is torchvision and sys.modules["torchvision"] is torchvision
with torch.device("meta"):
    print(torchvision.models.alexnet(weights=None).features[0].out_channels)
from torchvision import transforms
"""
    assert run(code).split() == ["64"]


def test_an_import_that_failed_before_does_no_harm():
    code = """
try:
    import torchvision
except RuntimeError:
    pass
print(import_torchvision().models.AlexNet_Weights.IMAGENET1K_V1.name)
"""
    assert run(code).split() == ["IMAGENET1K_V1"]


def test_operators_that_do_not_load_are_declared(tmp_path):
    head = fake_torchvision(tmp_path, FAKE)
    code = """
import torch, threading
found = []
threads = [threading.Thread(target=lambda: found.append(import_torchvision().whole)) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(found)
try:
    torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
except RuntimeError as error:
    print(str(error).split(" with ")[0])
"""
    assert run(head + code).splitlines() == ["[1, 1, 1, 1]", "Could not run 'torchvision::nms'"]


def test_operators_that_are_there_are_left_alone(tmp_path):
    declared = """
import torch
library = torch.library.Library("torchvision", "DEF")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
library.impl("nms", lambda dets, scores, iou_threshold: torch.tensor([7]), "CPU")
"""
    head = fake_torchvision(tmp_path, declared + FAKE)
    code = """
import torch
import_torchvision()
from grasp_learning import torchvision_guard
print(torchvision_guard._declared, int(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)))
"""
    assert run(head + code).split() == ["[]", "7"]


def test_other_errors_of_the_import_pass_through(tmp_path):
    head = fake_torchvision(tmp_path, 'raise RuntimeError("compiled with another CUDA")')
    code = """
try:
    import_torchvision()
except RuntimeError as error:
    print(error)
"""
    assert run(head + code).strip() == "compiled with another CUDA"
