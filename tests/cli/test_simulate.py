"""Simulated fields and cubes from the command line."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
from astropy.io import fits
from click.testing import CliRunner, Result

from skadetect.cli import main
from skadetect.simulate import ContinuumOptions, HiOptions


def simulate(*arguments: str, kind: str = "continuum") -> Result:
    return CliRunner().invoke(main, ["simulate", kind, *arguments])


def test_field_follows_flags_and_file_and_is_not_replaced_by_mistake(tmp_path: Path) -> None:
    config = tmp_path / "field.toml"
    config.write_text("size = 96\nseed = 5\nnan_border = 3\n")
    arguments = ["--out", str(tmp_path / "field"), "--config", str(config), "--size", "64"]
    result = simulate(*arguments)
    assert result.exit_code == 0, result.output
    image = np.squeeze(fits.getdata(tmp_path / "field" / "image.fits"))
    assert image.shape == (64, 64)
    assert np.isnan(image[:3]).all()
    assert np.isfinite(image[3:-3, 3:-3]).all()
    assert {path.name for path in (tmp_path / "field").iterdir()} == {
        "image.fits",
        "primary_beam.fits",
        "truth.txt",
    }

    refused = simulate(*arguments)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert simulate(*arguments, "--overwrite").exit_code == 0


def test_every_option_has_a_flag_with_help() -> None:
    for kind, options in (("continuum", ContinuumOptions), ("hi", HiOptions)):
        text = simulate("--help", kind=kind).output
        for field in fields(options):
            assert f"--{field.name.replace('_', '-')}" in text


def test_value_out_of_range_is_one_line(tmp_path: Path) -> None:
    result = simulate("--out", str(tmp_path), "--hours", "7")
    assert result.exit_code == 2
    assert result.stderr == "skadetect: error: hours = 7: expected one of 8, 100, 1000\n"


def test_cube_follows_flags_and_file_and_is_not_replaced_by_mistake(tmp_path: Path) -> None:
    config = tmp_path / "cube.toml"
    config.write_text('seed = 5\nsetting = "nearby"\nspectral_axis = "velocity"\nshape = [32, 32, 32]\n')
    out = str(tmp_path / "cube")
    arguments = ["--out", out, "--config", str(config), "--shape", "12", "20", "24", "--quiet"]
    result = simulate(*arguments, kind="hi")
    assert result.exit_code == 0, result.output
    header = fits.getheader(tmp_path / "cube" / "cube.fits")
    assert [header[f"NAXIS{i}"] for i in (1, 2, 3)] == [24, 20, 12]
    assert header["CTYPE3"] == "VRAD"
    assert fits.getdata(tmp_path / "cube" / "continuum.fits").shape == (20, 24)
    first = (tmp_path / "cube" / "truth.txt").read_text().splitlines()[0]
    assert first == "id ra dec hi_size line_flux_integral central_freq pa i w20"

    refused = simulate(*arguments, kind="hi")
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert simulate(*arguments, "--overwrite", kind="hi").exit_code == 0
