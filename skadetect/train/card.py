"""Parts of a model card that hold for any model: what the header of its file says, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skadetect.nn.model import Model

FEWEST = 20  # sources that a median is worth printing of


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def facts(model: Model, size: int) -> str:
    """The file in a few numbers; `size` is its size in bytes."""
    parameters = sum(array.size for array in model.network.parameters.values())
    flops = model.network.spec.flops_per_pixel() / 1e3
    reach, overlap = (_extents(value, model.head.ndim) for value in (model.network.halo, model.halo))
    unit = "pixel" if model.head.ndim == 2 else "voxel"
    rows = [
        ("file", f"{model.name}.safetensors, {size / 1e6:.2f} MB, float32"),
        ("weights", f"SHA-256 {model.digest}..., {parameters} parameters"),
        ("arithmetic", f"{flops:.1f} kFLOP a {unit}"),
        ("receptive field", f"{reach} {unit}s around a cell (tiles overlap by {overlap})"),
        ("threshold", f"{model.threshold:.2f}"),
        ("made by", f"skadetect {model.metadata['skadetect']}"),
    ]
    return table(("", ""), rows)


def inputs(model: Model) -> str:
    """What the network sees."""
    normalization = model.normalization
    low, high = normalization.fwhm_range
    names = [f"{function}(s / {scale:g}) / {by:g}" for function, scale, by in normalization.stretches]
    names += ["log2(beam FWHM / 3)", "e cos 2t", "e sin 2t"] if normalization.beam_planes else []
    return (
        f"s = (pixel - background) / local noise, blank pixels 0, {model.head.ndim}D. "
        f"The beam is {low:g} to {high:g} pixels wide (FWHM);\nother images are resampled into that range. "
        "The beam has ellipticity e = (a^2 - b^2)/(a^2 + b^2) and angle t. Features:\n\n"
        + "\n".join(f"{index}. {name}" for index, name in enumerate(names, start=1))
    )


def network(model: Model) -> str:
    """Layer by layer."""
    rows, ndim = [], model.head.ndim
    for layer, inputs_, outputs in model.network.spec.walk():
        own = [a.size for name, a in model.network.parameters.items() if name.startswith(f"{layer.name}.")]
        shape = "x".join(str(extent) for extent in layer.extent[-ndim:]) if layer.kind == "conv" else ""
        stride = _extents(layer.stride, ndim) if layer.spatial else ""
        extras = [f"+ {layer.source}"] * (layer.kind == "add") + ["batch norm"] * layer.norm
        extras += [f"leaky ReLU {layer.slope:g}"] * (layer.kind == "conv" and layer.slope != 1.0)
        features = f"{inputs_} to {outputs}"
        rows.append((layer.name, layer.kind, shape, stride, features, ", ".join(extras), sum(own) or ""))
    return table(("layer", "kind", "filter", "stride", "features", "then", "parameters"), rows)


def head(model: Model) -> str:
    """What its outputs mean."""
    spec = model.head
    sides = ", ".join("x".join(f"{side:g}" for side in prior) for prior in spec.priors)
    unit = "px" if spec.ndim == 2 else "voxels"
    text = (
        f"A cell is {_extents(spec.stride, spec.ndim)} {'pixels' if spec.ndim == 2 else 'voxels'} wide and "
        f"predicts one box for each prior ({sides} {unit}): position, sides,\nprobability, objectness and "
        f"{spec.parameters} parameters. Boxes with a plain DIoU above {model.nms_overlap:g} to a better one "
        "are dropped.\n\n"
    )
    rows = [
        (p.name, p.description, p.transform, "" if p.scale == "none" else p.scale) for p in model.parameters
    ]
    return text + table(("parameter", "meaning", "encoded as", "relative to"), rows)


def ranges(names: Iterable[str]) -> list[str]:
    """Names that end in a number, as ranges a prefix."""
    groups: dict[str, set[str]] = {}
    for name in names:
        parts = re.fullmatch(r"(.*?)(\d*)", name)
        if parts is not None:
            groups.setdefault(parts[1], set()).add(parts[2])
    return [
        f"`{prefix}{min(numbers)}` to `{max(numbers)}` ({len(numbers)})"
        for prefix, numbers in sorted(groups.items())
    ]


def pull_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Width and median of each quantity's pulls, a row a group and bin of signal to noise.

    Parameters
    ----------
    rows : sequence of mappings
        As `skadetect.evaluate.pulls.summarise` gives them, with a group.
    """
    lines: dict[tuple[Any, ...], dict[str, str]] = {}
    for row in rows:
        low, high = row["low"], row["high"]
        snr = "all" if low == 0 and high > 1e8 else f"over {low:g}" if high > 1e8 else f"{low:g} to {high:g}"
        line = lines.setdefault((row["group"], snr), {"sources": "0"})
        if row["n"] >= FEWEST:
            line[row["quantity"]] = f"{row['width']:.2f} ({row['median']:+.2f})"
        if row["quantity"] == "flux":
            line["sources"] = str(row["n"])
    names = list(dict.fromkeys(row["quantity"] for row in rows))
    header = ("group", "signal to noise", "sources", *names[:-1], "flux, relative")
    cells = [
        [f"`{group}`", snr, line["sources"], *(line.get(n, "") for n in names)]
        for (group, snr), line in lines.items()
    ]
    return table(header, cells)


def _extents(values: Sequence[int], ndim: int) -> str:
    """Extents of the ndim axes, one number where they are equal."""
    axes = list(values)[-ndim:]
    return str(axes[0]) if len(set(axes)) == 1 else " x ".join(map(str, axes))
