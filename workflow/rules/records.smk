# The records beside the files say what is to run. Snakemake's own notes do not: they are lost with .snakemake, and they
# hold what was planned where a record holds what the job read. No rules.

import shlex

import snakemake.workflow
from snakemake.persistence import NO_PARAMS_CHANGE, ParamsChange
from snakemake.settings.types import SharedFSUsage
from snakemake.utils import format

from sa_sr import provenance, records, verdict
from sa_sr.cli import app
from sa_sr.stage import call_of


def planned_call(job):
    """What a job will do; None where the job is no stage of the library."""
    if "sa-sr " not in (job.rule.shellcmd or ""):
        return None
    names = ("input", "output", "params", "wildcards", "threads", "resources", "log")
    # `job.shellcmd` would need the number of the job, which Snakemake gives when it knows what to run
    command = format(job.rule.shellcmd, **{name: getattr(job, name) for name in names})
    return call_of(app, shlex.split(command.partition("sa-sr ")[2]))


class Differences(ParamsChange):
    """What is not as it was; Snakemake prints this as its reason."""

    def __str__(self):
        return "; ".join(sorted(self.only_new))


class Recorded:
    """For a class of Snakemake's that keeps notes: the notes give way to the records beside the files that a stage has made.

    In a storage the notes decide, for records are not copied there.
    """

    calls = {}
    causes = {}

    def call(self, job):
        """What a job will do, where a file that it makes is there."""
        if job not in self.calls:
            there = any(os.path.isfile(path) and not path.is_storage for path in job.output)
            self.calls[job] = planned_call(job) if there else None
        return self.calls[job]

    def has_metadata(self, job):
        return self.call(job) is not None or super().has_metadata(job)

    def has_outdated_metadata(self, job):
        return self.call(job) is None and super().has_outdated_metadata(job)

    def input_changed(self, job, file=None):
        return super().input_changed(job, file) if self.call(job) is None else []

    def code_changed(self, job, file=None):
        return super().code_changed(job, file) if self.call(job) is None else []

    def params_changed(self, job, file=None):
        call = self.call(job)
        if call is None:
            return super().params_changed(job, file)
        if job not in self.causes:
            self.causes[job] = set(verdict.differences(call))
            if not self.causes[job] and not self.dag.workflow.dryrun:
                records.renew(call)
        return Differences(only_new=self.causes[job]) if self.causes[job] else NO_PARAMS_CHANGE

    def input_checksums(self, job, input_path):
        if self.call(job) is None:
            return super().input_checksums(job, input_path)
        inputs = [(records.read(path) or {"inputs": {}})["inputs"].get(input_path) for path in job.output]
        return {recorded and f"sha256:{recorded['sha256']}" for recorded in inputs}


for name in ("FilePersistence", "DbPersistence"):
    notes = getattr(snakemake.workflow, name)
    setattr(snakemake.workflow, name, type(name, (Recorded, notes), {}))


def freeze_plan():
    """Give the jobs of this run the configuration and the code that it was planned with, see `sa_sr.plan`.

    Where nodes do not share the folder of the workflow Snakemake sends them a copy of it, which is as good.
    """
    if SharedFSUsage.SOURCES not in workflow.storage_settings.shared_fs_usage:
        return
    files = [file.get_path_or_uri(secret_free=True) for file in workflow.included]
    tags = {tag for job in workflow.dag.jobs for tag in job.params.get("code", [])}
    frozen = plan.freeze(Path(OUT, ".plan"), config, CLAIMS.model_dump(mode="json"), tags, files)
    workflow.config_settings.configfiles = [frozen.absolute()]
    os.environ[plan.VARIABLE] = str(frozen.absolute())


def check_end():
    """Raise WorkflowError where the files are not what is planned now, as after an edit during the run."""
    provenance.forget()
    calls = [call for job in workflow.dag.jobs if (call := planned_call(job))]
    causes, _ = verdict.judge(calls, calls)
    edited = [f"{path} is not what the run was planned with" for path in READ if read(Path(path)) != READ[path]]
    if told := [*edited, *map(str, causes)]:
        end = "The run has ended, but not all results are up to date: something was changed meanwhile."
        raise WorkflowError("\n\n".join([f"{end} Run snakemake again.", *told]))
