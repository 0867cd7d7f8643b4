"""Which of the processes that share one training this is, and how it ends."""

import logging
import os
import sys
from typing import NoReturn

FIRST = "SA_SR_FIRST"
"""Environment variable: the number of the process that has started others for its training."""


def rank() -> int:
    """0 for the first process, and for one that is alone. The first one speaks, writes results and keeps records."""
    if by_torchrun():
        return int(os.environ["RANK"])
    if by_srun():
        return int(os.environ["SLURM_PROCID"])
    return int(os.environ["LOCAL_RANK"]) if by_another() else 0


def by_torchrun() -> bool:
    """Whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def by_srun() -> bool:
    """Whether srun has started this process as one of several; Slurm's own step for a job is one task."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1


def own_cpus() -> int:
    """The CPUs that srun has given to this process of several; 0 where it has started none, or does not say."""
    return int(os.environ.get("SLURM_CPUS_PER_TASK", 0)) if by_srun() and not by_torchrun() else 0


def by_another() -> bool:
    """Whether the first process of a training has started this one; it may have ended since."""
    return os.environ.get(FIRST, str(os.getpid())) != str(os.getpid())


def end(status: int) -> NoReturn:
    """End this process, which has failed; it, or the one that made it fail, has said why.

    One of several leaves the others without a word, for they may be waiting for it, and to take leave it would have to
    wait for them. Who started them ends them.
    """
    torch = sys.modules.get("torch")
    if torch and torch.distributed.is_available() and torch.distributed.is_initialized():
        logging.shutdown()
        os._exit(status)
    sys.exit(status)
