"""Stage `details`: where in the image the methods of a table differ, and how steady they are over time.

The rows are the table's; the columns are PSNR and LPIPS on edges, texture and flat areas, F1 of edges,
noise, colour and, of clips, what changes from frame to frame. What was not measured is left out. The numbers are also
in the CSV of the table.
"""

from pathlib import Path
from typing import NamedTuple

from sa_sr.evaluation import WHOLE
from sa_sr.render.differences import of_table, read_differences, remark_on, signed
from sa_sr.render.grid import Cell, Grid, Group, write
from sa_sr.render.labels import METRICS, REGIONS, SPACES, label
from sa_sr.render.spec import TableSpec, belongs
from sa_sr.render.tables import sample, summarise

TIME = "Over time"
Place = tuple[str, str]
"""Metric and region."""


class Columns(NamedTuple):
    """Neighbouring columns by their names, and in words how they are measured."""

    heading: str
    places: dict[str, Place]
    how: str
    prefix: str = ""


def details(means: Path, differences: Path, md: Path, tex: Path, spec: TableSpec, html: Path | None = None) -> None:
    """Write the second table beside one of the paper's.

    means: means.csv of `aggregate`; differences: differences.csv of `statistics`; md, tex, html: files to write; spec:
    of the table whose rows are shown. Raises UserError as `table` does.
    """
    compared = of_table(read_differences(differences), spec)
    entries = summarise(means, compared, spec)
    values = {(e.extractor, (e.metric, e.region)): e.value for e in entries if belongs(e.quantity, spec)}
    found = {(extractor, (q.metric, q.region)): d for (extractor, q), d in compared.items() if belongs(q, spec)}
    measured = {place for _, place in values}

    def cell(extractor: str, place: Place) -> Cell:
        value, difference = values.get((extractor, place)), found.get((extractor, place))
        decimals = METRICS[place[0]].decimals
        small = (
            f"({signed(difference.difference, decimals)}{difference.mark})"
            if difference and difference.difference is not None
            else ""
        )
        return Cell("" if value is None else f"{value:.{decimals}f}", small=small)

    groups, how, shown = [], [], []
    for columns in _columns(spec):
        places = {name: place for name, place in columns.places.items() if place in measured}
        if places:
            rows = [[cell(extractor, place) for place in places.values()] for extractor in spec.rows]
            groups.append(Group(columns.heading, list(places), rows, prefix=columns.prefix))
            how.append(columns.how)
            shown += [d for (_, place), d in found.items() if place in places.values()]
    remark = f"In brackets: difference to {label(spec.model)}{remark_on(shown, brackets=False)}" if shown else ""
    where = "where in the image" + (", and over time" if groups and groups[-1].heading == TIME else "")
    title = f"{label(spec.model)}: {where}. Data: {spec.dataset_label}"
    above = f"{'; '.join(how)}. {sample([e for e in entries if belongs(e.quantity, spec)], spec, spread=False)}"
    number = f"{spec.number}, details" if spec.number else ""
    write(Grid(f"{spec.name}_details", number, title, above, spec.methods, groups, remark), md, tex, html)


def _columns(spec: TableSpec) -> list[Columns]:
    def by_region(metric: str) -> dict[str, Place]:
        return {f"{region} {METRICS[metric].arrow}": (metric, region) for region in REGIONS if region != WHOLE}

    def named(**places: str) -> dict[str, Place]:
        """Column by metric; noise is that of flat areas."""
        return {f"{n} {METRICS[m].arrow}".rstrip(): (m, "flat" if m == "noise" else WHOLE) for m, n in places.items()}

    return [
        Columns(
            "PSNR",
            by_region("psnr"),
            f"PSNR (dB) on {SPACES[spec.space]} by regions of the ground truth, {spec.border} pixels cut off",
            "PSNR ",
        ),
        Columns("LPIPS", by_region("lpips"), "LPIPS: mean of its map there", "LPIPS "),
        Columns(
            "Edges, noise, colour",
            named(edge_f1="edge F1", noise="noise", colour_shift="colour"),
            "edge F1: of edges, found and not invented; noise (high-frequency error in flat areas) and shift of "
            "colour: in gray levels",
        ),
        Columns(
            TIME,
            named(warp="warp", tof="tOF", tlpips="tLPIPS"),
            "from each frame to the next, warping error (gray levels), tOF (pixels) and tLPIPS",
        ),
    ]
