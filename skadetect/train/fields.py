"""Training fields: an image as signal to noise, held in memory, with its true sources in the same pixels."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skadetect.background import Background, estimate_background
from skadetect.beams import PixelBeam
from skadetect.errors import ConfigError, InputError
from skadetect.image import Image, open_image
from skadetect.normalize import Normalization
from skadetect.resample import match_sampling
from skadetect.train.sources import Sources
from skadetect.train.truth import attenuate, place, primary_beam_at, read_truth

Path_ = str | os.PathLike[str]

#: Expected peak, in units of the noise, that a faint source is given which was found all the same.
FOUND_SNR = 3.0


@dataclass(frozen=True)
class FieldFiles:
    """Where one field's files are; `primary_beam` is None for an image without one, `labels` without any."""

    image: Path
    truth: Path
    primary_beam: Path | None = None
    labels: Path | None = None


#: In the name of a file of labels: the folder of the field that they are of.
EACH_FOLDER = "{folder}"


@dataclass(frozen=True)
class FieldGroup:
    """Fields that are drawn from with one weight.

    Attributes
    ----------
    folders : tuple of str
        Folders or glob patterns of folders, relative to the configuration's folder.
    image, truth, primary_beam : str
        Names of the files in each folder; a primary beam that is not there is taken as 1.
    weight : float
        Share of the patches that come from this group, relative to the other groups.
    labels : str
        File that overrules which sources are targets; see `relabelled`. ``{folder}`` in it stands for each
        folder; without it the group may have one folder only.
    """

    folders: tuple[str, ...]
    image: str = "image.fits"
    truth: str = "truth.txt"
    primary_beam: str = "primary_beam.fits"
    weight: float = 1.0
    labels: str = ""

    def files(self, base: Path) -> list[FieldFiles]:
        """The fields of the group in a fixed order.

        Raises
        ------
        ConfigError
            If no folder holds both an image and a truth.
        """
        folders = sorted({Path(name) for pattern in self.folders for name in glob.glob(str(base / pattern))})
        found = [
            folder for folder in folders if (folder / self.image).exists() and (folder / self.truth).exists()
        ]
        if not found:
            raise ConfigError(f"no folder of {list(self.folders)} holds '{self.image}' and '{self.truth}'")
        if self.labels and EACH_FOLDER not in self.labels and len(found) != 1:
            raise ConfigError(
                f"labels '{self.labels}' belong to one folder, {len(found)} are given ({EACH_FOLDER} is each)"
            )
        return [self._in(folder, base) for folder in found]

    def _in(self, folder: Path, base: Path) -> FieldFiles:
        """The files of one folder."""
        beam = folder / self.primary_beam
        labels = base / self.labels.replace(EACH_FOLDER, str(folder.absolute())) if self.labels else None
        primary_beam = beam if beam.is_file() else None
        return FieldFiles(folder / self.image, folder / self.truth, primary_beam, labels)


@dataclass(frozen=True)
class Observation:
    """An image, resampled if need be, with its background and signal-to-noise map (z, y, x) float32."""

    image: Image
    background: Background
    snr: np.ndarray

    def rms_at(self, position: np.ndarray) -> np.ndarray:
        """Local rms, in the image's unit, at array-order pixel positions (n, 2)."""
        _, rms = self.background.at((0, 0, 0), self.image.shape)
        row, column = _nearest(position, self.image.shape)
        return rms[0, row, column].astype(np.float64)


@dataclass(frozen=True)
class Field:
    """What patches are drawn from.

    Attributes
    ----------
    name : str
        For messages.
    snr : numpy.ndarray, (z, y, x), float32
        (pixel - background) / local rms, blank pixels 0.
    beam : PixelBeam
        In the map's pixels.
    sources : Sources
        In the map's pixels.
    """

    name: str
    snr: np.ndarray
    beam: PixelBeam
    sources: Sources


def observe(image: Path_, normalization: Normalization) -> Observation:
    """Open an image and bring it to the sampling and the signal to noise that a network sees.

    Raises
    ------
    InputError
        If the image cannot be read.
    """
    seen = match_sampling(open_image(image), normalization.fwhm_range, normalization.channel_range)
    background = estimate_background(seen)
    first = (0, 0, 0)
    return Observation(seen, background, background.snr(seen.read(first, seen.shape), first))


def load_field(
    image: Path_,
    truth: Path_,
    *,
    primary_beam: Path_ | None = None,
    normalization: Normalization | None = None,
    min_snr: float = 1.0,
    labels: Path_ | None = None,
) -> Field:
    """Read a field into memory.

    Parameters
    ----------
    image : path
        FITS image.
    truth : path
        Catalogue as `read_truth` takes it.
    primary_beam : path, optional
        FITS image of the response that the true fluxes must be multiplied by.
    normalization : Normalization, optional
        Gives the range of beam sizes and the signal to noise.
    min_snr : float
        Sources that are expected to peak lower are left out.
    labels : path, optional
        Array of the truth's rows that overrules this; see `relabelled`.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    seen = observe(image, normalization or Normalization())
    table = read_truth(truth)
    sources = place(table, seen.image.wcs, pixel_scale=seen.image.pixel_scale)
    gain = 1.0 if primary_beam is None else primary_beam_at(primary_beam, table.ra, table.dec)
    rms, beam = seen.rms_at(sources.position), seen.image.pixel_beam
    sources = attenuate(sources, table, gain=np.asarray(gain), rms=rms, beam=beam)
    if labels is not None:
        sources = relabelled(sources, labels)
    return Field(str(image), seen.snr, beam, sources.take(_usable(sources, seen.snr, min_snr)))


def relabelled(sources: Sources, labels: Path_) -> Sources:
    """Sources with expected peaks that make targets of some and none of others.

    Parameters
    ----------
    sources : Sources
        Of all rows of a truth.
    labels : path
        NumPy array (n,) of int: 1 for a source that can be found though it is faint, -1 for one that cannot
        though it is bright, 0 for all others.

    Raises
    ------
    InputError
        The file is no such array.
    """
    try:
        label = np.load(labels)
    except (OSError, ValueError) as error:
        raise InputError(f"labels '{labels}' cannot be read: {error}") from error
    if label.shape != sources.peak_snr.shape:
        raise InputError(f"labels '{labels}' are of {len(label)} sources, the truth has {len(sources)}")
    peak = np.where(label > 0, np.maximum(sources.peak_snr, FOUND_SNR), sources.peak_snr)
    return sources.with_(peak_snr=np.where(label < 0, 0.0, peak))


def load_fields(
    groups: Sequence[FieldGroup],
    base: Path,
    *,
    normalization: Normalization,
    min_snr: float,
    channels: int = 1,
) -> tuple[list[Field], np.ndarray]:
    """Read the fields of all groups, and the weight of each to be drawn: by group weight, then by area.

    With more than one channel they are cubes, read in slabs of so many.

    Raises
    ------
    ConfigError
        If a group is empty.
    InputError
        If a file cannot be read.
    """
    fields: list[Field] = []
    weights: list[float] = []
    for group in groups:
        load = _loader(normalization, min_snr, channels)
        some = [one for files in group.files(base) for one in load(files)]
        area = sum(field.snr.size for field in some)
        weights += [group.weight * field.snr.size / area for field in some]
        fields += some
    return fields, np.asarray(weights)


def _loader(
    normalization: Normalization, min_snr: float, channels: int
) -> Callable[[FieldFiles], list[Field]]:
    """What reads the fields of some files: of an image one, of a cube several."""

    def image(files: FieldFiles) -> list[Field]:
        one = load_field(
            files.image,
            files.truth,
            primary_beam=files.primary_beam,
            normalization=normalization,
            min_snr=min_snr,
            labels=files.labels,
        )
        return [one]

    def cube(files: FieldFiles) -> list[Field]:
        from skadetect.train.cube_fields import load_cube_fields  # which knows the fields of images

        return load_cube_fields(
            files.image, files.truth, channels=channels, normalization=normalization, min_snr=min_snr
        )

    return cube if channels > 1 else image


def _usable(sources: Sources, snr: np.ndarray, min_snr: float) -> np.ndarray:
    """Which sources lie on pixels with data and are bright enough to matter."""
    height, width = snr.shape[-2:]
    y, x = sources.position[:, 0], sources.position[:, 1]
    inside = (y > -0.5) & (y < height - 0.5) & (x > -0.5) & (x < width - 0.5)
    row, column = _nearest(sources.position, snr.shape)
    # a blank pixel is exactly zero, a measured one all but never
    return np.asarray(inside & (sources.peak_snr > min_snr) & (snr[0, row, column] != 0.0))


def _nearest(position: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the pixel of each position, held within the image."""
    safe = np.nan_to_num(position)
    row = np.clip(np.rint(safe[:, -2]).astype(int), 0, shape[-2] - 1)
    column = np.clip(np.rint(safe[:, -1]).astype(int), 0, shape[-1] - 1)
    return row, column
