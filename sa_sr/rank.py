"""Which of the processes that share one training this is."""

import os

VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
"""What torchrun, Fabric and srun tell the processes that they start; Fabric does so within a task of Slurm, too."""


def rank() -> int:
    """0 for the first process, and for one that is alone. The first one speaks, writes results and keeps records."""
    return next((int(os.environ[name]) for name in VARIABLES if name in os.environ), 0)
