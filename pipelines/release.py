"""Make catalogs/: what the pipelines find on simulated benchmark skies, with provenance, and the README.

Usage: release.py [NAME ...] [--work FOLDER], where NAME is sdc1 or sdc2; --readme only writes the README.
"""

import argparse
import json
import subprocess
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from skadetect import __version__
from skadetect.catalog.cube_schema import CUBE_COLUMNS
from skadetect.catalog.schema import COLUMNS
from skadetect.nn.model import Model
from skadetect.sdc import Sdc1, Sdc2, rehearse_sdc1, rehearse_sdc2

ROOT = Path(__file__).parents[1]
CATALOGS = ROOT / "catalogs"
SKIES: dict[str, dict[str, Any]] = {
    "sdc1": {"size": 1024, "seed": 900001},
    "sdc2": {"shape": (2048, 400, 400), "seed": 920101},
}
LIBRARIES = ("numpy", "numba", "astropy", "scipy", "pandas")


def release(name: str, work: Path) -> None:
    """Simulate a sky, run the pipeline without training, and write catalogue and provenance."""
    sky, target = SKIES[name], CATALOGS / name
    if name == "sdc1":
        run = Sdc1(rehearse_sdc1(work / name, **sky)).prepare().tune().detect()
    else:
        run = Sdc2(rehearse_sdc2(work / name, **sky), training="dev").prepare().tune().detect()
    for suffix in (".fits", ".ecsv"):
        run.catalog.write(target.with_suffix(suffix), overwrite=True)
    score = run.score()
    plain = replace(run, corrections=None).score()
    model = Model.load({"sdc1": "sdc1", "sdc2": "hi"}[name])
    about = {
        "sky": sky,
        "model": {"name": model.name, "digest": model.digest, "threshold": model.threshold},
        "thresholds": run.thresholds.to_dict(),
        "corrections": run.corrections.to_dict(),
        "score": asdict(score),
        "score_without_corrections": asdict(plain),
        "skadetect": __version__,
        "commit": subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip(),
        "versions": {library: version(library) for library in LIBRARIES},
    }
    target.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"{name}: {len(run.catalog)} rows, score {score.score:.1f}")


def readme() -> str:
    """The text of catalogs/README.md."""
    lines = [
        "# Catalogues",
        "",
        "What the pipelines of [SDC1](../pipelines/sdc1) and [SDC2](../pipelines/sdc2) find on simulated",
        "benchmark skies with the shipped models: the same table as FITS and as ECSV, and in a JSON file of",
        "the same name the sky's settings, the model and its digest, thresholds, corrections of the",
        "submission, official scores, commit and versions. `python pipelines/release.py` makes them and this",
        "page again.",
        "",
    ]
    for name, columns in (("sdc1", COLUMNS), ("sdc2", CUBE_COLUMNS)):
        lines += [f"## {name}", "", "| column | unit | UCD | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{c.name}` | {c.unit} | {c.ucd.replace(';', '; ')} | {c.description} |" for c in columns
        ]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="sdc1, sdc2 [default: both]")
    parser.add_argument("--work", type=Path, default=Path("benchmark-output/release"))
    parser.add_argument("--readme", action="store_true", help="write the README only")
    options = parser.parse_args()
    (CATALOGS / "README.md").write_text(readme())
    if not options.readme:
        for chosen in options.names or SKIES:
            release(chosen, options.work)
