"""What starts one training on several machines."""

import pytest

from sa_sr.errors import UserError
from sa_sr.rank import own_cpus
from sa_sr.srun import prefix

TWO_NODES = {"nodes": 2, "mpi": "srun", "tasks": 8, "tasks_per_gpu": 1, "cpus_per_task": 4}


@pytest.mark.parametrize(("gpus", "batch"), [(0, 16), (1, 16), (4, 16), (16, 16)])
def test_on_one_machine_nothing_stands_before_the_command(gpus, batch):
    assert prefix(gpus, batch) == prefix(gpus, batch, nodes=1) == ""


def test_on_several_srun_starts_a_process_for_each_gpu():
    assert prefix(8, 16, **TWO_NODES) == (
        "srun --nodes=2 --ntasks=8 --ntasks-per-node=4 --cpus-per-task=4 --kill-on-bad-exit=1 "
    )


@pytest.mark.parametrize("other", [{"tasks": 4}, {"tasks_per_gpu": 2}, {"cpus_per_task": None}, {"mpi": None},
                                   {"nodes": 3, "tasks": 8}])  # fmt: skip
def test_another_number_of_processes_than_of_gpus_is_refused(other):
    with pytest.raises(
        UserError, match=r"takes equally many GPUs on each \(gpu=8\), and .* tasks: 8, tasks_per_gpu: 1"
    ):
        prefix(8, 48, **TWO_NODES | other)


def test_what_cannot_share_a_batch_is_refused():
    with pytest.raises(UserError, match="gpu=3: a batch of 16 patches can't be shared equally"):
        prefix(3, 16)


def test_mpi_on_one_machine_is_refused():
    with pytest.raises(UserError, match="mpi is for a training on several nodes"):
        prefix(2, 16, mpi="srun")


def test_cpus_that_srun_gave_are_those_of_one_process_only_where_srun_started_it(monkeypatch):
    assert own_cpus() == 0
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "16")
    assert own_cpus() == 16
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")  # of torchrun's own processes there are several for each task
    assert own_cpus() == 0
