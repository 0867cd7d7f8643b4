"""The command line: one command for each verb, which reads its arguments and calls the library function of that name.

Everything heavy is imported inside the commands, so that `sa-sr --help` and the cheap stages start at once.
"""

import json
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from sa_sr.errors import UserError
from sa_sr.rank import end
from sa_sr.records import Settings, Unrecorded, Writes
from sa_sr.stage import call_of, stage

app = typer.Typer(
    help="Spatially adaptive losses for GAN-based super-resolution (arXiv 2403.10589).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
figure = typer.Typer(help="Draw a figure.", no_args_is_help=True)
app.add_typer(figure, name="figure")


def _version(wanted: bool) -> None:
    if wanted:
        from sa_sr import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command; a UserError becomes one line on standard error and in the log, and exit status 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("sa_sr").setLevel(logging.INFO)
    try:
        app()
    except (UserError, OSError) as e:
        logging.error("sa-sr: error: %s", e)
        end(1)
    except Exception:
        logging.exception("sa-sr: this should not have happened")
        end(70)


def _settings(kind: Any, text: str | bytes, where: str) -> Any:
    """JSON as settings of some type; where: the option or file that has them, for the message of a UserError."""
    from sa_sr.config.reading import parse

    return parse(kind, text, where)


Out = Annotated[Path, typer.Option("--out", help="File to write."), Writes()]
Picture = Annotated[Path, typer.Option("--out", help="PNG to write, and a PDF beside it."), Writes(".pdf")]
Csv = Annotated[Path, typer.Option(help="CSV to write."), Writes()]
Markdown = Annotated[Path, typer.Option(help="Markdown to write."), Writes()]
Tex = Annotated[Path, typer.Option(help="LaTeX to write."), Writes()]
Html = Annotated[Path, typer.Option(help="HTML to write."), Writes()]
ReportHtml = Annotated[Path | None, typer.Option(help="HTML to write, for the report; default: none."), Writes()]
History = Annotated[Path, typer.Option(help="CSV of the loss terms to write, history.csv."), Writes()]
Validations = Annotated[Path, typer.Option(help="CSV of the validations to write, val.csv."), Writes()]
Json = Annotated[str, Settings()]
TableJson = Annotated[Json, typer.Option(help="What the table shows: TableSpec (sa_sr/render/spec.py) as JSON.")]
Data = Annotated[Path, typer.Argument(help="Data file of `prepare` (HDF5).")]
TrainingData = Annotated[Path, typer.Option(help="Data file of `prepare` to train on (HDF5).")]
ValidationData = Annotated[Path, typer.Option(help="Data file of `prepare` to validate on (HDF5).")]
Maps = Annotated[Path, typer.Option(help="Edge maps of the data to train on (HDF5).")]
ValidationMaps = Annotated[Path, typer.Option(help="Edge maps of the data to validate on (HDF5).")]
Weights = Annotated[
    Path | None, typer.Option(help="Edge maps of the data to train on (HDF5); not needed with `edge_scope: crop`.")
]
ValidationWeights = Annotated[
    Path | None, typer.Option(help="Edge maps of the data to validate on (HDF5); not needed with `edge_scope: crop`.")
]
Generator = Annotated[Path, typer.Option(help="Pretrained generator.")]
Features = Annotated[Path, typer.Option(help="VGG19 weights.")]
RunJson = Annotated[Path, typer.Argument(help="run.json of `resolve`: the settings of the training.")]
Frames = Annotated[Path, typer.Argument(help="frames.csv of `aggregate`.")]
Means = Annotated[Path, typer.Argument(help="means.csv of `aggregate`.")]
Differences = Annotated[Path, typer.Argument(help="differences.csv of `statistics`.")]
Item = Annotated[str, typer.Option(help="Name of the photo or clip in the data file.")]
Frame = Annotated[int, typer.Option(help="Frame of a clip, from 0.")]
Assets = Annotated[Path, typer.Option(help="Folder of the downloaded assets."), Unrecorded()]
State = Annotated[Path, typer.Option(help="Folder for the training state."), Unrecorded()]
Workers = Annotated[
    int | None, typer.Option(min=0, help="Processes that load patches; default: none without a GPU."), Unrecorded()
]
SaveSeconds = Annotated[float, typer.Option(min=0, help="Seconds between saves of the training state."), Unrecorded()]
Devices = Annotated[
    int, typer.Option(min=0, help="GPUs, or without one processes on the CPU; 0: the CPU alone."), Unrecorded()
]
Threads = Annotated[
    int, typer.Option(min=1, help="Threads that compute on a CPU, or load patches for a GPU."), Unrecorded()
]


@stage(app)
def download(
    name: Annotated[str, typer.Argument(help="Name of the asset.")],
    out: Out,
    spec: Annotated[Json, typer.Option(help="What the asset is, as in the section `assets`, as JSON.")] = "",
    sha256: Annotated[str, typer.Option(help="The checksum that it has to have, if not that of its description.")] = "",
) -> None:
    """Fetch one asset and check its SHA-256. Without --spec it is one of the built-in assets."""
    from sa_sr.data import assets, fetch

    asset = _settings(assets.Asset, spec, "--spec") if spec else assets.find(name)
    fetch.download(name, asset.model_copy(update={"sha256": sha256}) if sha256 else asset, out)


def _sources(spec: str, assets: Path, **_: Any) -> list[str]:
    from sa_sr.config import Dataset
    from sa_sr.data.presence import sources

    return sources(_settings(Dataset, spec, "--spec"), assets)


@stage(app, _sources)
def prepare(
    spec: Annotated[Json, typer.Option(help="The data set, as in the section `datasets`, as JSON.")],
    assets: Assets,
    out: Out,
) -> None:
    """Make the HR, LR and bicubic frames of one data set."""
    from sa_sr.config import Dataset
    from sa_sr.data.prepare import prepare

    prepare(_settings(Dataset, spec, "--spec"), assets, out)


@stage(app)
def extract_edges(
    data: Data,
    extractor: Annotated[str, typer.Option(help="File of sa_sr/edges/ without .py, or package.module:function.")],
    out: Out,
    params: Annotated[Json, typer.Option(help="Its parameters, as in the section `extractors`, as JSON.")] = "{}",
) -> None:
    """Make the edge maps W of one data file."""
    from sa_sr.edges import extract_edges

    extract_edges(data, out, extractor, _settings(dict[str, Any], params, "--params"))


@stage(app)
def calibrate(
    spec: Annotated[Json, typer.Option(help="CalibrateSpec of the run (sa_sr/config/runs.py) as JSON.")],
    data: TrainingData,
    init: Generator,
    features: Features,
    out: Out,
    weights: Weights = None,
    threads: Threads = 2,
) -> None:
    """Measure the share of the spatially adaptive part in the loss of one run, and find the beta2 of a share."""
    from sa_sr.config import CalibrateSpec
    from sa_sr.training.calibrate import calibrate

    calibrate(_settings(CalibrateSpec, spec, "--spec"), data, weights, init, features, out, threads)


@stage(app)
def resolve(
    spec: Annotated[Json, typer.Option(help="TrainSpec or PretrainSpec (sa_sr/config/runs.py) as JSON.")],
    out: Out,
    calibration: Annotated[Path | None, typer.Option(help="Where `beta2: auto` is resolved.")] = None,
) -> None:
    """Write the settings of one training as run.json, with sorted keys."""
    from sa_sr.files import write_text
    from sa_sr.training.resolve import resolve

    settings = resolve(_settings(dict[str, Any], spec, "--spec"), calibration)
    write_text(out, json.dumps(settings, indent=2, sort_keys=True) + "\n")


@stage(app)
def pretrain(
    run: RunJson,
    data: TrainingData,
    weights: Maps,
    val_data: ValidationData,
    val_weights: ValidationMaps,
    state: State,
    out: Out,
    history: History,
    val: Validations,
    init: Annotated[Path | None, typer.Option(help="Weights to start from instead of the network's own.")] = None,
    devices: Devices = 1,
    threads: Threads = 2,
    workers: Workers = None,
    save_seconds: SaveSeconds = 300,
) -> None:
    """Train the generator of one model by its pixel loss alone, resuming where an earlier process stopped."""
    from sa_sr.config import PretrainSpec
    from sa_sr.training.trainer import Files, Machine, pretrain

    files = Files(data, weights, val_data, val_weights, init, None, state, out, history, val)
    machine = Machine(devices=devices, threads=threads, workers=workers, save_seconds=save_seconds)
    pretrain(_settings(PretrainSpec, run.read_bytes(), str(run)), files, machine)


@stage(app)
def train(
    run: RunJson,
    data: TrainingData,
    val_data: ValidationData,
    init: Generator,
    features: Features,
    state: State,
    out: Out,
    history: History,
    val: Validations,
    weights: Weights = None,
    val_weights: ValidationWeights = None,
    devices: Devices = 1,
    threads: Threads = 2,
    workers: Workers = None,
    save_seconds: SaveSeconds = 300,
) -> None:
    """Train one run as a GAN, resuming where an earlier process stopped."""
    from sa_sr.config import TrainSpec
    from sa_sr.training.trainer import Files, Machine, train

    files = Files(data, weights, val_data, val_weights, init, features, state, out, history, val)
    machine = Machine(devices=devices, threads=threads, workers=workers, save_seconds=save_seconds)
    train(_settings(TrainSpec, run.read_bytes(), str(run)), files, machine)


@stage(app)
def bicubic(data: Data, out: Out) -> None:
    """Enlarge every LR frame of a data file by MATLAB's bicubic imresize."""
    from sa_sr.data.bicubic import bicubic

    bicubic(data, out)


@stage(app)
def super_resolve(
    data: Data,
    model: Annotated[Path, typer.Option(help="Generator weights.")],
    recipe: Annotated[str, typer.Option(help="esrgan or vsrresfeatgan.")],
    out: Out,
    threads: Threads = 2,
    tile: Annotated[int, typer.Option(min=0, help="Side of LR tiles, 0 for whole frames.")] = 0,
) -> None:
    """Super-resolve every frame of a data file."""
    from sa_sr.inference import super_resolve

    super_resolve(data, model, recipe, out, threads, tile)


@app.command()
def upscale(
    image: Annotated[Path, typer.Argument(help="PNG, JPEG or another file that Pillow reads.")],
    out: Out,
    model: Annotated[Path, typer.Option(help="Weights of an image generator (.safetensors, .pth or RealSR .bin).")],
    tile: Annotated[int, typer.Option(min=0, help="Side of LR tiles, 0 for the whole image.")] = 192,
) -> None:
    """Enlarge one image of your own by 4."""
    from PIL import Image

    from sa_sr.data.images import read_image
    from sa_sr.files import atomic_path
    from sa_sr.inference import upscale
    from sa_sr.models.generators import load

    if not image.is_file():
        raise UserError(f"{image}: no such file")
    if out.suffix.lower() != ".png":
        raise UserError(f"{out}: the result is a PNG; give a name that ends in .png")
    network = load(model)
    if type(network).__name__ == "VSRResNet":
        raise UserError(f"{model}: a video network, which takes five frames; give the weights of an image network")
    result = Image.fromarray(upscale(network, read_image(image), tile, model))
    with atomic_path(out) as temporary:
        result.save(temporary, format="PNG")


@stage(app)
def evaluate(
    sr: Annotated[Path, typer.Argument(help="Pictures of `bicubic` or `super-resolve` (HDF5).")],
    data: Data,
    method: Annotated[str, typer.Option(help="bicubic or the name of a run.")],
    protocol: Annotated[Json, typer.Option(help="What is measured: the section `evaluation` as JSON.")],
    lpips: Annotated[Path, typer.Option(help="Weights of the LPIPS network.")],
    out: Out,
    threads: Threads = 1,
) -> None:
    """Measure every frame: PSNR, SSIM, LPIPS, their regions, edges, noise, colour, and how a clip's frames follow."""
    from sa_sr.config import Evaluation, Run
    from sa_sr.evaluation.protocol import evaluate

    measured = _settings(Evaluation, protocol, "--protocol")
    run = {"model": "bicubic", "extractor": "", "seed": ""} if method == "bicubic" else vars(Run.parse(method))
    evaluate(sr, data, out, measured, method=method, dataset=data.stem, lpips_weights=lpips, threads=threads, **run)


@stage(app)
def aggregate(
    csvs: Annotated[list[Path], typer.Argument(help="CSVs of `evaluate`.")],
    frames: Annotated[Path, typer.Option(help="CSV of all measurements to write."), Writes()],
    clips: Annotated[Path, typer.Option(help="CSV of the means of each photo or clip to write."), Writes()],
    means: Annotated[Path, typer.Option(help="CSV of the means of each data set to write."), Writes()],
    parquet: Annotated[Path, typer.Option(help="Parquet of all measurements to write."), Writes()],
) -> None:
    """Join all measurements, and average them over the frames of each clip, then over the clips of each data set."""
    from sa_sr.evaluation.aggregate import aggregate

    aggregate(csvs, frames, clips, means, parquet)


@stage(app)
def statistics(frames: Frames, out: Out) -> None:
    """Compare every variant with the baseline: differences, their 95 % intervals, and which are beyond noise."""
    from sa_sr.evaluation.statistics import statistics

    statistics(frames, out)


@stage(app)
def table(
    means: Means,
    differences: Differences,
    spec: TableJson,
    csv: Csv,
    md: Markdown,
    tex: Tex,
    html: ReportHtml = None,
) -> None:
    """Write one of the paper's tables as CSV, Markdown, LaTeX and, for the report, HTML."""
    from sa_sr.render.spec import TableSpec
    from sa_sr.render.tables import table

    table(means, differences, csv, md, tex, _settings(TableSpec, spec, "--spec"), html)


@stage(app)
def details(
    means: Means,
    differences: Differences,
    spec: TableJson,
    md: Markdown,
    tex: Tex,
    html: ReportHtml = None,
) -> None:
    """Write the second table beside one of the paper's: where in the image the methods differ, and over time."""
    from sa_sr.render.details import details
    from sa_sr.render.spec import TableSpec

    details(means, differences, md, tex, _settings(TableSpec, spec, "--spec"), html)


@stage(app)
def claims(
    differences: Differences,
    shares: Annotated[Path | None, typer.Argument(help="shares.csv, where there is one.")] = None,
    *,
    claims: Annotated[Json, typer.Option(help="Key `claims` of config/claims.yaml as JSON.")],
    tables: Annotated[Json, typer.Option(help="Section `tables` as JSON.")],
    extractors: Annotated[Json, typer.Option(help="Names in the section `extractors`, as a list in JSON.")],
    csv: Csv,
    md: Markdown,
    html: Html,
) -> None:
    """Judge the paper's claims by what was measured."""
    from sa_sr.config import Table
    from sa_sr.config.claims import Claim
    from sa_sr.render.claims import claims as judge

    wanted = _settings(dict[str, Claim], claims, "--claims")
    rows = _settings(dict[str, Table], tables, "--tables")
    columns = _settings(list[str], extractors, "--extractors")
    judge(differences, shares, wanted, rows, columns, csv, md, html)


def _label(method: str) -> str:
    """The name in print of bicubic or of a run."""
    from sa_sr.config import Run
    from sa_sr.render.labels import label

    run = Run.parse(method) if method != "bicubic" else None
    return label(run.model, run.extractor) if run else label("bicubic")


@stage(figure)
def edge_maps(
    data: Data,
    edges: Annotated[list[Path], typer.Argument(help="Edge maps <extractor>.h5, in the order of the panels.")],
    item: Item,
    out: Picture,
    frame: Frame = 0,
) -> None:
    """Figure 1: a gray image and its edge maps."""
    from sa_sr.render.figures import figure_edge_maps
    from sa_sr.render.labels import extractor_label

    figure_edge_maps(data, {extractor_label(path.stem): path for path in edges}, item, frame, out)


def _window(crop: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = map(int, crop.split(","))
    except ValueError as e:
        raise typer.BadParameter(f"x,y,width,height are four whole numbers, not {crop!r}", param_hint="--crop") from e
    return x, y, width, height


@stage(figure)
def comparison(
    data: Data,
    images: Annotated[list[Path], typer.Argument(help="Super-resolved images, in the order of the panels.")],
    item: Item,
    out: Picture,
    frame: Frame = 0,
    crop: Annotated[str, typer.Option(help="x,y,width,height in HR pixels; empty: the most telling window.")] = "",
    scores: Annotated[Path | None, typer.Option(help="frames.csv of `aggregate`, to print scores.")] = None,
    space: Annotated[str, typer.Option(help="Channels of the printed PSNR: rgb or y.")] = "rgb",
    border: Annotated[int, typer.Option(help="Pixels cut off at each side before it.")] = 4,
) -> None:
    """Figures 8-10: ground truth and results with a magnified window."""
    from sa_sr.render.figures import figure_comparison

    window = _window(crop) if crop else None
    panels = {_label(path.parent.name): path for path in images}
    figure_comparison(data, panels, item, frame, out, window, scores, space, border)


@stage(figure)
def curves(
    files: Annotated[list[Path], typer.Argument(help="history.csv and val.csv of the runs of one model.")], out: Picture
) -> None:
    """Training curves of the runs of one model."""
    from sa_sr.render.curves import figure_curves

    def named(kind: str) -> dict[str, Path]:
        return {_label(path.parent.name): path for path in files if path.name == kind}

    figure_curves(named("history.csv"), named("val.csv"), out)


@stage(figure)
def sweep(
    differences: Differences,
    shares: Annotated[Path, typer.Option(help="shares.csv, for the share and beta2 of each run.")],
    spec: Annotated[Json, typer.Option(help="What it shows: SweepSpec (sa_sr/render/sweep.py) as JSON.")],
    out: Picture,
) -> None:
    """Metrics over the values of one parameter."""
    from sa_sr.render.sweep import SweepSpec, figure_sweep

    figure_sweep(differences, shares, _settings(SweepSpec, spec, "--spec"), out)


@stage(figure)
def plane(
    means: Means,
    spec: Annotated[Json, typer.Option(help="What it shows: PlaneSpec (sa_sr/render/plane.py) as JSON.")],
    out: Picture,
) -> None:
    """The perception-distortion plane: LPIPS over PSNR of every method."""
    from sa_sr.render.plane import PlaneSpec, figure_plane

    figure_plane(means, _settings(PlaneSpec, spec, "--spec"), out)


@stage(app)
def shares(
    files: Annotated[list[Path], typer.Argument(help="calibration.json, run.json and history.csv of every run.")],
    csv: Csv,
    md: Markdown,
    html: Html,
) -> None:
    """Tabulate beta2 and the share of the spatially adaptive part, measured at the start and over the training."""
    from sa_sr.render.shares import shares

    shares([path for path in files if path.name == "calibration.json"], csv, md, html)


@stage(app)
def health(
    histories: Annotated[list[Path], typer.Argument(help="history.csv of runs and pretrainings.")],
    csv: Csv,
    md: Markdown,
    html: Html,
) -> None:
    """Tabulate how each training went: discriminator, gradients, range of the output, and what was wrong."""
    from sa_sr.render.health import health

    health(histories, csv, md, html)


@stage(app)
def results_page(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Tables (.html), figures (.png), data/, images/, run.json and the files to link, in order."
        ),
    ],
    frames: Annotated[Path, typer.Option(help="frames.csv of `aggregate`.")],
    spec: Annotated[Json, typer.Option(help="What files do not say: PageSpec (sa_sr/page/results.py) as JSON.")],
    out: Out,
) -> None:
    """Write all results as one HTML file: tables, pictures to compare, figures, settings, provenance."""
    from sa_sr.page.results import Files, PageSpec, results_page

    kinds: dict[str, list[Path]] = {kind: [] for kind in ("tables", "figures", "data", "images", "runs", "links")}
    for path in files:
        h5 = "data" if path.parent.name == "data" else "images"
        kinds[{".html": "tables", ".png": "figures", ".json": "runs", ".h5": h5}.get(path.suffix, "links")].append(path)
    results_page(Files(frames=frames, **kinds), _settings(PageSpec, spec, "--spec"), out)


@app.command()
def check(
    config: Annotated[Path, typer.Argument(help="YAML file of an experiment, e.g. config/paper.yaml.")],
    measure: Annotated[bool, typer.Option("--measure", help="Time training steps even without a GPU.")] = False,
) -> None:
    """Check an experiment before it costs anything: networks, data, disk, jobs, hours; exit status 0 if it can run."""
    from sa_sr.check import check
    from sa_sr.check.part import verdict
    from sa_sr.config.reading import read

    logging.getLogger("sa_sr").setLevel(logging.WARNING)  # where each measurement runs is said in the table
    parts = []
    for part in check(read(config), str(config), measure):
        parts.append(part)
        print(part, flush=True, end="\n\n")
    print(verdict(parts))
    if any(part.problems for part in parts):
        raise typer.Exit(1)


@app.command()
def why(
    target: Annotated[str, typer.Argument(help="A file in results/; without one, all of the configuration.")] = "",
    configfile: Annotated[Path | None, typer.Option(help="YAML file; default: that of the target's folder.")] = None,
    snakefile: Annotated[Path, typer.Option(help="The workflow.")] = Path("Snakefile"),
) -> None:
    """Say which keys, files and modules have changed since a file was made, and what has to be made anew."""
    from sa_sr.why import why

    for line in why(os.path.relpath(target) if target else None, configfile, snakefile, partial(call_of, app)):
        print(line)


@app.command()
def gpus() -> None:
    """List the GPUs that can be seen here, one on each line, and who holds them."""
    from sa_sr.gpus import listing

    for line in listing():
        print(line)


@app.command()
def summary(results: Annotated[Path, typer.Argument(help="Folder of the experiment, e.g. results/demo.")]) -> None:
    """Print the tables of a finished experiment, and where its pages are."""
    others = {"shares", "claims", "health"}
    tables = sorted(path for path in results.glob("tables/*.md") if path.with_suffix(".csv").exists())
    tables = [path for path in tables if path.stem not in others]
    if not tables:
        raise UserError(f"{results}: no tables here; run snakemake first")
    for path in [*tables, *results.glob("tables/shares.md"), *results.glob("tables/claims.md")]:
        print(path.read_text(encoding="utf-8"))
    for path in results.glob("tables/health.csv"):
        from sa_sr.render.health import unhealthy

        for line in unhealthy(path):
            print(f"health:  {line}")
    print(f"figures: {results / 'figures'}\nreport:  {results / 'report.html'}\nresults: {results / 'index.html'}")


@app.command()
def unlock(folder: Annotated[Path, typer.Argument(help="Folder in which Snakemake was started.")] = Path()) -> None:
    """Remove the lock that a killed Snakemake left in a folder; one that lives is respected."""
    from sa_sr.unlock import unlock

    unlock(folder.resolve())


@app.command()
def config_docs(folder: Annotated[Path, typer.Argument(help="Folder to write them into.")] = Path("config")) -> None:
    """Write the reference of the configuration, config/README.md and config/schema.json."""
    from sa_sr.config_docs import write_docs

    write_docs(folder)
