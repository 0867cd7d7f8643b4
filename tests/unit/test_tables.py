"""Tables: values, differences, bold and published numbers, in every format."""

import csv
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
import yaml

from sa_sr.config import load
from sa_sr.config.results import LpipsChoice
from sa_sr.errors import UserError
from sa_sr.render.details import details
from sa_sr.render.differences import Difference, of_table, read_differences, remark_on, signed
from sa_sr.render.grid import escape
from sa_sr.render.labels import LPIPS_NETS, extractor_label, label
from sa_sr.render.published import PUBLISHED
from sa_sr.render.spec import Quantity, TableSpec
from sa_sr.render.tables import summarise, table

ROOT = Path(__file__).parents[2]
SPEC = TableSpec(
    name="table2",
    model="esrgan",
    dataset="city_b",
    dataset_label="City scene B (stands in for Vid4)",
    space="rgb",
    border=4,
    published="table2",
)
SAME_DATA = SPEC.model_copy(update={"same_data": True})
# psnr, ssim, lpips: bicubic leads PSNR, lv the trained ones in PSNR and SSIM, canny in LPIPS
SCORES = {
    "bicubic": (30.0, 0.7, 0.4),
    "none": (25.0, 0.71, 0.2),
    "local_variance": (25.5, 0.72, 0.19),
    "canny": (25.25, 0.705, 0.18),
}


EXTRA = [
    *((metric, region, "rgb", 4) for metric in ("psnr", "ssim") for region in ("edge", "texture", "flat")),
    *(("lpips", region, "rgb", 0) for region in ("edge", "texture", "flat")),
    *(("edge_f1", "all", "y", 0), ("noise", "flat", "y", 0), ("colour_shift", "all", "rgb", 0)),
    *(("warp", "all", "rgb", 0), ("tof", "all", "y", 0), ("tlpips", "all", "rgb", 0)),
]
"""What is measured besides, one value for each method and no other."""


def write_means(path: Path, scores=SCORES, seeds=(1,), shift=0.0, n=2, extra=(), perfect=0) -> Path:
    """means.csv as `aggregate` writes it; other spaces, borders and subsets than the printed ones are off by a lot."""
    lines = ["method,model,extractor,seed,dataset,subset,metric,region,space,border,value,n,frames,perfect"]
    for place, (name, (psnr, ssim, lpips)) in enumerate(scores.items()):
        for seed in seeds if name != "bicubic" else [""]:
            run = "bicubic,bicubic,," if name == "bicubic" else f"esrgan-{name}-s{seed},esrgan,{name},{seed}"
            more = shift * seeds.index(seed) if seed else 0
            for subset, off in (("all", 0), ("interior", 5)):
                for space, border in product(("rgb", "y"), (4, 8)):
                    far = off + 10 * (space == "y") + border - 4
                    lines.append(
                        f"{run},city_b,{subset},psnr,all,{space},{border},{psnr + far + more},{n},{10 * n},{perfect}"
                    )
                    value = ssim + far / 100 + more
                    lines.append(f"{run},city_b,{subset},ssim,all,{space},{border},{value},{n},{10 * n},0")
                lines.append(f"{run},city_b,{subset},lpips,all,rgb,0,{lpips + off / 100 + more},{n},{10 * n},0")
                for metric, region, space, border in extra:
                    lines.append(
                        f"{run},city_b,{subset},{metric},{region},{space},{border},{1 + place + off},{n},{10 * n},0"
                    )
    path.write_text("\n".join([*lines, "bicubic,bicubic,,,elsewhere,all,psnr,all,rgb,4,1,1,1,0"]) + "\n")
    return path


def write_differences(
    means: Path, evidence: str = "images,2,1", verdict: str = "undecided", spread: float = 0.02
) -> Path:
    """differences.csv that goes with such a means.csv: each interval is its difference and `spread` of it around."""
    rows = list(csv.DictReader(means.read_text().splitlines()))
    values: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("model", "dataset", "subset", "metric", "region", "space", "border"))
        values.setdefault(key, {}).setdefault(row["extractor"], []).append(float(row["value"]))
    lines = [
        "model,extractor,dataset,subset,metric,region,space,border,value,baseline,difference,low,high,unit,units,seeds"
    ]
    lines[0] += ",p,p_holm,verdict"
    for (model, dataset, *quantity), by_extractor in values.items():
        mean = {extractor: sum(found) / len(found) for extractor, found in by_extractor.items()}
        for extractor in mean.keys() - {"", "none"}:
            baseline = mean.get("none", 0)
            d = mean[extractor] - baseline
            between = f"{d - spread},{d + spread}" if spread else ","
            where = f"{model},{extractor},{dataset},{','.join(quantity)}"
            lines.append(f"{where},{mean[extractor]},{baseline},{d},{between},{evidence},0.5,1,{verdict}")
    path = means.with_name("differences.csv")
    path.write_text("\n".join(lines) + "\n")
    return path


def render(
    folder: Path, spec: TableSpec = SPEC, evidence="images,2,1", verdict="undecided", spread=0.02, **means
) -> dict[str, str]:
    """The table in each format, and its details."""
    files = {kind: folder / f"{spec.name}.{kind}" for kind in ("csv", "md", "tex", "html")}
    inputs = (path := write_means(folder / "means.csv", **means)), write_differences(path, evidence, verdict, spread)
    table(*inputs, **files, spec=spec)
    more = {kind: folder / f"{spec.name}_details.{kind}" for kind in ("md", "tex", "html")}
    details(*inputs, **more, spec=spec)
    return {kind: path.read_text() for kind, path in files.items()} | {
        f"details.{kind}": path.read_text() for kind, path in more.items()
    }


def pipe_rows(markdown: str) -> list[list[str]]:
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in markdown.splitlines() if line.startswith("|")]
    return [rows[0], *rows[2:]]


def test_markdown_prints_the_right_cells_in_the_papers_order(tmp_path):
    header, *rows = pipe_rows(render(tmp_path)["md"])
    assert header == ["Method", "PSNR ↑", "SSIM ↑", "LPIPS ↓", "ΔPSNR", "ΔSSIM", "ΔLPIPS", "PSNR†", "SSIM†", "LPIPS†"]
    assert [" ".join(row) for row in rows] == [
        "Bicubic 30.00 0.7000 0.4000      ",
        "ESRGAN 25.00 0.7100 0.2000    21.53 0.6349 0.1022",
        "SA-ESRGAN (lv) **25.50** **0.7200** 0.1900 +0.50 [+0.48, +0.52] +0.0100 [−0.0100, +0.0300] "
        "−0.0100 [−0.0300, +0.0100] 22.14 0.6581 0.0953",
        "SA-ESRGAN (canny) 25.25 0.7050 **0.1800** +0.25 [+0.23, +0.27] −0.0050 [−0.0250, +0.0150] "
        "−0.0200 [−0.0400, 0.0000] 22.32 0.6674 0.0955",
    ]


def test_markdown_source_is_aligned(tmp_path):
    lines = [line for line in render(tmp_path)["md"].splitlines() if line.startswith("|")]
    assert len({tuple(i for i, c in enumerate(line) if c == "|") for line in lines}) == 1


def parts(rendered: dict[str, str]) -> dict[str, tuple[str, str]]:
    """What stands above and below the cells in each format, on one line and without LaTeX's escapes."""
    md = rendered["md"].split("\n\n")
    (caption,) = re.findall(r"\\caption\{(.+)\}\n", rendered["tex"])
    tex = caption, rendered["tex"].partition(r"\end{tabular}")[2]
    html = rendered["html"].partition("</style>")[2].split("table>")
    both = {"md": ("\n".join(md[:2]), md[3]), "tex": tex, "html": (html[0], html[-1])}
    return {kind: (" ".join(up.split()), " ".join(down.split())) for kind, (up, down) in both.items()}


def test_the_protocol_stands_above_the_cells_and_remarks_below(tmp_path):
    update = {"space": "y", "border": 8, "subset": "interior", "ssim": "uniform", "lpips": LpipsChoice(net="vgg")}
    for above, below in parts(render(tmp_path, SPEC.model_copy(update=update))).values():
        for fact in (
            "City scene B (stands in for Vid4)",
            "uniform window, sample covariance) on Y (luma), 8 pixels",
            "LPIPS (VGG16, v0.1) on RGB, whole frames",
            "20 frames (without the first and last two of a clip) of 2 clips, averaged over the frames of each clip",
            "one training seed",
        ):
            assert fact in above
            assert fact not in below
        for remark in ("Bold: best", "Table II of Wang et al., arXiv:2403.10589, on Vid4", "protocol not given"):
            assert remark in below
            assert remark not in above


def test_the_protocol_is_directly_under_the_heading_of_markdown(tmp_path):
    heading, empty, protocol, *_ = render(tmp_path)["md"].splitlines()
    assert heading.startswith("### Table II. ESRGAN with and without")
    assert empty == ""
    assert protocol.startswith("PSNR (dB) and SSIM (11 × 11 Gaussian window, σ = 1.5) on RGB, 4 pixels cut off")


@pytest.mark.parametrize(
    ("update", "means", "fact"),
    [
        (
            {},
            {},
            "20 frames of 2 clips, averaged over the frames of each clip, then over the clips; one training seed.",
        ),
        (
            {"strides": (4,)},
            {},
            "20 frames (every 4th) of 2 clips, averaged over the frames of each clip, then over the clips",
        ),
        ({"strides": (1, 2, 13)}, {"n": 1}, "Mean over 10 frames (every 1st or 2nd or 13th) of one clip"),
        ({}, {"n": 1}, "whole frames. Mean over 10 frames of one clip; one training seed."),
        (
            {"subset": "interior"},
            {"n": 1},
            "Mean over 10 frames (without the first and last two of a clip) of one clip",
        ),
        ({"kind": "images"}, {}, "whole images. Mean over 2 images; one training seed."),
        ({"kind": "images"}, {"n": 1}, "whole images. One image; one training seed."),
        ({}, {"seeds": (1, 2, 3)}, "; mean ± standard deviation over 3 training seeds."),
        ({"lpips": LpipsChoice(version="0.0")}, {}, "LPIPS (AlexNet, v0.0)"),
    ],
)
def test_the_header_states_what_was_averaged(tmp_path, update, means, fact):
    above, _ = parts(render(tmp_path, SPEC.model_copy(update=update), **means))["md"]
    assert fact in above


def test_methods_with_different_numbers_of_seeds_give_a_range(tmp_path):
    write_means(tmp_path / "means.csv", seeds=(1, 2))
    kept = [line for line in (tmp_path / "means.csv").read_text().splitlines() if "esrgan-canny-s2" not in line]
    (tmp_path / "means.csv").write_text("\n".join(kept) + "\n")
    inputs = tmp_path / "means.csv", write_differences(tmp_path / "means.csv")
    table(*inputs, *(tmp_path / f"t.{kind}" for kind in ("csv", "md", "tex")), SPEC)
    assert "over 1 to 2 training seeds" in " ".join((tmp_path / "t.md").read_text().split())


@pytest.mark.parametrize("dataset", ["city_b", "vid4"])
def test_a_caution_appears_exactly_where_the_data_are_not_the_same(tmp_path, dataset):
    """Whatever the data sets are called."""
    means = write_means(tmp_path / "means.csv")
    means.write_text(means.read_text().replace("city_b", dataset))
    for same in (False, True):
        spec = SPEC.model_copy(update={"dataset": dataset, "same_data": same})
        files = {kind: tmp_path / f"t.{kind}" for kind in ("csv", "md", "tex", "html")}
        table(means, write_differences(means), **files, spec=spec)
        for kind in ("md", "tex", "html"):
            assert ("on other data than ours" in " ".join(files[kind].read_text().split())) is not same


def test_on_the_papers_data_the_differences_to_it_are_printed(tmp_path):
    rendered = render(tmp_path, SAME_DATA)
    header, *rows = pipe_rows(rendered["md"])
    assert header[-3:] == ["PSNR†", "SSIM†", "LPIPS†"]
    assert [row[-3:] for row in rows] == [
        ["", "", ""],
        ["21.53 (+3.47)", "0.6349 (+0.0751)", "0.1022 (+0.0978)"],
        ["22.14 (+3.36)", "0.6581 (+0.0619)", "0.0953 (+0.0947)"],
        ["22.32 (+2.93)", "0.6674 (+0.0376)", "0.0955 (+0.0845)"],
    ]
    printed = ("md", "tex", "html")
    assert all("ours less it" in " ".join(rendered[kind].split()) for kind in printed)
    unpublished = SAME_DATA.model_copy(update={"published": None})
    for bare in (render(tmp_path), render(tmp_path, unpublished)):
        assert all("ours less" not in bare[kind] and "(+3.47)" not in bare[kind] for kind in printed)


@pytest.mark.parametrize(
    ("evidence", "verdict", "words"),
    [
        ("images,6,1", "better", "from 6 images. *: beyond noise; another training may come out otherwise."),
        ("clips,4,6", "worse", "from 6 seeds on these 4 clips. *: beyond noise."),
        ("clips,1,6", "better", "from 6 seeds on one clip. *: beyond noise."),
        ("images,7,1", "undecided", "from 7 images. None is beyond noise."),
        (
            "clips,4,1",
            "undecided",
            "from 4 clips. None is marked as beyond noise: that takes 6 images, clips or",
        ),
        (
            "frames,16,1",
            "undecided",
            "from 16 frames of one clip, in blocks. None is marked as beyond noise: that",
        ),
    ],
)
def test_what_is_beyond_noise_is_marked_and_what_it_rests_on_is_said(tmp_path, evidence, verdict, words):
    rendered = render(tmp_path, evidence=evidence, verdict=verdict, extra=EXTRA)
    mark = "*" if verdict != "undecided" else ""
    assert pipe_rows(rendered["md"])[3][4] == f"+0.50{mark} [+0.48, +0.52]"
    assert pipe_rows(rendered["details.md"])[3][1] == f"3.00 (+1.00{mark})"
    assert (r"+0.50\rlap{$^{*}$}" in rendered["tex"]) == bool(mark)
    assert f"+0.50{mark}<br><small>[+0.48, +0.52]</small>" in rendered["html"]
    for kind in ("md", "tex", "html", "details.md", "details.tex", "details.html"):
        assert words in " ".join(rendered[kind].split())


def test_one_image_of_one_training_has_no_interval(tmp_path):
    rendered = render(tmp_path, SPEC.model_copy(update={"kind": "images"}), evidence="images,1,1", spread=0, n=1)
    assert pipe_rows(rendered["md"])[3][4] == "+0.50"
    assert "no interval, which takes finite values of several images, clips or seeds" in " ".join(
        rendered["md"].split()
    )


def test_a_table_without_remarks_ends_with_its_cells(tmp_path):
    alone = SPEC.model_copy(update={"extractors": ("none",), "published": None})
    rendered = render(tmp_path, alone)
    assert rendered["md"].endswith(" |\n")
    assert r"\parbox" not in rendered["tex"]


def test_space_border_and_subset_choose_the_printed_values(tmp_path):
    spec = SPEC.model_copy(update={"space": "y", "border": 8, "subset": "interior"})
    _, bicubic, *_ = pipe_rows(render(tmp_path, spec)["md"])
    assert bicubic[1:4] == ["49.00", "0.8900", "0.4500"]


def test_csv_is_complete_and_marks_what_is_printed(tmp_path):
    text = render(tmp_path, evidence="images,6,1", verdict="better", extra=EXTRA)["csv"]
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 4 * (2 * 4 + 1 + len(EXTRA)) * 2
    printed = [row for row in rows if row["printed"] == "True"]
    assert [(r["extractor"], r["metric"]) for r in printed] == list(product(SCORES, ("psnr", "ssim", "lpips")))
    assert all(row["published"] == "" for row in rows if row not in printed)
    lv = next(r for r in printed if r["extractor"] == "local_variance" and r["metric"] == "lpips")
    assert float(lv["value"]) == pytest.approx(0.19)
    assert float(lv["difference"]) == pytest.approx(-0.01)
    assert (float(lv["low"]), float(lv["high"])) == pytest.approx((-0.03, 0.01))
    assert [lv[name] for name in ("region", "unit", "units", "verdict")] == ["all", "images", "6", "better"]
    assert float(lv["p_holm"]) == 1
    assert {r["extractor"] for r in rows if r["verdict"] == ""} == {"bicubic", "none"}
    assert float(lv["published_difference"]) == pytest.approx(0.0953 - 0.1022)
    assert float(lv["difference_to_published"]) == pytest.approx(0.19 - 0.0953)
    blank = {(r["extractor"], r["printed"]) for r in rows if r["difference_to_published"] == ""}
    assert blank == {*product(SCORES, ["False"]), ("bicubic", "True")}
    assert (lv["method"], lv["published_dataset"], lv["std"]) == ("SA-ESRGAN (lv)", "Vid4", "")


def test_seeds_give_mean_and_standard_deviation(tmp_path):
    rows = pipe_rows(render(tmp_path, seeds=(1, 2), shift=0.5)["md"])
    assert rows[2][1] == "25.25 ± 0.35"  # 25.0 and 25.5
    assert rows[3][1] == "**25.75** ± 0.35"
    assert rows[3][4] == "+0.50 [+0.48, +0.52]"
    assert rows[1][1] == "30.00"


@pytest.mark.parametrize(("perfect", "words"), [(1, "without 1 image that"), (3, "without 3 images that")])
def test_how_many_pictures_are_perfect_and_left_out_is_said(tmp_path, perfect, words):
    spec = SPEC.model_copy(update={"kind": "images"})
    rendered = render(tmp_path, spec, perfect=perfect)
    for kind in ("md", "html", "tex", "details.md"):
        assert f"PSNR {words} a method matches exactly, where it is infinite." in " ".join(rendered[kind].split())
    counts = {(r["metric"], r["perfect"]) for r in csv.DictReader(rendered["csv"].splitlines())}
    assert counts == {("psnr", str(perfect)), ("ssim", "0"), ("lpips", "0")}
    assert "matches exactly" not in render(tmp_path, spec)["md"]


def test_a_perfect_picture_is_infinite_with_several_seeds_too(tmp_path):
    rendered = render(tmp_path, scores=SCORES | {"none": (math.inf, 0.7, 0.2)}, seeds=(1, 2))
    assert pipe_rows(rendered["md"])[2][1] == "**inf**"


def test_evidence_of_two_kinds_is_named_by_the_better(tmp_path):
    """A region that only one of two clips has is compared by its frames."""
    clips = Difference(1, 0.5, 0.5, 0.4, 0.6, "clips", 2, 1, None, "undecided")
    frames = Difference(1, 0.5, 0.5, 0.4, 0.6, "frames", 16, 1, None, "undecided")
    assert remark_on([clips, frames]).startswith("; in brackets its 95 % interval, from up to 2 clips. None is marked")


@pytest.mark.parametrize(
    ("low", "printed"), [(-0.000018, "[−0.00002, +0.2000]"), (0.0, "[0.0000, +0.2000]"), (-1e-9, "[0.0000, +0.2000]")]
)
def test_a_bound_that_is_not_zero_is_not_printed_as_zero(low, printed):
    assert Difference(1, 0.9, 0.1, low, 0.2, "images", 6, 1, None, "undecided").interval(4) == printed


def test_best_is_decided_at_printed_precision(tmp_path):
    tied = SCORES | {"local_variance": (25.004, 0.71, 0.2), "canny": (24.9, 0.71, 0.2)}
    _, _, none, lv, canny = pipe_rows(render(tmp_path, scores=tied)["md"])
    assert [row[1] for row in (none, lv, canny)] == ["**25.00**", "**25.00**", "24.90"]
    assert [row[2] for row in (none, lv, canny)] == ["0.7100"] * 3  # all equal: nobody leads
    assert lv[4] == "0.00 [−0.02, +0.02]"


def test_a_new_extractor_is_one_more_row(tmp_path):
    spec = SPEC.model_copy(update={"extractors": ("none", "sobel")})
    rows = pipe_rows(render(tmp_path, spec, scores=SCORES | {"sobel": (26.0, 0.73, 0.1)})["md"])
    assert [row[0] for row in rows[1:]] == ["Bicubic", "ESRGAN", "SA-ESRGAN (sobel)"]
    assert rows[3][1:4] == ["**26.00**", "**0.7300**", "**0.1000**"]
    assert [cell.partition(" ")[0] for cell in rows[3][4:]] == ["+1.00", "+0.0200", "−0.1000", "", "", ""]


@pytest.mark.parametrize("absent", ["bicubic", "none", "canny"])
def test_a_missing_method_is_named(tmp_path, absent):
    scores = {name: value for name, value in SCORES.items() if name != absent}
    with pytest.raises(UserError, match=f"PSNR of (esrgan-)?{absent} on city_b"):
        render(tmp_path, scores=scores)
    assert not list(tmp_path.glob("table2.*"))


def test_an_unmeasured_border_is_named(tmp_path):
    with pytest.raises(UserError, match="rgb, border 6"):
        render(tmp_path, SPEC.model_copy(update={"border": 6}))


def test_a_foreign_file_and_an_unknown_published_table_are_errors(tmp_path):
    (tmp_path / "means.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"means\.csv.*'method'"):
        summarise(tmp_path / "means.csv", {}, SPEC)
    with pytest.raises(UserError, match="absent"):
        summarise(tmp_path / "absent.csv", {}, SPEC)
    for read in (tmp_path / "means.csv", tmp_path / "absent.csv"):
        with pytest.raises(UserError, match=rf"{read.stem}\.csv.*run `statistics` again"):
            read_differences(read)
    write_means(tmp_path / "means.csv")
    with pytest.raises(UserError, match=r"differences\.csv lacks PSNR of esrgan-local_variance on city_b"):
        summarise(tmp_path / "means.csv", {}, SPEC)
    with pytest.raises(UserError, match=r"table2\.published: the paper has no 'table9'"):
        render(tmp_path, SPEC.model_copy(update={"published": "table9"}))


def test_latex_is_balanced_escaped_and_ascii(tmp_path):
    spec = SPEC.model_copy(update={"dataset_label": r"50 % of A&B_{1} \ #2 ~^ $x$"})
    tex = render(tmp_path, spec, seeds=(1, 2), shift=0.1)["tex"]
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", tex):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert r"50 \% of A\&B\_\{1\} \textbackslash{} \#2 \textasciitilde{}\textasciicircum{} \$x\$" in tex
    assert tex.isascii()
    assert len(re.findall(r"(?<!\\)\$", tex)) % 2 == 0
    assert re.findall(r"\\begin\{(.+?)\}", tex) == ["table*", "tabular"]
    assert re.findall(r"\\end\{(.+?)\}", tex) == ["tabular", "table*"]


@pytest.mark.parametrize(
    ("kind", "rules", "size", "line"),
    [
        (
            "tex",
            ["2-4", "5-7", "8-10"],
            "footnotesize",
            r"SA-ESRGAN (lv) & \textbf{25.50} & \textbf{0.7200} & 0.1900 & +0.50 &",
        ),
        (
            "details.tex",
            ["2-4", "5-7", "8-10", "11-13"],
            "scriptsize",
            "SA-ESRGAN (lv) & 3.00 & 3.00 & 3.00 & 3.0000 &",
        ),
    ],
)
def test_latex_rows_fit_the_columns_and_the_rules(tmp_path, kind, rules, size, line):
    tex = render(tmp_path, extra=EXTRA)[kind]
    match = re.search(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}(.+?)\\end\{tabular\}", tex, re.DOTALL)
    assert match
    columns, body = match.groups()
    rows = [row for row in body.splitlines() if row.endswith((r"\\", r"\\[-2pt]"))]
    spans = sum(int(n) for n in re.findall(r"\\multicolumn\{(\d)\}", rows[0]))
    assert len(columns) == 3 * len(rules) + 1 == spans + 1
    assert all(row.count(" & ") == len(columns) - 1 for row in rows[1:])
    assert re.findall(r"\\cmidrule\(\w+\)\{(\d+-\d+)\}", body) == rules
    assert rf"\{size} " in tex
    assert line in body


def test_html_has_the_same_cells_and_escapes(tmp_path):
    class Cells(HTMLParser):
        def __init__(self):
            super().__init__()
            self.rows, self.inside = [], False

        def handle_starttag(self, tag, attrs):
            if tag == "tr":
                self.rows.append([])
            elif tag in ("td", "th"):
                self.rows[-1].append("")
                self.inside = True

        def handle_endtag(self, tag):
            self.inside = self.inside and tag not in ("td", "th")

        def handle_data(self, data):
            if self.inside:
                self.rows[-1][-1] += data

    parser = Cells()
    html = render(tmp_path, SAME_DATA.model_copy(update={"dataset_label": "<A & B>"}))["html"]
    parser.feed(html)
    assert parser.rows[0][1:] == ["Measured", "Difference to ESRGAN", "Paper, Vid4"]
    assert parser.rows[-1][0:3] == ["SA-ESRGAN (canny)", "25.25", "0.7050"]
    assert parser.rows[-1][-3:] == ["22.32(+2.93)", "0.6674(+0.0376)", "0.0955(+0.0845)"]
    assert {len(row) for row in parser.rows[1:]} == {10}
    assert "&lt;A &amp; B&gt;" in html
    assert html.count("<b>") == 3
    assert re.search(r"<h1>Table II.*</h1>\n<p>PSNR \(dB\) and SSIM", html)


def test_details_are_the_quantities_of_the_table_by_region_and_over_time(tmp_path):
    header, bicubic, none, lv, _ = pipe_rows(render(tmp_path, extra=EXTRA)["details.md"])
    regions = ["edge", "texture", "flat"]
    assert header == [
        "Method",
        *(f"PSNR {region} ↑" for region in regions),
        *(f"LPIPS {region} ↓" for region in regions),
        *("edge F1 ↑", "noise ↓", "colour ↓", "warp", "tOF ↓", "tLPIPS ↓"),
    ]
    assert bicubic[1:] == ["1.00"] * 3 + ["1.0000"] * 3 + ["1.000", "1.00", "1.00", "1.00", "1.000", "1.0000"]
    assert none[1] == "2.00"
    assert lv[4] == "3.0000 (+1.0000)"
    interior = render(tmp_path, SPEC.model_copy(update={"subset": "interior"}), extra=EXTRA)["details.md"]
    assert pipe_rows(interior)[1][1] == "6.00"


def test_what_rests_on_less_than_others_is_said(tmp_path):
    """A clip has one frame less over time, a region may be missing in an image."""
    means = write_means(tmp_path / "means.csv", extra=EXTRA)
    differences = write_differences(means, "frames,16,1")
    lines = [line.replace("frames,16,", "frames,15,") if ",warp," in line else line for line in differences.open()]
    differences.write_text("".join(lines))
    details(means, differences, tmp_path / "details.md", tmp_path / "details.tex", SPEC)
    assert "ESRGAN, from up to 16 frames of one clip, in blocks." in " ".join(
        (tmp_path / "details.md").read_text().split()
    )


def test_what_was_not_measured_is_left_out_of_the_details(tmp_path):
    """An image set has nothing over time; a region may lack pixels."""
    photos = SPEC.model_copy(update={"kind": "images", "published": None, "dataset_label": "photos"})
    rendered = render(tmp_path, photos, extra=[("psnr", "edge", "rgb", 4), ("noise", "flat", "y", 0)])
    assert pipe_rows(rendered["details.md"])[0] == ["Method", "PSNR edge ↑", "noise ↓"]
    assert rendered["details.md"].startswith("### ESRGAN: where in the image. Data: photos\n")
    assert "tOF" not in rendered["details.md"]
    assert rendered["md"].startswith("### ESRGAN with and without")
    elsewhere = [("psnr", "edge", "y", 4), ("psnr", "edge", "rgb", 8)]  # not the table's channels and border
    assert pipe_rows(render(tmp_path, photos, extra=elsewhere)["details.md"])[0] == ["Method"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_every_table_compiles_and_fits_a_page_of_two_columns(tmp_path):
    """IEEE's text is 516 pt wide; nothing is edited. With the longest names, a standard deviation and all columns."""
    long = {"model": "vsrresfeatgan", "same_data": True, "dataset_label": "street & 50 % more, standing in for Myanmar"}
    means = write_means(tmp_path / "means.csv", seeds=(1, 2), shift=0.111, extra=EXTRA)
    means.write_text(means.read_text().replace(",esrgan,", ",vsrresfeatgan,"))
    inputs = means, write_differences(means, "clips,4,6", "worse", 0.0123)
    spec = SPEC.model_copy(update=long)
    table(*inputs, *(tmp_path / f"table.{kind}" for kind in ("csv", "md", "tex")), spec)
    details(*inputs, tmp_path / "details.md", tmp_path / "details.tex", spec)
    (tmp_path / "all.tex").write_text(
        "\\documentclass[10pt,twocolumn]{article}\n\\usepackage{booktabs}\n"
        "\\setlength{\\textwidth}{516pt}\\setlength{\\columnwidth}{252pt}\\begin{document}\n"
        "\\input{table.tex}\\input{details.tex}text\\end{document}\n"
    )
    done = subprocess.run(["pdflatex", "-halt-on-error", "all.tex"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert [float(n) for n in re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout) if float(n) > 5] == []


def test_differences_are_read_with_what_they_rest_on(tmp_path):
    compared = read_differences(write_differences(write_means(tmp_path / "means.csv")))
    quantity = Quantity("psnr", "all", "rgb", 4, "all")
    found = of_table(compared, SPEC)["canny", quantity]
    assert found == Difference(25.25, 25.0, 0.25, 0.23, 0.27, "images", 2, 1, 1.0, "undecided")
    assert set(of_table(compared, SPEC.model_copy(update={"extractors": ("none", "canny")}))) == {
        key for key in of_table(compared, SPEC) if key[0] == "canny"
    }
    assert [signed(x, 2) for x in (0.126, -0.004, -0.126, None)] == ["+0.13", "0.00", "−0.13", ""]


def test_the_configuration_hands_over_what_a_table_shows():
    values = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    values["evaluation"] |= {"ssim": "uniform", "lpips": {"net": "vgg", "version": "0.0"}}
    values["tables"]["table1"]["same_data"] = True
    spec = TableSpec.model_validate(load(values).table_spec("table1"))
    assert (spec.ssim, spec.lpips.net, spec.lpips.version, spec.same_data) == ("uniform", "vgg", "0.0", True)


@pytest.mark.parametrize("net", LPIPS_NETS)
def test_the_report_says_what_the_tables_say(net):
    """Snakemake hands its captions the configuration as it is written, without defaults."""
    values = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    values["evaluation"] = {} if net == "alex" else {"lpips": {"net": net}}
    captions = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT / "workflow/report"))

    def caption(name: str, **wildcards: str) -> str:
        job = SimpleNamespace(config=values, wildcards=SimpleNamespace(**wildcards))
        return " ".join(captions.get_template(name).render(snakemake=job).split())

    assert f"({LPIPS_NETS[net]}, v0.1)" in caption("comparison.rst", comparison="figure9")
    assert "PSNR (RGB, 4 pixels" in caption("comparison.rst", comparison="figure9")
    assert "PSNR (Y (luma), 8 pixels" in caption("comparison.rst", comparison="figure10")
    assert "it measured other footage" in caption("table.rst", table="table1")
    values["tables"]["table1"]["same_data"] = True
    assert "it measured other footage" not in caption("table.rst", table="table1")


def test_escape_leaves_plain_text_alone():
    assert escape("SA-ESRGAN (lv), 0.12") == "SA-ESRGAN (lv), 0.12"
    assert escape("Δ × ±") == r"$\Delta$ $\times$ $\pm$"


def test_published_numbers_show_what_the_paper_claims():
    """LPIPS and PSNR improve in all eight cells, SSIM in all but two: a slip of the pen would break this."""
    worse = []
    for name, published in PUBLISHED.items():
        base = published.rows["none"]
        for extractor in ("local_variance", "canny"):
            scores = published.rows[extractor]
            assert scores.lpips < base.lpips
            assert scores.psnr > base.psnr
            if scores.ssim < base.ssim:
                worse.append((name, extractor))
    assert worse == [("table1", "local_variance"), ("table3", "canny")]
    assert {(t.model, t.dataset) for t in PUBLISHED.values()} == set(
        product(("esrgan", "vsrresfeatgan"), ("Myanmar", "Vid4"))
    )


@pytest.mark.parametrize(
    ("model", "extractor", "expected"),
    [
        ("bicubic", "none", "Bicubic"),
        ("esrgan", "none", "ESRGAN"),
        ("esrgan", "local_variance", "SA-ESRGAN (lv)"),
        ("esrgan", "canny", "SA-ESRGAN (canny)"),
        ("vsrresfeatgan", "none", "VSRResFeatGAN"),
        ("vsrresfeatgan", "local_variance", "SA-VSRResFeatGAN (lv)"),
        ("esrgan", "sobel", "SA-ESRGAN (sobel)"),
        ("swinir", "canny", "SA-swinir (canny)"),
    ],
)
def test_labels_are_the_papers_names(model, extractor, expected):
    assert label(model, extractor) == expected


def test_extractor_labels():
    assert [extractor_label(e) for e in ("local_variance", "canny", "sobel")] == ["Local variance", "Canny", "Sobel"]
