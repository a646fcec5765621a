from __future__ import annotations

from pathlib import Path

import pytest

from skadetect.errors import ConfigError
from skadetect.train.options import read_options
from tests.train.small_field import write_config

PIPELINE = Path(__file__).parents[2] / "pipelines" / "continuum" / "config.toml"


def test_a_file_becomes_options_and_its_folder(tmp_path):
    options, base = read_options(write_config(tmp_path / "a.toml", steps=7))
    assert base == tmp_path
    assert (options.steps, options.sampling.patch, options.head.stride) == (7, 32, (1, 4, 4))
    assert options.fields[0].folders == ("field*",)
    assert options.network_spec.output_features == options.head.n_outputs


def test_the_shipped_pipeline_reads():
    options, _ = read_options(PIPELINE)
    assert options.name == "continuum"
    assert options.network_spec.output_features == options.head.n_outputs
    assert options.network_spec.input_features == options.normalization.features
    assert 30e3 < options.network_spec.flops_per_pixel() < 60e3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[sampling]", "[samplin]", "samplin"),
        ("patch = 32", "patch = 30", "stride"),
        ("parameters = 5", "parameters = 4", "parameters"),
        ("stride = [1, 4, 4]", "stride = [1, 2, 2]", "stride"),
        ("steps = 3", "steps = 0", "steps"),
        ('name = "tiny"', 'parameters = "hydrogen"', "hydrogen"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, old, new, message):
    path = write_config(tmp_path / "a.toml")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=message):
        read_options(path)


def test_a_file_extends_another(tmp_path):
    write_config(tmp_path / "a.toml", steps=7)
    (tmp_path / "b.toml").write_text('extends = "a.toml"\nseed = 5\n\n[sampling]\nbatch = 3\n')
    base, more = (read_options(tmp_path / name)[0] for name in ("a.toml", "b.toml"))
    assert (more.seed, more.sampling.batch) == (5, 3)
    assert (more.steps, more.sampling.patch, more.network) == (7, base.sampling.patch, base.network)
    (tmp_path / "c.toml").write_text('extends = "absent.toml"\n')
    with pytest.raises(ConfigError, match="absent.toml"):
        read_options(tmp_path / "c.toml")
