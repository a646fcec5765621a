"""Where results go: the output of each image, checked before any work is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from skadetect.errors import ConfigError, OutputError


def output_paths(images: Sequence[Path], out: str, *, suffix: str) -> list[Path]:
    """Choose the output file of each image.

    Parameters
    ----------
    images : sequence of Path
        The input images.
    out : str
        A file (for one image), an existing directory or a name that ends in ``/`` (files named after the
        images), or a pattern with ``{name}`` in it.
    suffix : str
        Suffix of the files in a directory, such as ``".fits"``.

    Returns
    -------
    list of Path
        One output for each image, all different.

    Raises
    ------
    ConfigError
        If several images would be written to one file.
    """
    if "{name}" in out:
        paths = [Path(out.replace("{name}", image_name(image))) for image in images]
    elif out.endswith("/") or Path(out).is_dir():
        paths = [Path(out) / f"{image_name(image)}{suffix}" for image in images]
    elif len(images) == 1:
        paths = [Path(out)]
    else:
        raise ConfigError(
            f"--out {out}: {len(images)} images need a directory ({out}/) or a pattern with {{name}}"
        )
    taken: dict[Path, Path] = {}
    for image, path in zip(images, paths):
        if path in taken:
            raise ConfigError(f"{taken[path]} and {image} would both be written to {path}")
        taken[path] = image
    return paths


def image_name(image: Path) -> str:
    """Name of an image without its folder and without ``.fits``, ``.fits.gz`` and the like.

    Parameters
    ----------
    image : Path
        The image.

    Returns
    -------
    str
        Its bare name.
    """
    name = image.name
    for suffix in (".gz", ".fits", ".fit", ".fts"):
        name = name.removesuffix(suffix)
    return name


def check_output(path: Path, *, overwrite: bool) -> None:
    """Make the folder of an output and see that the file can be written there.

    Parameters
    ----------
    path : Path
        The file to be written.
    overwrite : bool
        Whether it may exist already.

    Raises
    ------
    OutputError
        If the file exists and may not be replaced, or its folder cannot be made.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a directory, expected a file name")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; give --overwrite to replace it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path.parent}: {error.strerror or error}") from error
