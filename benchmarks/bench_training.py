#!/usr/bin/env python3
"""Training beside a plain loop over torchvision's AlexNet, and the paper's schedule on a GPU where there is one.

Both are given decoded pictures in batches of 128, on the same cores in turns. Ours turns each patch at random and
trains the grasp network (42 million new parameters) with this package's defaults; the plain loop trains torchvision's
AlexNet (57 million in its classifier) in fp32 with default settings, on pictures that need no augmentation.

On a GPU: 40,287 samples, 20 epochs, by Lightning's loop as `train` runs it, after loading. Needs of this package's
requirements torch, torchvision, lightning, safetensors, pydantic, numpy, OpenCV, PyYAML, tqdm and SciPy only.
"""

import statistics
import sys
import tempfile
import time

import torch
from figures import figure

from grasp_learning.network import GraspNetwork, NetworkSettings
from grasp_learning.patches import NETWORK_SIDE
from grasp_learning.torchvision_guard import import_torchvision
from grasp_learning.training.callbacks import StopAtNan
from grasp_learning.training.data import GraspData
from grasp_learning.training.hardware import precision_of
from grasp_learning.training.lightning_library import CSVLogger, lightning
from grasp_learning.training.module import GraspModule
from grasp_learning.training.samples import DecodedPatches, make_samples
from grasp_learning.training.settings import TrainSettings

BATCH = 128
STORED_SIDE = 322  # px
ROUNDS, STEPS = 3, 2  # rounds of steps; the median round counts
RATIO = 2.0  # at least, to the plain loop
PAPER_SAMPLES, PAPER_EPOCHS, PAPER_SECONDS = 40287, 20, 90.0


class Clock(lightning.Callback):
    """Times rounds of steps, without the first ones."""

    def __init__(self, steps: int):
        self._steps, self._start, self.rates = steps, 0.0, []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx % self._steps == 0:
            now = time.perf_counter()
            if self._start:
                self.rates.append(self._steps * BATCH / (now - self._start))
            self._start = now


def synthetic(count: int, device: str = "cpu"):
    """Samples of noise; a tenth are successes."""
    generator = torch.Generator(device).manual_seed(0)
    shape = (count, STORED_SIDE, STORED_SIDE, 3)
    pictures = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator, device=device)
    angles = torch.rand(count, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3.14
    labels = [int(number % 10 == 0) for number in range(count)]
    return make_samples(DecodedPatches(pictures), angles, labels, [0] * count, [NETWORK_SIDE / STORED_SIDE] * count)


def fit(samples, settings: TrainSettings, accelerator: str, callbacks, folder: str, **more) -> float:
    """Seconds of Lightning's loop."""
    network = GraspNetwork(NetworkSettings(), torch.Generator().manual_seed(0)).train()
    data = GraspData(settings, samples)
    module = GraspModule(network, settings, data.steps_per_epoch)
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=precision_of(settings, accelerator),
        logger=CSVLogger(folder),
        callbacks=callbacks,
        benchmark=accelerator == "cuda",
        log_every_n_steps=10,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **more,
    )
    start = time.perf_counter()
    trainer.fit(module, data)
    if accelerator == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def our_rate(samples, folder: str) -> float:
    clock = Clock(STEPS)
    settings = TrainSettings(data=["synthetic"], out=folder, weights="none", epochs=1)
    fit(samples, settings, "cpu", [StopAtNan(), clock], folder, max_steps=1 + STEPS)
    return clock.rates[-1]


def plain_loop():
    """A function that trains torchvision's AlexNet some steps and gives pictures a second."""
    network = import_torchvision().models.alexnet(weights=None, num_classes=36).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005)
    criterion = torch.nn.CrossEntropyLoss()
    pictures, classes = torch.randn(BATCH, 3, NETWORK_SIDE, NETWORK_SIDE), torch.randint(0, 36, (BATCH,))

    def step() -> None:
        optimizer.zero_grad()
        criterion(network(pictures), classes).backward()
        optimizer.step()

    def rate() -> float:
        step()
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        return STEPS * BATCH / (time.perf_counter() - start)

    return rate


def compare_on_cpu(folder: str) -> bool:
    samples = synthetic(BATCH * (1 + STEPS))
    plain = plain_loop()
    pairs = []
    for _ in range(ROUNDS):
        pairs.append((our_rate(samples, folder), plain()))
        print("images a second: ours {:.1f}, plain loop {:.1f}".format(*pairs[-1]), flush=True)
    ours, theirs = (statistics.median(rates) for rates in zip(*pairs))
    precision = precision_of(TrainSettings(data=["synthetic"], out=folder), "cpu")
    print(f"ours {ours:.1f} images a second ({precision}, rotated), plain loop {theirs:.1f}", flush=True)
    return figure("training_ratio_to_plain_loop", ours / theirs, RATIO, "-", at_most=False)


def paper_schedule_on_gpu(folder: str) -> bool:
    if not torch.cuda.is_available():
        print("no GPU: the paper's schedule was not timed")
        return True
    print(torch.cuda.get_device_name(), flush=True)
    samples = synthetic(PAPER_SAMPLES, "cuda")
    settings = TrainSettings(data=["synthetic"], out=folder, weights="none", epochs=PAPER_EPOCHS, device="cuda")
    seconds = fit(samples, settings, "cuda", [StopAtNan()], folder, max_epochs=PAPER_EPOCHS)
    print(f"{PAPER_SAMPLES * PAPER_EPOCHS / seconds:.0f} images a second", flush=True)
    return figure("training_paper_schedule", seconds, PAPER_SECONDS, "s")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        met = [paper_schedule_on_gpu(folder)]
        if "--gpu" not in sys.argv[1:]:
            met.append(compare_on_cpu(folder))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
