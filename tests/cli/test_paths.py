"""Where results go."""

from __future__ import annotations

from pathlib import Path

import pytest

from skadetect.cli.paths import check_output, image_name, output_paths
from skadetect.errors import ConfigError, OutputError

IMAGES = [Path("data/a.fits"), Path("data/b.fits.gz")]


def test_one_image_goes_to_the_file_that_is_named() -> None:
    assert output_paths(IMAGES[:1], "out.csv", suffix=".fits") == [Path("out.csv")]


def test_folder_and_pattern_name_the_files_after_the_images(tmp_path: Path) -> None:
    assert output_paths(IMAGES, "new/", suffix=".vot") == [Path("new/a.vot"), Path("new/b.vot")]
    assert output_paths(IMAGES[:1], str(tmp_path), suffix=".fits") == [tmp_path / "a.fits"]
    assert output_paths(IMAGES, "x/{name}-s.csv", suffix=".fits") == [Path("x/a-s.csv"), Path("x/b-s.csv")]


def test_two_images_never_share_an_output() -> None:
    with pytest.raises(ConfigError, match="2 images need a directory"):
        output_paths(IMAGES, "out.fits", suffix=".fits")
    with pytest.raises(ConfigError, match=r"p/a\.fits and q/a\.fits\.gz would both"):
        output_paths([Path("p/a.fits"), Path("q/a.fits.gz")], "out/", suffix=".fits")


@pytest.mark.parametrize(
    ("file", "name"),
    [("a.fits", "a"), ("d/a.b.fits.gz", "a.b"), ("a.fit", "a"), ("a", "a"), ("a.image", "a.image")],
)
def test_bare_names(file: str, name: str) -> None:
    assert image_name(Path(file)) == name


def test_output_is_checked_before_the_work(tmp_path: Path) -> None:
    check_output(tmp_path / "new" / "deep" / "out.fits", overwrite=False)
    assert (tmp_path / "new" / "deep").is_dir()
    old = tmp_path / "old.fits"
    old.write_text("x")
    with pytest.raises(OutputError, match="exists already; give --overwrite"):
        check_output(old, overwrite=False)
    check_output(old, overwrite=True)
    assert old.read_text() == "x"
    with pytest.raises(OutputError, match="is a directory"):
        check_output(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match="cannot make the folder"):
        check_output(old / "out.fits", overwrite=False)
