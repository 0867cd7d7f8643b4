"""How Slurm's `srun` starts the processes of one training on several machines."""

from sa_sr.errors import UserError


def prefix(
    gpus: int,
    batch: int,
    nodes: int = 1,
    mpi: str | None = None,
    tasks: int | None = None,
    tasks_per_gpu: int | None = None,
    cpus_per_task: int | None = None,
) -> str:
    """What stands before the command of a training; nothing on one machine, where it starts its processes itself.

    gpus: the devices that share the training; batch: its patches in a step; nodes: machines; the others are the
    resources of Snakemake's Slurm plugin for a job of several processes. Raises UserError where the devices can't share
    a batch equally, and where the resources would give Slurm another number of processes than there are devices.
    """
    if gpus and batch % gpus:
        raise UserError(f"gpu={gpus}: a batch of {batch} patches can't be shared equally by {gpus} devices.")
    if nodes == 1:
        if mpi:
            raise UserError("mpi is for a training on several nodes; take it out, or set nodes.")
        return ""
    if gpus % nodes or not mpi or (tasks, tasks_per_gpu) != (gpus, 1) or not cpus_per_task:
        raise UserError(
            f"One training on nodes={nodes} takes equally many GPUs on each (gpu={gpus}), and beside them mpi: srun, "
            f"tasks: {gpus}, tasks_per_gpu: 1, and in cpus_per_task the CPUs for each GPU."
        )
    each = f"--ntasks-per-node={gpus // nodes} --cpus-per-task={cpus_per_task}"
    return f"{mpi} --nodes={nodes} --ntasks={gpus} {each} --kill-on-bad-exit=1 "
