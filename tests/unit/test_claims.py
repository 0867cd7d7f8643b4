"""Claims: what may stand in the file, and what results make of them."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
import yaml
from typer.testing import CliRunner

from sa_sr.cli import app
from sa_sr.config import load
from sa_sr.config.claims import Claims, load_claims
from sa_sr.config.reading import check
from sa_sr.errors import UserError
from sa_sr.render.claims import COLUMNS, claims
from sa_sr.render.published import PUBLISHED

ROOT = Path(__file__).parents[2]
CLAIMS = load_claims(ROOT / "config/claims.yaml").claims
DEMO = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
TABLES = {name: table for name, table in load(DEMO).tables.items() if table.published}
EXTRACTORS = ["none", "local_variance", "canny"]
HEAD = "model,extractor,dataset,subset,metric,region,space,border,value,baseline,difference,low,high,unit,units,seeds"
SHARES = {"local_variance": (0.15, 0.16), "canny": (0.11, 0.19)}


def write(folder: Path, verdicts=None, shares=SHARES, metric="psnr", region="all") -> tuple[Path, Path]:
    """differences.csv with a verdict for each (model, extractor, dataset), else `better`; and decoys."""
    lines = [f"{HEAD},p,p_holm,verdict"]
    for table in TABLES.values():
        for extractor in ("local_variance", "canny", "canny.low_50"):
            decoy = extractor == "canny.low_50"
            for subset in ("all", "interior"):
                for space, border in (("rgb", 4), ("rgb", 8), ("y", 4), ("y", 8)):
                    ours = (subset, space, border) == (table.subset, table.space, table.border) and not decoy
                    key = table.model, extractor, table.dataset
                    verdict = (verdicts or {}).get(key, "better") if ours else "worse"
                    where = f"{','.join(key)},{subset},{metric},{region},{space},{border}"
                    lines.append(f"{where},25.5,25,0.5,0.25,0.75,clips,4,6,0.03,0.06,{verdict}")
    differences, csv = folder / "differences.csv", folder / "shares.csv"
    differences.write_text("\n".join(lines) + "\n")
    rows = ["run,model,extractor,seed,beta2,chosen,share_at_start,share_in_training"]
    rows += [
        f"{m}-{e}-s{seed},{m},{e},{seed},20,fixed,0.5,{share}"
        for m in ("esrgan", "vsrresfeatgan")
        for e, both in {**shares, "canny.low_50": (0.9, 0.9)}.items()
        for seed, share in enumerate(both)
    ]
    csv.write_text("\n".join(rows) + "\n")
    return differences, csv


def judge(folder: Path, wanted: str, differences: Path, shares: Path | None) -> tuple[list[dict[str, str]], str, str]:
    """Rows of claims.csv, Markdown and HTML of one claim."""
    files = [folder / name for name in ("claims.csv", "claims.md", "claims.html")]
    claims(differences, shares, {wanted: CLAIMS[wanted]}, TABLES, EXTRACTORS, *files)
    with open(files[0], newline="") as f:
        return list(csv.DictReader(f)), files[1].read_text(), files[2].read_text()


def test_the_claims_that_come_along_are_what_the_paper_prints():
    """Better in all cells of Tables I-IV that are no exceptions, and in no exception."""
    for name in ("psnr", "ssim", "lpips"):
        sign = -1 if name == "lpips" else 1
        worse = [
            (table, extractor)
            for table, published in PUBLISHED.items()
            for extractor in ("local_variance", "canny")
            if sign * (getattr(published.rows[extractor], name) - getattr(published.rows["none"], name)) <= 0
        ]
        assert CLAIMS[name].exceptions == worse
    assert (CLAIMS["edges"].metric, CLAIMS["noise"].metric, CLAIMS["noise"].region) == ("edge_f1", "noise", "flat")
    assert CLAIMS["share"].share == (0.1, 0.2)


@pytest.mark.parametrize(
    ("verdicts", "verdict", "counts"),
    [
        ({}, "reproduced", "8 of 8 cells better, 0 worse, 0 undecided"),
        ({("esrgan", "canny", "city_test"): "undecided"}, "undecided", "7 of 8 cells better, 0 worse, 1 undecided"),
        ({("esrgan", "canny", "city_test"): "worse"}, "not reproduced", "7 of 8 cells better, 1 worse, 0 undecided"),
    ],
)
def test_a_claim_is_what_its_cells_are(tmp_path, verdicts, verdict, counts):
    rows, md, html = judge(tmp_path, "psnr", *write(tmp_path, verdicts))
    assert list(rows[0]) == COLUMNS
    assert [(row["table"], row["extractor"]) for row in rows] == [(t, e) for t in TABLES for e in EXTRACTORS[1:]]
    assert {row["verdict"] for row in rows} == {verdict}
    assert {(row["difference"], row["low"], row["units"], row["seeds"]) for row in rows} == {
        ("0.500000", "0.250000", "4", "6")
    }
    for text in (md, html):
        assert counts in text
        assert CLAIMS["psnr"].statement in text
    assert md.splitlines()[4].split(" | ")[1].strip() == verdict
    said = " ".join(md.split())
    assert "| Table I: SA-ESRGAN (canny) | +0.50 better | 6 seeds on these 4 clips |" in said
    words = {"undecided": "+0.50", "worse": "+0.50 worse"}.get("".join(verdicts.values()), "+0.50 better")
    assert f"| Table II: SA-ESRGAN (canny) | {words} |" in said
    assert "Table I (street, standing in for Myanmar)" in " ".join(md.split())


def test_exceptions_follow_the_published_table_and_do_not_count(tmp_path):
    worse = {(TABLES[t].model, e, TABLES[t].dataset): "worse" for t, e in CLAIMS["ssim"].exceptions}
    rows, md, _ = judge(tmp_path, "ssim", *write(tmp_path, worse, metric="ssim"))
    assert [(row["table"], row["extractor"]) for row in rows if row["cell"] == "exempt"] == CLAIMS["ssim"].exceptions
    assert rows[0]["verdict"] == "reproduced"
    assert "6 of 6 cells better, 0 worse, 0 undecided; 2 exempt" in md


def test_a_table_of_ones_own_is_a_cell_like_any_other(tmp_path):
    table = next(iter(TABLES.values())).model_copy(update={"published": None})
    differences, _ = write(tmp_path, metric="ssim")
    files = [tmp_path / name for name in ("claims.csv", "claims.md", "claims.html")]
    claims(differences, None, {"ssim": CLAIMS["ssim"]}, {"photos": table}, EXTRACTORS, *files)
    md = files[1].read_text()
    assert "2 of 2 cells better" in md
    assert "| photos: SA-ESRGAN (lv) | +0.5000 better |" in " ".join(md.split())


def test_tables_are_printed_in_the_order_that_is_given(tmp_path):
    """The configuration's, by number: table10 behind table9."""
    differences, _ = write(tmp_path)
    files = [tmp_path / name for name in ("claims.csv", "claims.md", "claims.html")]
    own = TABLES["table1"].model_copy(update={"published": None})
    given = {"table9": own, "table10": TABLES["table1"], "table1": own}
    claims(differences, None, {"psnr": CLAIMS["psnr"]}, given, ["canny"], *files)
    with open(files[0], newline="") as f:
        assert [row["table"] for row in csv.DictReader(f)] == list(given)


def test_two_tables_of_one_of_the_papers_are_rows_of_their_own(tmp_path):
    differences, _ = write(tmp_path)
    files = [tmp_path / name for name in ("claims.csv", "claims.md", "claims.html")]
    twice = {name: TABLES["table1"].model_copy(update={"space": space}) for name, space in (("a", "rgb"), ("b", "y"))}
    claims(differences, None, {"psnr": CLAIMS["psnr"]}, twice, EXTRACTORS, *files)
    rows = [line.split("|")[1:3] for line in files[1].read_text().splitlines() if line.startswith("| Table I")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        [f"Table I{name}: SA-ESRGAN ({e})", value]
        for name, value in ((" (a)", "+0.50 better"), (" (b)", "+0.50 worse"))
        for e in ("lv", "canny")
    ]


def test_shares_that_a_calibration_set_do_not_count(tmp_path):
    differences, shares = write(tmp_path)
    rows = shares.read_text().splitlines()
    shares.write_text("\n".join(row.replace("fixed", "auto") if row.startswith("vsr") else row for row in rows) + "\n")
    found, md, _ = judge(tmp_path, "share", differences, shares)
    assert {row["cell"] for row in found if row["model"] == "vsrresfeatgan"} == {"set"}
    assert "2 of 2 between 10 and 20 %: " in md


def test_what_was_not_measured_is_undecided(tmp_path):
    rows, md, _ = judge(tmp_path, "edges", *write(tmp_path))
    assert {(row["verdict"], row["cell"], row["difference"]) for row in rows} == {("undecided", "undecided", "")}
    assert md.count("not measured") == 8
    region, md, _ = judge(tmp_path, "noise", *write(tmp_path, metric="noise"))  # of another region
    assert {(row["cell"], row["units"]) for row in region} == {("undecided", "")}
    rows, md, _ = judge(tmp_path, "noise", *write(tmp_path, metric="noise", region="flat"))
    assert "Noise, flat (gray levels)" in md
    assert {row["region"] for row in rows} == {"flat"}


@pytest.mark.parametrize(
    ("shares", "verdict", "judged"),
    [
        (SHARES, "reproduced", ["in range", "in range"]),
        (SHARES | {"canny": (0.15, 0.21)}, "not reproduced", ["in range", "out of range"]),
        ({"local_variance": (0.15, 0.15)}, "reproduced", ["in range"]),
    ],
)
def test_shares_are_judged_by_every_training(tmp_path, shares, verdict, judged):
    rows, md, _ = judge(tmp_path, "share", *write(tmp_path, shares=shares))
    assert [row["cell"] for row in rows] == 2 * judged  # of both models; a sweep's variants are no cells
    assert {row["verdict"] for row in rows} == {verdict}
    assert f"{2 * judged.count('in range')} of {2 * len(judged)} between 10 and 20 %: " in md
    low, high = shares["local_variance"]
    assert [float(rows[0][name]) for name in ("value", "low", "high", "seeds")] == [(low + high) / 2, low, high, 2]


def test_without_trainings_of_the_method_a_share_is_undecided(tmp_path):
    differences, _ = write(tmp_path)
    rows, md, _ = judge(tmp_path, "share", differences, None)
    assert rows == []
    assert "| undecided | nothing to judge by" in " ".join(md.split())


def test_trainings_of_no_steps_are_nothing_to_judge_by(tmp_path):
    none = {"local_variance": ("",), "canny": ("",)}
    rows, md, _ = judge(tmp_path, "share", *write(tmp_path, shares=none))
    assert rows == []
    assert "| undecided | nothing to judge by" in " ".join(md.split())
    rows, *_ = judge(tmp_path, "share", *write(tmp_path, shares=none | {"canny": (0.15,)}))
    assert [(row["extractor"], row["cell"]) for row in rows] == [("canny", "in range")] * 2


def test_a_foreign_table_of_shares_is_named(tmp_path):
    differences, shares = write(tmp_path)
    shares.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"shares\.csv: not a readable table of shares"):
        judge(tmp_path, "share", differences, shares)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"metric": "psnrr"}, r"claims\.one\.metric: no metric 'psnrr'; did you mean 'psnr'\?"),
        ({"region": "edges"}, r"claims\.one\.region: .*'edge'"),
        (
            {"exceptions": [["table9", "canny"]]},
            r"claims\.one\.exceptions\.0\.0: no table of the paper 'table9'",
        ),
        ({"exceptions": [["table1", "sobel"]]}, r"no extractor of the paper 'sobel'; there is: local_variance, canny"),
        ({"metric": None}, r"claims\.one: give either `metric` or `share`"),
        ({"share": [0.1, 0.2]}, r"claims\.one: give either `metric` or `share`"),
        ({"metric": None, "share": [0.2, 0.1]}, "share: give the least first"),
        ({"metric": None, "share": [0.1, 0.2], "region": "flat"}, "belong to a metric, not to a share"),
        ({"metric": None, "share": [10, 20]}, r"claims\.one\.share\.0: .*less than or equal to 1"),
        ({"statements": "x"}, r"unknown key 'statements'; did you mean 'statement'\?"),
        ({"statement": ""}, r"claims\.one\.statement"),
        ({"metric": "noise"}, "noise is measured in region flat only"),
        ({"metric": "edge_f1", "region": "edge"}, "edge_f1 is measured in region all only"),
        ({"metric": "warp"}, "warp ranks nobody"),
    ],
)
def test_a_mistake_is_named_by_its_place(edit, message):
    values = {"statement": "It is better.", "where": "V", "metric": "psnr"} | edit
    with pytest.raises(UserError, match=message):
        check(Claims, {"claims": {"one": values}}, "claims.yaml")


def test_the_command_reads_what_the_workflow_hands_over(tmp_path):
    differences, shares = write(tmp_path)
    spec = load_claims(ROOT / "config/claims.yaml").model_dump(mode="json")["claims"]
    tables = {name: table.model_dump(mode="json") for name, table in TABLES.items()}
    files = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "md", "html")}
    options = {"claims": spec, "tables": tables, "extractors": EXTRACTORS}
    arguments = [text for name, value in options.items() for text in (f"--{name}", json.dumps(value))]
    arguments += [text for kind, path in files.items() for text in (f"--{kind}", str(path))]
    done = CliRunner().invoke(app, ["claims", str(differences), str(shares), *arguments])
    assert done.exit_code == 0, done.output
    with open(files["csv"], newline="") as f:
        assert {row["claim"] for row in csv.DictReader(f)} == set(CLAIMS)


def test_the_captions_are_text_for_every_configuration():
    captions = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT / "workflow/report"))
    for values in (DEMO, DEMO | {"seeds": [1, 2]}):
        job = SimpleNamespace(config=values, wildcards=SimpleNamespace(table="table3"))
        said = " ".join(captions.get_template("claims.rst").render(snakemake=job).split())
        assert ("one training seed" if values is DEMO else "2 training seeds") in said
        details = " ".join(captions.get_template("details.rst").render(snakemake=job).split())
        assert "PSNR is measured on Y (luma) there, 8 pixels cut off" in details


def test_the_summary_prints_the_claims(tmp_path):
    (tmp_path / "tables").mkdir()
    for name in ("table1", "table1_details", "claims"):
        (tmp_path / f"tables/{name}.md").write_text(f"### This is {name}\n")
    (tmp_path / "tables/table1.csv").touch()
    said = CliRunner().invoke(app, ["summary", str(tmp_path)]).output
    assert "This is table1\n" in said
    assert "This is claims" in said
    assert "details" not in said
