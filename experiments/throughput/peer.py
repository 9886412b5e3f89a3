"""The same work in PyTorch: a training step, or evaluations of the network, eager and compiled.

The parameters are as many; the loss is the mean square of the error of what the network predicts,
then come gradient, clipping, the fused AdamW and a moving average. Images are flipped where ours
are, not distorted. bfloat16 is by autocast, which keeps the parameters in float32 as ours.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
import torch
from torch import nn

from experiments.throughput.cases import Subject
from experiments.throughput.peer_dit import DiT
from experiments.throughput.peer_unet import UNet

Call = Callable[[], None]


class NoPeer(Exception):
    """No network is written for it here; the message says so."""


def network(subject: Subject) -> nn.Module:
    """The network of a subject, with random weights.

    Raises:
        NoPeer: there is none of its kind.
    """
    experiment, shape = subject.experiment, subject.experiment.space.shape
    model = experiment.config.model
    if model.name == "unet" and model.resblock == "biggan" and not (model.fir or subject.told()):
        made = UNet(shape, model)
    elif model.name == "dit" and experiment.conditions == ("label",):
        twice = experiment.config.objective.denoising.learned_variance
        classes = experiment.data["label"].values
        made = DiT(shape, model, classes + 1, shape[-1] * (1 + twice))
    else:
        raise NoPeer("no network like it is written in PyTorch here")
    found = sum(array.numel() for array in made.parameters())
    if found != experiment.parameters:
        raise NoPeer(f"has {found:,} parameters in PyTorch, and {experiment.parameters:,} here")
    device = "cuda" if jax.default_backend() == "gpu" else "cpu"
    return made.to(device=device, memory_format=torch.channels_last)


class _Work:
    """What both kinds of work share: the network, its inputs and its precision."""

    def __init__(self, subject: Subject):
        self.model, self.experiment = network(subject), subject.experiment
        self.device = next(self.model.parameters()).device
        self.dtype = getattr(torch, self.experiment.config.model.dtype)
        batch = {name: self._put(array[0]) for name, array in subject.examples(1).items()}
        self.images = batch[self.experiment.field.name].movedim(-1, 1)
        self.classes = batch.get("label", self._put(np.zeros(len(self.images)))).long()

    def _put(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    def predicted(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """By the network, in its precision, as float32."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self.model(x, 999 * t, self.classes).float()

    def wait(self) -> None:
        """Until the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def evaluations(subject: Subject, number: int) -> dict[str, Call]:
    """So many evaluations of the network, one after the other: eager and compiled."""
    work = _Work(subject)
    work.model.eval()
    x = torch.randn_like(work.images, dtype=torch.float32)
    t = torch.full((len(x),), 0.5, device=work.device)

    def of(predicted: Callable[..., torch.Tensor]) -> Call:
        def call() -> None:
            with torch.no_grad():
                for _ in range(number):
                    predicted(x, t)
            work.wait()

        return call

    return {"eager": of(work.predicted), "compiled": of(torch.compile(work.predicted))}


def steps(subject: Subject, number: int) -> dict[str, Call]:
    """So many training steps, one after the other: eager and compiled."""
    work, options = _Work(subject), subject.experiment.optim
    parameters = list(work.model.parameters())
    average = [parameter.detach().clone() for parameter in parameters]
    decay = subject.experiment.training.ema_decays[0]
    betas = (options.beta1, options.beta2)
    optimizer = torch.optim.AdamW(
        parameters, options.learning_rate, betas, options.eps, options.weight_decay, fused=True
    )
    levels = work.experiment.field.values - 1
    flips = getattr(work.experiment.space, "flip", False)

    def loss() -> torch.Tensor:
        x0 = work.images.float()
        if levels > 0:
            x0 = x0 * (2 / levels) - 1
        count = len(x0)
        if flips:
            turned = torch.rand(count, 1, 1, 1, device=work.device) < 0.5
            x0 = torch.where(turned, x0.flip(3), x0)
        t = torch.rand(count, device=work.device)
        angle, eps = t[:, None, None, None] * (torch.pi / 2), torch.randn_like(x0)
        error = work.predicted(angle.cos() * x0 + angle.sin() * eps, t)[:, : x0.shape[1]] - eps
        return error.square().mean()

    def of(loss: Callable[[], torch.Tensor]) -> Call:
        def call() -> None:
            for _ in range(number):
                loss().backward()
                if options.clip:
                    nn.utils.clip_grad_norm_(parameters, options.clip, foreach=True)
                optimizer.step()
                optimizer.zero_grad()
                with torch.no_grad():
                    torch._foreach_lerp_(average, parameters, 1 - decay)
            work.wait()

        return call

    return {"eager": of(loss), "compiled": of(torch.compile(loss))}
