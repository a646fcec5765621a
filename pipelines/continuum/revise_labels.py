"""Revise which sources of the training fields the network is asked to find, by what a trained one found.

Usage: revise_labels.py MODEL FOLDER. Writes labels.npy into each folder sdc1_* that make_fields.py filled: a
source found with confidence becomes a target however faint, one that left no trace is none any more.
"""

import sys
from pathlib import Path

from tqdm import tqdm

from skadetect.nn.model import Model
from skadetect.sdc.bootstrap import revise_labels


def main(model: Path, fields: Path) -> None:
    """Write the labels of all fields and say how many changed."""
    trained, total = Model.load(model), {"added": 0, "dropped": 0}
    for folder in tqdm(sorted(fields.glob("sdc1_*")), unit=" fields"):
        for name, count in revise_labels(trained, folder, folder / "labels.npy").items():
            total[name] += count
    print(f"{total['added']} sources became targets, {total['dropped']} are none any more")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
