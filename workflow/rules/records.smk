# The records beside the files say what is to run. Snakemake's own notes do not: they are lost with .snakemake, and they
# hold what was planned where a record holds what the job read. No rules.

import shlex

import snakemake.workflow
from typer import BadParameter
from snakemake.persistence import NO_PARAMS_CHANGE, ParamsChange
from snakemake.settings.types import SharedFSUsage
from snakemake.utils import format

from sa_sr import provenance, records, verdict
from sa_sr.cli import app
from sa_sr.stage import call_of
from sa_sr.unlock import hold


def planned_call(job):
    """What a job will do; None where the job is no stage of the library, and in a storage, where no records are."""
    if "sa-sr " not in (job.rule.shellcmd or "") or any(path.is_storage for path in job.output):
        return None
    names = ("input", "output", "params", "wildcards", "threads", "resources", "log")
    # `job.shellcmd` would need the number of the job, which Snakemake gives when it knows what to run
    command = format(job.rule.shellcmd, **{name: getattr(job, name) for name in names})
    try:
        return call_of(app, shlex.split(command.partition("sa-sr ")[2]))
    except (UserError, BadParameter) as e:
        raise WorkflowError(f"{job.rule.name}: {e}")


def made_call(job):
    """The same where a file is there that the job has made."""
    return planned_call(job) if any(map(os.path.isfile, job.output)) else None


class Differences(ParamsChange):
    """What is not as it was; Snakemake prints this as its reason."""

    def __str__(self):
        return "; ".join(sorted(self.only_new))


class Recorded:
    """For a class of Snakemake's that keeps notes: they give way to the records beside the files that a stage has made.

    In a storage the notes decide, for records are not copied there.
    """

    alone = False
    """Whether this is a run, and no other one works in the folder."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.calls, self.causes, self.checksums = {}, {}, {}
        if workflow.is_main_process and workflow.executor_plugin is not None and not workflow.dryrun:
            Recorded.alone = hold(Path())

    def call(self, job):
        if job not in self.calls:
            self.calls[job] = made_call(job)
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
            try:
                self.causes[job] = set(verdict.differences(call))
            except UserError as e:
                raise WorkflowError(str(e))
            if not self.causes[job] and self.alone:
                records.renew(call)
        causes = self.causes[job]
        return Differences(only_new=causes, files={*job.output}) if causes else NO_PARAMS_CHANGE

    def input_checksums(self, job, input_path):
        if self.call(job) is None:
            return super().input_checksums(job, input_path)
        if job not in self.checksums:
            made = [records.read(path) or {"inputs": {}} for path in job.output]
            self.checksums[job] = [{path: found["sha256"] for path, found in one["inputs"].items()} for one in made]
        recorded = {inputs.get(input_path) for inputs in self.checksums[job]}
        return {checksum and f"sha256:{checksum}" for checksum in recorded}


for name in ("FilePersistence", "DbPersistence"):
    notes = getattr(snakemake.workflow, name)
    if not hasattr(notes, "alone"):  # else the Snakefile was evaluated before, in the same process
        setattr(snakemake.workflow, name, type(name, (Recorded, notes), {}))


def freeze_plan():
    """Give the jobs of this run the configuration and the code that it was planned with, see `sa_sr.plan`.

    Where nodes do not share the folder of the workflow Snakemake sends them a copy of it, which is as good.
    """
    if SharedFSUsage.SOURCES not in workflow.storage_settings.shared_fs_usage:
        return
    files = [file.get_path_or_uri(secret_free=True) for file in workflow.included]
    tags = {tag for job in workflow.dag.jobs for tag in job.params.get("code", [])}
    claims = CLAIMS.model_dump(mode="json")
    frozen = plan.freeze(Path(OUT, ".plan"), config, claims, tags, files, alone=workflow.persistence.alone)
    workflow.config_settings.configfiles = [frozen.absolute()]
    os.environ[plan.VARIABLE] = str(frozen.absolute())


def check_end():
    """Raise WorkflowError where files are not what is planned now, as after an edit during the run."""
    os.environ.pop(plan.VARIABLE, None)
    if workflow.touch or workflow.remote_execution_settings.immediate_submit:
        return
    provenance.forget()
    causes = {}
    for call in filter(None, map(made_call, workflow.dag.jobs)):
        for what in dict.fromkeys(verdict.differences(call)):  # each of its files tells the same
            causes.setdefault(what, verdict.Cause(what, [])).calls.append(call)
    edited = [f"{path} is not what the run was planned with" for path in READ if edited_since(path)]
    if told := [*edited, *map(str, causes.values())]:
        end = "The run has ended, and something was changed meanwhile. Run snakemake again."
        raise WorkflowError("\n\n".join([end, *told]))


def edited_since(path):
    """Whether a file of the configuration has another content than when this run was planned."""
    try:
        return read(Path(path)) != READ[path]
    except UserError:
        return True
