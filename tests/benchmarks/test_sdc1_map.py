"""The tiled map holds its sources where its training set says, as bright as the primary beam lets them be."""

import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

sys.path.insert(0, str(Path(__file__).parent))

import sdc1_map

from skadetect.catalog.sdc1 import read_sdc1
from skadetect.catalog.sdc1_export import primary_beam_at
from skadetect.sdc import sdc1_files


def test_sources_shine_where_they_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(sdc1_map, "FIELD", 256)
    monkeypatch.setattr(sdc1_map, "RINGS", np.array([0.0, 0.15]))
    sdc1_map.write_map(tmp_path, 1024)
    files = {role: tmp_path / file.name for role, file in sdc1_files().items()}
    table = read_sdc1(files["training"], strict=False).nlargest(60, "flux")
    image = np.squeeze(fits.getdata(files["image"]))
    assert image.shape == (1024, 1024)
    x, y = (np.rint(table[name].to_numpy() - 1).astype(int) for name in ("x", "y"))
    gain = primary_beam_at(files["primary_beam"], table["ra_core"].to_numpy(), table["dec_core"].to_numpy())
    apparent = table["flux"].to_numpy() * gain
    lit = np.array([image[max(b - 2, 0) : b + 3, max(a - 2, 0) : a + 3].max() for a, b in zip(x, y)])
    assert np.median(lit / apparent) == pytest.approx(0.6, abs=0.35)
    assert np.mean(lit > 20 * np.median(np.abs(image))) > 0.9
    # both mirrored and plain tiles are among them
    assert len(set(zip((x // 256 % 2).tolist(), (y // 256 % 2).tolist()))) >= 2
