"""Check the files against data.toml, map background and noise, cut the training area into its parts."""

import tomllib
from pathlib import Path

from settings import HERE, reach, read_arguments


def check_sizes(folder: Path) -> None:
    """Say which files are not as large as the published ones."""
    for file in tomllib.loads((HERE / "data.toml").read_text())["files"]:
        path = folder / file["name"]
        if path.is_file() and path.stat().st_size < file.get("least_bytes", 0):
            print(f"{file['name']} has {path.stat().st_size} bytes, the published one {file['least_bytes']}")


if __name__ == "__main__":
    config = read_arguments(__doc__)
    check_sizes(Path(config["challenge"]["folder"]))
    reach("prepare", config)
