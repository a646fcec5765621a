"""What all scripts of this pipeline share: config.toml and the flags laid over it, and the way to a step.

A step needs those before it. They are called, too, and find their results of an earlier call: so every
script is the one command that does all up to its step, and goes on where an earlier call was stopped.
"""

import argparse
import logging
import tomllib
from dataclasses import replace
from pathlib import Path

from skadetect.detect import DetectOptions
from skadetect.sdc import Sdc1

HERE = Path(__file__).parent
STEPS = ("prepare", "train", "tune", "detect", "score", "submit")


def read_arguments(text: str) -> dict:
    """config.toml with the flags that were given."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--config", type=Path, default=HERE / "config.toml")
    parser.add_argument("--folder", help="official files")
    parser.add_argument("--out", help="results [default: FOLDER/skadetect]")
    parser.add_argument("--freq", type=int, choices=(560, 1400, 9200), help="MHz")
    parser.add_argument("--hours", type=int, choices=(8, 100, 1000))
    parser.add_argument("--from", dest="start", help="model to train further; none detects with one as it is")
    parser.add_argument("--model", help="model to detect with if nothing is trained")
    parser.add_argument("--max-memory")
    parser.add_argument("--workers", type=int)
    flags = vars(parser.parse_args())
    config = tomllib.loads(flags.pop("config").read_text())
    config["challenge"]["shares"] = tuple(config["challenge"]["shares"])
    homes = {"start": ("train", "from"), "max_memory": ("detect", "max_memory")}
    homes |= {"workers": ("detect", "workers"), "model": ("challenge", "model")}
    for name, value in flags.items():
        if value is not None:
            table, key = homes.get(name, ("challenge", name))
            config.setdefault(table, {})[key] = value
    return config


def begin(config: dict) -> Sdc1:
    """The state before the first step."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("skadetect.image").setLevel(logging.WARNING)
    options = DetectOptions(**config.get("detect", {}), progress=True)
    return Sdc1(config["challenge"].pop("folder"), options=options, **config["challenge"])


def reach(step: str, config: dict) -> Sdc1:
    """The state after a step; what was done before is taken as it is."""
    run, last = begin(config).prepare(), STEPS.index(step)
    learns = (Path(run.path) / run.files["training"].name).is_file()
    train = dict(config.get("train", {}))
    start = train.pop("from", "none")
    if last >= STEPS.index("train") and learns and start != "none":
        run = run.train(None if start == "auto" else start, **train)
    elif run.model == "auto" and start not in ("none", "auto"):
        run = replace(run, model=start)
    if last >= STEPS.index("tune") and learns:
        run = run.tune(**config.get("tune", {}))
    return run.detect() if last >= STEPS.index("detect") else run
