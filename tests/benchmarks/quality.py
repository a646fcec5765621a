"""The quality bar: skadetect against PyBDSF and sep by the official SDC1 score, same images, same export.

Each folder holds image.fits, primary_beam.fits and truth.txt, as `skadetect simulate continuum` writes
them; --cutout names the folder of the real SDC1 piece. The peers are tuned on the truth, image by image:
thresholds, Gaussians or sources, kinds of flux, minimum sizes. skadetect runs as shipped, nothing is
tuned.

The official scorer excludes a training box (RA -0.6723..0, Dec -29.94..-29.4061). The real cut-out lies
inside it (RA -0.353..-0.319, Dec -29.687..-29.660), so it is scored with train=True; simulated fields lie
east of it (RA > 0.05) and are scored with train=False. In both cases every row counts, which is checked.

Usage: quality.py OUT FOLDER... [--cutout FOLDER] [--bdsf-python PYTHON] [--model NAME|FILE] [--threshold T]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import peers

from skadetect.catalog.sdc1 import read_sdc1
from skadetect.evaluate import PreparedTruth, Sdc1Score, score_sdc1

ATTRIBUTES = ("position", "flux", "b_maj", "b_min", "pa", "core_frac", "class")


@dataclass(frozen=True)
class Case:
    """One image of the benchmark."""

    name: str
    image: Path
    primary_beam: Path
    truth: PreparedTruth


def load_cases(folders: list[Path], cutout: Path | None) -> list[Case]:
    """The simulated folders and the real cut-out, truths prepared and checked."""
    files = [(f.name, f / "image.fits", f / "primary_beam.fits", f / "truth.txt", False) for f in folders]
    if cutout is not None:
        paths = (cutout / "B1_1000h_0.05tr.fits", cutout / "PrimaryBeam_B1.fits", cutout / "truth.txt")
        files.append(("cutout", *paths, True))
    cases = []
    for name, image, primary_beam, truth, train in files:
        table = read_sdc1(truth, strict=False)
        prepared = PreparedTruth.prepare(table, train=train)
        if len(prepared) != len(table):
            raise SystemExit(
                f"{name}: only {len(prepared)} of {len(table)} truth rows are in the scored area"
            )
        cases.append(Case(name, image, primary_beam, prepared))
    return cases


def best_peer(case: Case, tables: dict[str, pd.DataFrame]) -> tuple[str, Sdc1Score]:
    """The best score of a peer over its raw tables and the minimum sizes."""
    scored = {}
    for name, table in tables.items():
        for size in peers.MINIMUM_SIZES:
            rows = peers.to_sdc1(table, case.primary_beam, size)
            scored[f"{name} min {size:g}"] = score_sdc1(rows, case.truth)
    name = max(scored, key=lambda key: scored[key].score)
    return name, scored[name]


def tuned_peers(
    case: Case, out: Path, bdsf_python: str | None, timeout: float
) -> dict[str, tuple[str, Sdc1Score]]:
    """Best setting and score of each peer, kept in OUT/NAME/peers.json."""
    folder = out / case.name
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "peers.json"
    done = json.loads(kept.read_text()) if kept.exists() else {}
    if "sep" not in done:
        done["sep"] = _as_json(best_peer(case, peers.run_sep(case.image, folder)))
    if "pybdsf" not in done and bdsf_python is not None:
        done["pybdsf"] = _as_json(
            best_peer(case, peers.run_pybdsf(bdsf_python, case.image, folder, timeout=timeout))
        )
    kept.write_text(json.dumps(done, indent=1))
    return {peer: (entry["setting"], Sdc1Score(**entry["score"])) for peer, entry in done.items()}


def run_skadetect(case: Case, out: Path, model: str, threshold: float | None) -> tuple[str, Sdc1Score]:
    """The official score of the catalogue that skadetect writes in the sdc1 format."""
    from skadetect.detect import detect

    start = time.perf_counter()
    catalog = detect(case.image, model=model, threshold=threshold)
    wall = time.perf_counter() - start
    path = out / case.name / "skadetect.txt"
    catalog.write(path, format="sdc1", overwrite=True, primary_beam=case.primary_beam)
    return f"{wall:.1f} s", score_sdc1(path, case.truth)


def print_table(rows: list[tuple[str, str, str, Sdc1Score]]) -> None:
    """One line a result."""
    head = f"{'image':9} {'tool':10} {'score':>9} {'n_det':>6} {'match':>6} {'purity':>6} {'attr':>5}"
    print(head, *(f"{name:>9}" for name in ATTRIBUTES), " setting")
    for image, tool, setting, s in rows:
        counts = f"{image:9} {tool:10} {s.score:9.2f} {s.n_det:6d} {s.n_match:6d}"
        print(
            f"{counts} {s.purity:6.3f} {s.mean_attribute:5.3f}",
            *(f"{s.attributes[name]:9.3f}" for name in ATTRIBUTES),
            "",
            setting,
        )


def print_ratios(rows: list[tuple[str, str, str, Sdc1Score]]) -> None:
    """skadetect's score over the better peer's, image by image and their mean."""
    ratios = {}
    for image in dict.fromkeys(row[0] for row in rows):
        scores = {row[1]: row[3].score for row in rows if row[0] == image}
        own = scores.pop("skadetect", None)
        if own is not None and scores:
            ratios[image] = own / max(scores.values())
            better = max(scores, key=scores.__getitem__)
            print(f"{image:9} ratio to the better peer ({better}) {ratios[image]:.3f}")
    simulated = [value for image, value in ratios.items() if image != "cutout"]
    if simulated:
        print(
            f"mean over simulated fields {np.mean(simulated):.3f}, smallest of all {min(ratios.values()):.3f}"
        )


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--cutout", type=Path)
    parser.add_argument("--bdsf-python")
    parser.add_argument("--model", default="continuum", help="'none' runs the peers only")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--timeout", type=float, default=3600.0, help="of one PyBDSF run, seconds")
    options = parser.parse_args()
    rows = []
    for case in load_cases(options.folders, options.cutout):
        found = tuned_peers(case, options.out, options.bdsf_python, options.timeout)
        rows += [(case.name, peer, *result) for peer, result in found.items()]
        if options.model != "none":
            result = run_skadetect(case, options.out, options.model, options.threshold)
            rows.append((case.name, "skadetect", *result))
    print_table(rows)
    print_ratios(rows)


def _as_json(best: tuple[str, Sdc1Score]) -> dict[str, object]:
    return {"setting": best[0], "score": asdict(best[1])}


if __name__ == "__main__":
    main()
