"""Several bands as one catalogue each: the best shape of every source, and rows that another band confirms.

Each band is done up to its tuning as by run.py, in FOLDER/skadetect-FREQ, and detected down to a low score.
"""

from dataclasses import replace
from pathlib import Path

from settings import reach, read_arguments

from skadetect.catalog.sdc1 import write_sdc1
from skadetect.evaluate import validate_submission
from skadetect.sdc import BandOptions, combine_bands, sdc1_files

FREQS = (560, 1400, 9200)


def main(config: dict) -> None:
    """Detect in all bands whose map is there, join them, write a submission of each and score it."""
    folder, lowest = Path(config["challenge"]["folder"]), BandOptions().confirmed
    runs = {}
    for freq in FREQS:
        here = {"freq": freq, "out": str(folder / f"skadetect-{freq}")}
        one = {**config, "challenge": {**config["challenge"], **here}}
        if (folder / sdc1_files(freq, config["challenge"]["hours"])["image"].name).is_file():
            runs[freq] = reach("tune", one).detect(lowest=lowest)
    tables = combine_bands({freq: run.candidates() for freq, run in runs.items()})
    for freq, run in runs.items():
        path = run.folder / "submission-bands.txt"
        write_sdc1(tables[freq], path)
        print(path, "valid" if validate_submission(path, freq=freq).valid else "NOT VALID")
        if (folder / run.files["truth"].name).is_file():
            alone = replace(run, corrections=None).score()
            print(f"{freq} MHz: score {run.score(path).score:.1f}, without the other bands {alone.score:.1f}")


if __name__ == "__main__":
    main(read_arguments(__doc__))
