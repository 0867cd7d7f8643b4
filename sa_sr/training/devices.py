"""One training on several devices: which processes take part, and what they have to agree on.

Each process has one device, the same networks, and its share of every batch. Fabric starts the processes on one
machine, `srun` or `torchrun` on several; DDP averages the gradients. What a loss or a network takes from the batch as a
whole is made of all shares here, so that the result is that of one device but for rounding.
"""

import ctypes
import logging
import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sa_sr.errors import UserError
from sa_sr.gpus import lease

for module in ("distributed", "rank_zero"):
    logging.getLogger(f"lightning_fabric.utilities.{module}").setLevel(logging.WARNING)  # not that it starts

PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that a process gets when its parent ends."""


def start(devices: int, precision: str) -> Fabric:
    """The processes of a training, this one among them.

    devices: how many in all; with 0 the only one is the CPU. One GPU for each process, which it waits for where others
    have it, or the CPU for all where there is no GPU. Raises UserError where there are fewer GPUs, or where `srun` or
    `torchrun` has started another number of processes.
    """
    total, (environment, nodes) = max(1, devices), _started()
    ours = isinstance(environment, LightningEnvironment)
    if not ours and environment.world_size() != total:
        raise UserError(f"--devices {devices}, but {environment.world_size()} processes were started for it")
    each = total // nodes
    gpus = lease(each) if devices else []
    # batch norm's averages are alike in all processes; the new name of this option is not known to older torch
    warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
    strategy = DDPStrategy(broadcast_buffers=False) if total > 1 else "auto"
    fabric = Fabric(
        accelerator="cuda" if gpus else "cpu",
        strategy=strategy,
        devices=gpus or each,
        num_nodes=nodes,
        precision=precision,  # type: ignore[arg-type]
        plugins=[environment],
    )
    fabric.launch()
    if ours and fabric.local_rank:
        with suppress(AttributeError):  # not Linux
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # or it would wait for the first one for ever
    return fabric


def _started() -> tuple[ClusterEnvironment, int]:
    """Who starts the processes, and the number of machines they are on."""
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment(), int(os.environ["WORLD_SIZE"]) // int(os.environ["LOCAL_WORLD_SIZE"])
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        return SLURMEnvironment(auto_requeue=False), int(os.environ["SLURM_STEP_NUM_NODES"])
    return LightningEnvironment(), 1


def everyone(fabric: Fabric, part: Tensor) -> Tensor:
    """The parts of all processes, one behind the other; gradients find their way back to each."""
    return part if fabric.world_size == 1 else Gathered.apply(part)  # type: ignore[return-value]


class Gathered(torch.autograd.Function):
    """The parts of all processes; each part's gradient is the sum of those that it gets in all of them."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, part.contiguous())
        ctx.mine = slice(dist.get_rank() * len(part), (dist.get_rank() + 1) * len(part))
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient[ctx.mine]


def mean_of_all(fabric: Fabric, values: Tensor) -> Tensor:
    """The mean over all processes; without gradients."""
    return values if fabric.world_size == 1 else fabric.all_reduce(values.clone(), reduce_op="mean")  # type: ignore


def agreed(fabric: Fabric, number: int) -> int:
    """The largest of the processes' numbers, so that all do the same at the same step."""
    if fabric.world_size == 1:
        return number
    return int(fabric.all_reduce(torch.tensor(number, device=fabric.device), reduce_op="max"))  # type: ignore


def texts_of_all(fabric: Fabric, texts: list[str]) -> list[str]:
    """The texts of all processes, one behind the other."""
    if fabric.world_size == 1:
        return texts
    found: list[list[str]] = [[] for _ in range(fabric.world_size)]
    dist.all_gather_object(found, texts)
    return [text for part in found for text in part]


def leave(fabric: Fabric, how: BaseException) -> BaseException:
    """What ends this process where all end in one place: `how` ends the first one, the others are just done.

    Were they to fail as well, the first one would be killed, perhaps before it has said why.
    """
    return how if fabric.is_global_zero else SystemExit(0)


def frozen(fabric: Fabric, network: nn.Module) -> Callable[[Tensor], Tensor]:
    """A network without anything to train, in the fabric's precision; DDP refuses to wrap one."""
    network = fabric.to_device(network)

    def forward(x: Tensor) -> Tensor:
        with fabric.autocast():
            return network(x).float()

    return forward


def synchronised(fabric: Fabric, network: nn.Module) -> nn.Module:
    """The network with batch norms that take their statistics from the shares of all processes."""
    if fabric.world_size == 1:
        return network
    if fabric.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)  # which refuses a CPU
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.forward = partial(_gathered, fabric, layer.forward)
    return network


def _gathered(fabric: Fabric, normalise: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:
    """Normalise the whole and keep the share."""
    first = fabric.global_rank * len(input)
    return normalise(everyone(fabric, input))[first : first + len(input)]
