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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
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
from sa_sr.rank import FIRST, by_another, by_srun, by_torchrun, end, rank

for module in ("distributed", "rank_zero"):
    logging.getLogger(f"lightning_fabric.utilities.{module}").setLevel(logging.WARNING)  # not that it starts

DAY = timedelta(days=1)
"""What the processes wait for each other: the first one reads all data, of which there may be many, for its state's
fingerprint. A process that has ended is noticed at once."""
PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that a process gets when its parent ends."""


def start(devices: int, precision: str) -> Fabric:
    """The processes of a training, this one among them.

    devices: how many in all; with 0 the only one is the CPU. One GPU for each process, which it waits for where others
    have it, or the CPU for all where there is no GPU. Raises UserError where there are fewer GPUs, or where `srun` or
    `torchrun` has started another number of processes.
    """
    total, (environment, nodes) = max(1, devices), _started()
    if isinstance(environment, LightningEnvironment):
        _bind_to_first()
    elif environment.world_size() != total:
        raise UserError(f"--devices {devices}, but {environment.world_size()} processes were started for it")
    each = total // nodes
    gpus = lease(each) if devices else []
    # batch norm's averages are alike in all processes; the new name of this option is not known to older torch
    warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
    torch.backends.cudnn.allow_tf32 = False  # or `32-true` would have mantissas of 10 bits on some GPUs
    strategy = DDPStrategy(broadcast_buffers=False, timeout=DAY) if total > 1 else "auto"
    fabric = Fabric(
        accelerator="cuda" if gpus else "auto" if devices == 1 else "cpu",
        strategy=strategy,
        devices=gpus or each,
        num_nodes=nodes,
        precision=precision,  # type: ignore[arg-type]
        plugins=[environment],
    )
    try:
        fabric.launch()
    finally:
        if not by_another():
            os.environ.pop(FIRST, None)  # what this process starts from now on is none of them
    return fabric


def _started() -> tuple[ClusterEnvironment, int]:
    """Who starts the processes, and the number of machines they are on."""
    if by_torchrun():
        return TorchElasticEnvironment(), int(os.environ["WORLD_SIZE"]) // int(os.environ["LOCAL_WORLD_SIZE"])
    if by_srun():
        nodes, each = (int(os.environ.get(name, 0)) for name in ("SLURM_STEP_NUM_NODES", "SLURM_NTASKS_PER_NODE"))
        if nodes * each != int(os.environ["SLURM_STEP_NUM_TASKS"]):
            raise UserError("start as many processes on each node, by srun --nodes=.. --ntasks=.. --ntasks-per-node=..")
        return SLURMEnvironment(auto_requeue=False), nodes
    return LightningEnvironment(), 1


def _bind_to_first() -> None:
    """Let the processes that the first one starts end with it, however that is, or they would wait for it for ever."""
    if not by_another():
        os.environ.pop("LOCAL_RANK", None)  # of somebody else's making
        os.environ[FIRST] = str(os.getpid())
        return
    with suppress(AttributeError):  # not Linux
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.environ[FIRST] != str(os.getppid()):  # it had ended before that
        os._exit(1)


@contextmanager
def others_may_fail() -> Iterator[None]:
    """End this process where another one of the training has ended in the middle of it.

    Raises UserError in the first process, which speaks for all; any other goes without a word.
    """
    try:
        yield
    except RuntimeError as e:
        if not ("gloo/" in str(e) or isinstance(e, dist.DistBackendError)):
            raise
        if rank():
            end(1)
        seen = str(e).partition("\n")[0]
        raise UserError(
            f"another process of this training has ended, or can't be reached ({seen}); if it has not said above why, "
            "it may have been killed, as for its memory"
        ) from e


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
    if fabric.world_size > 1:
        values = values.clone()
        dist.all_reduce(values)
    return values / fabric.world_size


def agreed(fabric: Fabric, number: int) -> int:
    """The largest of the processes' numbers, so that all do the same at the same step."""
    if fabric.world_size == 1:
        return number
    numbers = torch.tensor(number, device=fabric.device)
    dist.all_reduce(numbers, dist.ReduceOp.MAX)
    return int(numbers)


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
            layer.forward = partial(_gathered, fabric, layer)
    return network


def _gathered(fabric: Fabric, layer: _BatchNorm, input: Tensor) -> Tensor:
    """Normalise the whole and keep the share."""
    if not layer.training:
        return type(layer).forward(layer, input)
    first = fabric.global_rank * len(input)
    return type(layer).forward(layer, everyone(fabric, input))[first : first + len(input)]
