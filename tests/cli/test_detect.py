"""Detection from the command line, with a model that is a threshold on the highest pixel of each cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from click.testing import CliRunner, Result

from skadetect.cli import main
from skadetect.nn.head import HeadSpec
from skadetect.nn.model import Model
from skadetect.nn.network import Network
from skadetect.nn.spec import NetworkSpec
from skadetect.normalize import Normalization
from skadetect.parameters import CONTINUUM

SOURCES = [(21.5, 29.5), (45.5, 89.5), (61.5, 41.5)]  # y, x: in the middle of a cell


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model file: highest tanh(s / 4) of a cell, minus that of 6 sigma."""
    pool = {"kind": "pool", "name": "highest", "extent": [1, 4, 4], "stride": [1, 4, 4], "padding": [0, 0, 0]}
    head = HeadSpec(priors=((5.0, 5.0),), parameters=len(CONTINUUM))
    outputs = {"kind": "conv", "name": "outputs", "features": head.n_outputs}
    spec = NetworkSpec.from_dict({"input_features": 5, "layers": [pool, outputs]})
    parameters = Network.initialise(spec, np.random.default_rng(0)).parameters
    filters, bias = (np.zeros_like(parameters[f"outputs.{name}"]) for name in ("filters", "bias"))
    filters[0, 0, 0, 0, 5] = 100.0
    bias[5] = -100.0 * np.tanh(6.0 / 4.0)
    network = Network(spec, {"outputs.filters": filters, "outputs.bias": bias}, {})
    path = tmp_path_factory.mktemp("model") / "peaks.safetensors"
    return str(Model(network, head, Normalization(), CONTINUUM, threshold=0.5, name="peaks").save(path))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_image(tmp_path / "field.fits")


def write_image(path: Path, *, beam: bool = True) -> Path:
    """Three round sources of 30 sigma in noise."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:96, :128]
    pixels = rng.normal(0.0, 1e-3, y.shape)
    for row, column in SOURCES:
        pixels += 0.03 * np.exp(-4 * np.log(2) * ((y - row) ** 2 + (x - column) ** 2) / 3.0**2)
    header = fits.Header(
        {
            "CTYPE1": "RA---SIN", "CRVAL1": 150.0, "CRPIX1": 64.0, "CDELT1": -1 / 3600, "CUNIT1": "deg",
            "CTYPE2": "DEC--SIN", "CRVAL2": -30.0, "CRPIX2": 48.0, "CDELT2": 1 / 3600, "CUNIT2": "deg",
            "BUNIT": "Jy/beam",
        }
    )  # fmt: skip
    if beam:
        header.update(BMAJ=3 / 3600, BMIN=3 / 3600, BPA=0.0)
    fits.writeto(path, pixels.astype(np.float32), header)
    return path


def detect(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["detect", *map(str, arguments)])


def assert_one_line(result: Result, *parts: str) -> None:
    """The run ended with one line on stderr that names all parts, and no traceback."""
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("skadetect: error: ")
    for part in parts:
        assert part in result.stderr


def test_catalogue_plot_summary_and_rows(image: Path, model: str, tmp_path: Path) -> None:
    out, plot = tmp_path / "new" / "out.fits", tmp_path / "new" / "out.png"
    result = detect(image, "-o", out, "--model", model, "--plot", plot, "--brightest", 2)
    assert result.exit_code == 0, result.output
    table = Table.read(out)
    assert len(table) == len(SOURCES)
    np.testing.assert_allclose(sorted(zip(table["y"], table["x"])), SOURCES, atol=0.6)
    assert {"ra", "dec", "peak_flux", "score"} <= set(table.colnames)
    assert f"{image}: 3 sources in" in result.stderr
    assert f"written to {out} and {plot}" in result.stderr
    assert plot.read_bytes()[:4] == b"\x89PNG"
    assert len(result.stdout.splitlines()) >= 3  # two rows under a heading


def test_quiet_says_nothing(image: Path, model: str, tmp_path: Path) -> None:
    result = detect(image, "-o", tmp_path / "out.csv", "--model", model, "-q")
    assert (result.exit_code, result.output) == (0, "")


def test_flags_win_over_the_file(image: Path, model: str, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(f'model = "{model}"\nthreshold = 0.3\ntile = 64\n')
    result = detect(image, "-o", tmp_path / "out.fits", "--config", config, "--threshold", 0.9)
    assert result.exit_code == 0, result.output
    assert float(Table.read(tmp_path / "out.fits").meta["THRESH"]) == 0.9


def test_several_images_get_a_file_each_and_one_failure_does_not_stop_the_rest(
    image: Path, model: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.fits"
    broken.write_text("nothing")
    result = detect(broken, image, "-o", f"{tmp_path}/out/", "--format", "csv", "--model", model)
    assert result.exit_code == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["field.csv"]
    lines = [line for line in result.stderr.splitlines() if line.startswith("skadetect: error: ")]
    assert len(lines) == 2
    assert "broken.fits" in lines[0]
    assert lines[1].endswith("1 of 2 images failed")


def test_image_without_a_beam_asks_for_one_and_takes_it(model: str, tmp_path: Path) -> None:
    image = write_image(tmp_path / "nobeam.fits", beam=False)
    arguments = [image, "-o", tmp_path / "out.csv", "--model", model, "-q"]
    assert_one_line(detect(*arguments), "nobeam.fits", "beam")
    result = detect(*arguments, "--beam", "3 3 0")
    assert result.exit_code == 0, result.output


def test_bad_requests_end_with_one_line(image: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "out.fits"
    assert_one_line(detect(tmp_path / "absent.fits", "-o", out, "--model", model, "-q"), "absent.fits")
    assert_one_line(detect(image, "-o", out, "--model", "absent"), "'absent'")
    assert_one_line(detect(image, "-o", out, "--model", model, "--threshold", "1.5"), "threshold", "1.5")
    assert_one_line(detect(image, "-o", tmp_path / "out.doc", "--model", model, "-q"), "out.doc")
    assert_one_line(detect(image, "-o", out, "--model", model, "--beam", "1 2"), "--beam", "'1 2'")
    config = tmp_path / "run.toml"
    config.write_text("treshold = 0.5\n")
    assert_one_line(detect(image, "-o", out, "--config", config), "'treshold'", "'threshold'")
    assert not out.exists()


def test_existing_output_is_kept_unless_overwrite(image: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")
    assert_one_line(detect(image, "-o", out, "--model", model), "out.csv", "--overwrite")
    assert out.read_text() == "mine"
    assert detect(image, "-o", out, "--model", model, "--overwrite").exit_code == 0
    assert out.read_text() != "mine"
