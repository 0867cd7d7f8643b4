"""The configuration: every key with its type, unit, default and meaning.

`load` turns the parsed YAML into a frozen `Config` or raises one UserError that names each wrong key by its path. The
Snakefile calls it while it is parsed, so a dry run reports mistakes too; nothing here imports torch. config/schema.json
and config/README.md are generated from the sections (`sa-sr config-docs`).
"""

from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from sa_sr.config.consistency import problems
from sa_sr.config.data import Clips, ClipSource, Dataset, Expect, Images, Source
from sa_sr.config.models import Esrgan, Loss, LossTerms, Models, Optimise, VsrResFeatGan
from sa_sr.config.reading import check
from sa_sr.config.results import Comparison, EdgeMaps, Evaluation, Figures, LpipsChoice, Table
from sa_sr.config.runs import CalibrateSpec, PretrainSpec, Run, TrainSpec
from sa_sr.config.section import Box, Count, Name, Section, by_number
from sa_sr.config.sweeps import Sweep, Variant, points, variants
from sa_sr.data.assets import Asset, known
from sa_sr.edges import check_parameters
from sa_sr.errors import UserError

__all__ = [
    "Box",
    "CalibrateSpec",
    "ClipSource",
    "Clips",
    "Comparison",
    "Config",
    "Dataset",
    "EdgeMaps",
    "Esrgan",
    "Evaluation",
    "Expect",
    "Figures",
    "Images",
    "Loss",
    "LossTerms",
    "LpipsChoice",
    "Models",
    "Optimise",
    "PretrainSpec",
    "Run",
    "Section",
    "Source",
    "Sweep",
    "Table",
    "TrainSpec",
    "Variant",
    "VsrResFeatGan",
    "load",
]


def _with_defaults(extractors: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """All parameters of each extractor, so that equal settings are equal text."""
    checked = {}
    for name, parameters in extractors.items():
        try:
            checked[name] = check_parameters(name, parameters)
        except UserError as e:
            raise PydanticCustomError("extractor", "{e}", {"e": str(e)}) from e
    return checked


def _the_papers_first(tables: dict[str, Table]) -> dict[str, Table]:
    """The tables in the order of their names, those that stand for one of the paper's before others."""
    return dict(sorted(by_number(tables).items(), key=lambda named: named[1].published is None))


class Config(Section):
    """A whole experiment, complete in itself."""

    name: Name
    """Results go to results/<name>/, so a copy of a configuration needs a name of its own."""
    seeds: Annotated[list[Count], Field(min_length=1)] = [1]
    """Each run is trained once per seed."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """Arithmetic of training: auto is bf16-mixed on a GPU that has it and 32-true elsewhere.

    Open: the paper is silent. Evidence: the code of its time computes in 32 bits, and so does config/paper.yaml."""
    assets: dict[Name, Asset] = {}
    """Further downloadable files by name, beside the built-in ones (sa_sr/data/assets.yaml)."""
    datasets: dict[Name, Dataset]
    """Photos and clips by name."""
    extractors: Annotated[dict[Name, dict[str, Any]], AfterValidator(_with_defaults)]
    """Edge extractors with their parameters, in the order of the tables: files of sa_sr/edges/."""
    models: Models
    """What is trained and how."""
    evaluation: Evaluation = Evaluation()
    """What is measured."""
    tables: Annotated[dict[Name, Table], AfterValidator(_the_papers_first)] = {}
    """The tables, by file name."""
    figures: Figures = Figures()
    """The figures; training curves and the perception-distortion plane are drawn besides."""
    sweeps: Annotated[dict[Name, Sweep], AfterValidator(by_number)] = {}
    """Curves over a parameter, by file name."""

    def model(self, name: str) -> "Esrgan | VsrResFeatGan":
        """The section of one model."""
        return getattr(self.models, name)

    @cached_property
    def chosen_models(self) -> "dict[str, Esrgan | VsrResFeatGan]":
        """The models that the configuration has, by name."""
        return {name: self.model(name) for name in Models.model_fields if self.model(name) is not None}

    @cached_property
    def runs(self) -> list[Run]:
        """Every training of this experiment: those of the extractors in the order of the tables, then the sweeps'."""
        swept = {m: [name for name in self.variants[m] if name not in self.extractors] for m in self.chosen_models}
        names = [(m, e) for m in self.chosen_models for e in self.extractors]
        names += [(m, variant) for m in self.chosen_models for variant in swept[m]]
        return [Run(*pair, s) for pair in names for s in self.seeds]

    @cached_property
    def variants(self) -> dict[str, dict[str, Variant]]:
        """For each model, its extractors and what the sweeps make of them, by name."""
        return {model: variants(self, model) for model in self.chosen_models}

    def variant(self, run: Run) -> Variant:
        """What a run is trained with."""
        return self.variants[run.model][run.extractor]

    @cached_property
    def edges(self) -> dict[str, Variant]:
        """Whatever has edge maps of its own, by the name of its files; which model's beta2 it has does not matter."""
        return {v.name: v for several in self.variants.values() for v in several.values() if v.name == v.edges}

    def test_sets(self, run: Run) -> list[str]:
        """What a run is tested on: all test sets of its model, or those of the sweeps that it is trained for."""
        every = self.model(run.model).test_sets
        if run.extractor in self.extractors:
            return every
        sweeps = [sweep for sweep in self.sweeps.values() if sweep.model == run.model]
        wanted = {sweep.dataset for sweep in sweeps if run.extractor in dict(points(self, sweep))}
        return [name for name in every if name in wanted]

    @cached_property
    def tested(self) -> dict[str, list[str]]:
        """The methods that are tested on each data set: bicubic, and the runs."""
        names = dict.fromkeys(name for model in self.chosen_models.values() for name in model.test_sets)
        return {name: ["bicubic", *(run.name for run in self.runs if name in self.test_sets(run))] for name in names}

    def pretrain_spec(self, model: str, seed: int) -> PretrainSpec:
        """What may change the initial generator of a model."""
        m = self.model(model)
        return PretrainSpec(optimise=m.pretrain, **self._common(m, model, seed), name=f"{model}-s{seed}")

    def train_spec(self, run: Run) -> TrainSpec:
        """What may change the result of a run."""
        m, variant = self.model(run.model), self.variant(run)
        return TrainSpec(
            **self._common(m, run.model, run.seed),
            name=run.name,
            optimise=m.train,
            extractor=variant.extractor,
            extractor_params=variant.parameters,
            discriminator=m.discriminator.model_dump(mode="json"),
            layer=m.features.layer,
            feature_scale=m.features.scale,
            terms=LossTerms(**m.loss.model_dump(include=set(LossTerms.model_fields))),
            beta2=variant.beta2,
        )

    def calibrate_spec(self, run: Run) -> CalibrateSpec:
        """What may change the measured share of a run: nothing of how long it trains."""
        loss, spec = self.model(run.model).loss, self.train_spec(run).model_dump()
        spec["optimise"] = {"steps": 0, "val_every": 1, "batch": spec["optimise"]["batch"]}
        del spec["terms"]["order"]
        share = loss.share if spec["beta2"] == "auto" else None
        return CalibrateSpec(**spec, share=share, batches=loss.calibration_batches)

    @property
    def calibrated(self) -> list[Run]:
        """The runs which have a spatially adaptive part."""
        return [run for run in self.runs if run.extractor != "none"]

    def is_auto(self, run: Run) -> bool:
        """Whether beta2 of a run comes from its calibration."""
        return self.train_spec(run).beta2 == "auto"

    def table_spec(self, name: str) -> dict[str, Any]:
        """What a table shows: its section, the rows in the order of `extractors`, and what its data set holds."""
        table = self.tables[name].model_dump(mode="json")
        dataset = self.datasets[table["dataset"]]
        strides = {getattr(source, "stride", 1) for source in dataset.sources}
        return {
            "name": name,
            "dataset_label": table.pop("label"),
            "extractors": list(self.extractors),
            "kind": dataset.kind,
            "strides": sorted(strides),
            "ssim": self.evaluation.ssim,
            "lpips": self.evaluation.lpips.model_dump(mode="json"),
            **table,
        }

    def sweep_spec(self, name: str) -> dict[str, Any]:
        """What the figure of a sweep shows: its section, with the variants that its points are."""
        sweep = self.sweeps[name]
        return sweep.model_dump(mode="json", exclude={"values"}) | {
            "extractors": list(self.extractors),
            "points": points(self, sweep),
        }

    def plane_spec(self) -> dict[str, Any]:
        """What the perception-distortion plane shows: a panel for each model and data set of a table or a sweep.

        A pair is shown as the first of them measures it.
        """
        panels = {}
        for one in [*self.tables.values(), *self.sweeps.values()]:
            how = one.model_dump(include={"model", "dataset", "space", "border", "subset"})
            panels.setdefault((one.model, one.dataset), how | {"lines": []})
        for sweep in self.sweeps.values():
            panels[sweep.model, sweep.dataset]["lines"].append([variant for variant, _ in points(self, sweep)])
        return {"extractors": list(self.extractors), "panels": list(panels.values())}

    def page_spec(self) -> dict[str, Any]:
        """What the results page says that no file of its inputs does."""

        def told(figure: EdgeMaps) -> dict[str, Any]:
            frame = {"frame"} if self.datasets[figure.dataset].kind == "clips" else set()
            return figure.model_dump(include={"dataset", "item", "model"} | frame)

        mapped = [name for name in self.extractors if name != "none"]
        return {
            "name": self.name,
            "seeds": self.seeds,
            "tables": {name: {"dataset": t.dataset, "label": t.label} for name, t in self.tables.items()},
            "extractors": mapped,
            "parameters": {name: self.extractors[name] for name in mapped},
            "figures": {
                "edge_maps": {name: told(figure) for name, figure in self.figures.edge_maps.items()},
                "comparisons": {name: told(figure) for name, figure in self.figures.comparisons.items()},
            },
            "sweeps": {
                name: sweep.model_dump(include={"model", "extractor", "key", "dataset"})
                for name, sweep in self.sweeps.items()
            },
            "space": self.evaluation.spaces[0],
            "border": self.evaluation.borders[0],
            "lpips": self.evaluation.lpips.model_dump(mode="json"),
        }

    def _common(self, m: "Esrgan | VsrResFeatGan", model: str, seed: int) -> dict[str, Any]:
        return {
            "model": model,
            "seed": seed,
            "precision": self.precision,
            "patch": m.patch,
            "val_share": m.val_share if m.val_split == "patch" else 0.0,
            "min_variance": m.min_variance,
            "generator": m.generator.model_dump(mode="json"),
        }

    def asset(self, name: str) -> Asset:
        """One asset by name; the configuration's own come before the built-in ones."""
        return self.assets.get(name) or known()[name]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := list(problems(self)):
            raise PydanticCustomError("inconsistent", "{problems}", {"problems": "\n  ".join(found)})
        return self


def load(values: dict[str, Any], where: str = "configuration") -> Config:
    """Validate parsed YAML.

    values: the mapping; where: the file's name for the message. Raises UserError with one line for each mistake, led by
    the path of its key; long lines and long lists are cut.
    """
    return check(Config, values, where)
