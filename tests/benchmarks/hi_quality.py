"""The quality bar of cubes: skadetect against a smooth-and-clip finder by the official SDC2 score.

Each folder holds cube.fits, continuum.fits and truth.ecsv, as `skadetect simulate hi` writes them. The
peer's kernels, thresholds, linking, reliability and growth of the masks are tuned on the truth for the best
score, and so is one constant for each parameter: on each cube by itself, which on a few galaxies is very much
in its favour, or alike for all cubes of a group, or not at all; the last with SoFiA-2's own kernels, too.
skadetect runs as shipped, nothing is tuned. Bright continuum is blanked for both at the same level. A group
is folders whose names begin alike, up to "_".

Usage: hi_quality.py FOLDER... [--out DIR] [--model NAME|FILE] [--threshold T] [--orientations 1]
Writes OUT/quality.json, completeness_GROUP.png, pulls_GROUP.png and the catalogues.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tune
from astropy.io import fits
from moments import Frame
from smooth_and_clip import normalise

from skadetect.evaluate.cube_pulls import CubePullOptions, cube_residuals, flux_bias
from skadetect.evaluate.pull_figure import plot_pulls
from skadetect.evaluate.pulls import pulls, summarise
from skadetect.evaluate.sdc2 import (
    PreparedSdc2Truth,
    Sdc2Field,
    Sdc2Score,
    match_sdc2,
    score_sdc2_match,
)
from skadetect.evaluate.sdc2_input import load_sdc2

BARS = {"ratio": 1.5, "purity": 0.92, "attribute": 0.78, "duplicates": 0.01, "overhead": 1.3, "flux": 0.05}
SHORT = {"position": "pos", "central_freq": "freq", "hi_size": "size"}
SNR_EDGES = np.array([3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0])
FLUX_EDGES = np.array([5.0, 7.0, 10.0, 15.0, 30.0, 100.0, np.inf])
LEAST_SNR = 7.0
COLOURS = ("#2c5f9e", "#c2491d")
#: Everything tuned on each cube; one setting for a group; no constants; neither these nor wide kernels.
PEERS = ("peer, cube", "peer, group", "peer, plain", "peer, narrow")
CONTINUUM_LIMIT = 107.0  # times the noise of a channel: SDC2's 3 mJy


@dataclass(frozen=True)
class Case:
    """One cube of the benchmark.

    Attributes
    ----------
    folder : Path
    header : Header
        Of the cube.
    table : DataFrame
        The galaxies: SDC2's columns, snr and more.
    truth : PreparedSdc2Truth
    """

    folder: Path
    header: fits.Header
    table: pd.DataFrame
    truth: PreparedSdc2Truth

    @classmethod
    def load(cls, folder: Path) -> Case:
        """Read the truth; all frequencies count, and the field is the cube's own."""
        header = fits.getheader(folder / "cube.fits")
        table = load_sdc2(folder / "truth.ecsv").reset_index(drop=True)
        beam = 3600.0 * math.sqrt(header["BMAJ"] * header["BMIN"])
        field = Sdc2Field(band=None, centre=(header["CRVAL1"], header["CRVAL2"]), beam=beam)
        return cls(folder, header, table, PreparedSdc2Truth.prepare(table, field))

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.name

    @property
    def group(self) -> str:
        """What cubes are taken together by."""
        return self.name.split("_")[0]

    @property
    def cube(self) -> Path:
        """The file."""
        return self.folder / "cube.fits"


@dataclass(frozen=True)
class Result:
    """What a tool reached on a cube: its score, the galaxies found (rows of the truth) and how."""

    score: Sdc2Score
    found: list[int]
    details: dict[str, Any]


def find_candidates(case: Case, out: Path) -> tuple[pd.DataFrame, float]:
    """What the smooth-and-clip finder finds, and the seconds; kept in OUT/NAME, because it is slow."""
    path, times = out / case.name / "candidates.parquet", out / case.name / "candidates.json"
    if not times.exists():
        begun = time.perf_counter()
        cube = np.squeeze(fits.getdata(case.cube)).astype(np.float32)
        continuum = np.squeeze(fits.getdata(case.folder / "continuum.fits"))
        cube[:, continuum > continuum_limit(case)] = np.nan
        tune.candidates(cube, Frame.from_header(case.header, normalise(cube))).to_parquet(path)
        times.write_text(json.dumps(time.perf_counter() - begun))
    return pd.read_parquet(path), json.loads(times.read_text())


def run_peers(cases: list[Case], out: Path) -> dict[str, list[Result]]:
    """The peer's results on the cubes of a group, tuned in the ways of `PEERS`."""
    found = [find_candidates(case, out) for case in cases]
    pairs = [(table, case.truth) for (table, _), case in zip(found, cases, strict=True)]
    tuned = {
        PEERS[0]: [tune.tune([pair]) for pair in pairs],
        PEERS[1]: [tune.tune(pairs)] * len(cases),
        PEERS[2]: [tune.tune([pair], calibrated=False) for pair in pairs],
        PEERS[3]: [tune.tune([(tune.with_own_kernels(t), truth)], calibrated=False) for t, truth in pairs],
    }
    results: dict[str, list[Result]] = {}
    for name, bests in tuned.items():
        for case, (table, seconds), best in zip(cases, found, bests, strict=True):
            rows = tune.to_sdc2(tune.select(table, best.selection), best.calibration)
            rows.to_csv(out / case.name / f"{name.replace(' ', '_')}.txt", sep=" ", index=False)
            results.setdefault(name, []).append(_result(rows, case, asdict(best) | {"seconds": seconds}))
    return results


def run_skadetect(case: Case, out: Path, options: argparse.Namespace) -> tuple[Result, Any]:
    """skadetect as shipped: result and catalogue."""
    from skadetect.detect import detect

    begun = time.perf_counter()
    catalog = detect(
        case.cube,
        model=options.model,
        threshold=options.threshold,
        orientations=options.orientations,
        continuum=str(case.folder / "continuum.fits"),
        continuum_limit=f"{continuum_limit(case):.6g}Jy",
    )
    wall = time.perf_counter() - begun
    catalog.write(out / case.name / "skadetect.ecsv", overwrite=True)
    catalog.write(out / case.name / "skadetect.txt", format="sdc2", overwrite=True)
    network = float({name.lower(): value for name, value in catalog.meta.items()}["network_seconds"])
    return _result(catalog, case, {"seconds": wall, "network_seconds": network}), catalog


def continuum_limit(case: Case) -> float:
    """Brightness from which on continuum is blanked, Jy/beam."""
    planes = fits.getdata(case.cube, memmap=True)
    middle = np.squeeze(planes)[:: max(case.header["NAXIS3"] // 16, 1)]
    negative = np.asarray(middle[middle < 0], np.float32)
    return CONTINUUM_LIMIT * 1.4826 * float(np.median(-negative))


def pool(results: list[Result]) -> Result:
    """Several cubes as one."""
    scores = [result.score for result in results]
    sums = {
        name: sum(getattr(score, name) for score in scores)
        for name in asdict(scores[0])
        if name != "attributes"
    }
    weights = [score.n_match for score in scores]
    attributes = {
        name: float(np.average([s.attributes[name] for s in scores], weights=weights))
        if sum(weights)
        else 0.0
        for name in scores[0].attributes
    }
    details = {
        name: sum(result.details[name] for result in results)
        for name in ("seconds", "network_seconds")
        if name in results[0].details
    }
    return Result(Sdc2Score(**sums, attributes=attributes), [], details)


def judge(own: Result, peers: dict[str, Result]) -> dict[str, float]:
    """The figures that have bars, of one cube or several; the ratio is to each of the peers."""
    score = own.score
    ratios = {
        f"ratio to {name}": score.score / peer.score.score if peer.score.score > 0 else math.inf
        for name, peer in peers.items()
    }
    return ratios | {
        "purity": score.purity,
        "attribute": score.mean_attribute,
        "duplicates": score.n_duplicates / max(score.n_det, 1),
        "overhead": own.details["seconds"] / max(own.details["network_seconds"], 1e-9),
    }


def kept(name: str, value: float) -> bool:
    """Whether a figure keeps its bar."""
    bar = BARS[name.split()[0]]
    return value >= bar if name.split()[0] in ("ratio", "purity", "attribute") else abs(value) <= bar


def flux_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """Flux bias in bins of the true signal to noise and above 7, for all galaxies and the asymmetric ones."""
    edges = (FLUX_EDGES, np.array([LEAST_SNR, np.inf]))
    return pd.concat([flux_bias(pairs, each) for each in edges], ignore_index=True)


def plot_completeness(path: Path, cases: list[Case], results: dict[str, list[Result]]) -> None:
    """Share of the galaxies found against their signal to noise, for each tool."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    snr = np.concatenate([case.table["snr"].to_numpy(np.float64) for case in cases])
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    middle = np.sqrt(SNR_EDGES[1:] * SNR_EDGES[:-1])
    total = np.histogram(snr, SNR_EDGES)[0]
    for (tool, runs), colour in zip(results.items(), COLOURS):
        found = np.concatenate(
            [np.isin(np.arange(len(case.table)), run.found) for case, run in zip(cases, runs, strict=True)]
        )
        share = np.histogram(snr[found], SNR_EDGES)[0] / np.maximum(total, 1)
        error = np.sqrt(np.maximum(share * (1 - share), 0.25 / np.maximum(total, 1)) / np.maximum(total, 1))
        some = total > 0
        axes.errorbar(middle[some], share[some], error[some], marker="o", label=tool, color=colour)
    axes.set(xscale="log", xlabel="signal to noise", ylabel="completeness", ylim=(-0.02, 1.05))
    axes.legend()
    figure.savefig(path, dpi=110)


def print_results(rows: list[tuple[str, str, Result]]) -> None:
    """One line a cube and tool."""
    attributes = list(rows[0][2].score.attributes)
    widths = (10, 15, 7, 5, 5, 4, 5, 6, 5, *(5 for _ in attributes), 7)
    head = ["cube", "tool", "score", "n_det", "match", "dupl", "truth", "purity", "attr"]
    lines = [[*head, *(SHORT.get(name, name) for name in attributes), "s"]]
    for name, tool, result in rows:
        s = result.score
        counts = (f"{n:d}" for n in (s.n_det, s.n_match, s.n_duplicates, s.n_truth))
        shares = (f"{v:.3f}" for v in (s.purity, s.mean_attribute, *s.attributes.values()))
        lines.append([name, tool, f"{s.score:.2f}", *counts, *shares, f"{result.details['seconds']:.1f}"])
    for line in lines:
        print(*(cell.ljust(width) if width >= 10 else cell.rjust(width) for cell, width in zip(line, widths)))


def print_bars(name: str, figures: dict[str, float]) -> None:
    """The figures of a group against their bars."""
    for key, value in figures.items():
        word = "kept" if kept(key, value) else "MISSED"
        print(f"{name:10} {key:20} {value:7.3f}   bar {BARS[key.split()[0]]:g}: {word}")


def report_group(cases: list[Case], results: dict[str, list[Result]], catalogs: list[Any], out: Path) -> dict:
    """Figures of a group, printed and as JSON; its plots are drawn."""
    name = cases[0].group
    shown = {tool: runs for tool, runs in results.items() if tool not in PEERS[1:]}
    plot_completeness(out / f"completeness_{name}.png", cases, shown)
    pooled = {tool: pool(runs) for tool, runs in results.items()}
    rows = [(case.name, tool, runs[i]) for i, case in enumerate(cases) for tool, runs in results.items()]
    print_results(rows + [(f"all {name}", tool, result) for tool, result in pooled.items()])
    found = {"pooled": {tool: asdict(result) for tool, result in pooled.items()}}
    if catalogs:
        found["figures"] = judge(pooled["skadetect"], {peer: pooled[peer] for peer in PEERS})
        print_bars(name, found["figures"])
        found |= report_pairs(cases, catalogs, out)
    return found | {"cubes": [(case, tool, asdict(result)) for case, tool, result in rows]}


def report_pairs(cases: list[Case], catalogs: list[Any], out: Path) -> dict:
    """Flux bias and pulls of a group, printed and as JSON; the pulls are drawn."""
    name, each = cases[0].group, []
    for case, catalog in zip(cases, catalogs, strict=True):
        each.append(cube_residuals(catalog, case.table, CubePullOptions(beam=case.truth.field.beam)))
    pairs = pd.concat(each, ignore_index=True)
    flux, pull = flux_table(pairs), pulls(pairs)
    plot_pulls(out / f"pulls_{name}.png", pull, title=f"{name}: {len(pairs)} galaxies")
    for _, row in flux[(flux["low"] == LEAST_SNR) & np.isinf(flux["high"])].iterrows():
        print_bars(name, {f"flux {row['sample']}": row["median"] - 1.0})
    print(flux.round(3).to_string(index=False))
    widths = summarise(pull, np.array([0.0, np.inf]))
    print(widths.drop(columns=["low", "high"]).round(2).to_string(index=False))
    return {"flux": flux.to_dict("records"), "pulls": widths.to_dict("records")}


def main() -> None:
    """Run both tools on all cubes, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("benchmark-output/hi"))
    parser.add_argument("--model", default="hi", help="'none' runs the peer only")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--orientations", type=int, help="ways to look at each cube; as shipped by default")
    options = parser.parse_args()
    groups: dict[str, list[Case]] = {}
    for case in map(Case.load, options.folders):
        (options.out / case.name).mkdir(parents=True, exist_ok=True)
        groups.setdefault(case.group, []).append(case)
    found = {}
    for name, cases in groups.items():
        results, catalogs = run_peers(cases, options.out), []
        for case in cases if options.model != "none" else ():
            result, catalog = run_skadetect(case, options.out, options)
            results.setdefault("skadetect", []).append(result)
            catalogs.append(catalog)
        found[name] = report_group(cases, results, catalogs, options.out)
    (options.out / "quality.json").write_text(json.dumps(found, indent=1, default=float))


def _result(rows: Any, case: Case, details: dict[str, Any]) -> Result:
    match = match_sdc2(rows, case.truth)
    found = np.unique(case.truth.row[match.truth[match.accepted]])
    return Result(score_sdc2_match(match), found.tolist(), details)


if __name__ == "__main__":
    main()
