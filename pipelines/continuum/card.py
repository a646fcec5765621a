"""The model card: what the header of a model file says, as Markdown."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from skadetect.nn.model import Model

UNIT_OF_FLOOR = {
    "e_ra": "bmaj",
    "e_dec": "bmaj",
    "e_int_flux": "int_flux",
    "e_bmaj": "bmaj beyond the beam's",
    "e_bmin": "bmin beyond the beam's",
    "e_pa": "radian",
}
LIMITS = """\
- It learned from simulations only: populations and imaging as in SDC1 at 560 MHz, and variations of that.
  Galactic emission, giant radio galaxies and strong calibration errors are not among them.
- It looks {reach} pixels around a source. Emission much larger than the beam is found in pieces.
- `score` is the network's objectness, tuned to a threshold; it is no calibrated probability.
- Sources expected to peak below {min_snr} times the local noise were no targets.
- Fluxes are apparent: no primary beam is corrected (the `sdc1` format does). Simulated imaging loses part of
  the faint emission, as SDC1's did, and the network gives back what is usually lost; on an image that loses
  nothing, or more, the fluxes of faint sources are off accordingly.
- Sizes of faint sources lean on the sizes that are usual. Pulls of the axes are skewed: large sources come
  out too small more often than small ones too large, and {tail} % of the pulls of `bmaj` are beyond three.
- Errors are calibrated over SDC1's and other telescopes together, half each; the table tells how they fare on
  either. One telescope can be off by more, `bmin` most, where the beam is elongated. Those of `pa` are
  calibrated on SDC1's round beam alone. Those of `peak_flux` are of the pixels' noise alone and those of
  `pa_deconv` are the network's own: neither is calibrated."""
INTRODUCTION = """\
{description}. It finds, measures and separates the sources
of images of any unit, depth and telescope: whatever is above {min_snr} times the local noise and not much
larger than the beam. `skadetect detect` uses it unless told otherwise."""
FEWEST = 20  # sources that a median is worth printing of


def model_card(model: Model, size: int) -> str:
    """Everything a user should know of a model.

    Parameters
    ----------
    model : Model
        As ship.py made it: with metadata of training, validation and calibration.
    size : int
        Of its file, bytes.
    """
    selection = model.metadata["training"][-1]["options"]["selection"]
    words = {"description": model.metadata["description"], "min_snr": selection["min_snr"]}
    words |= {"reach": max(model.network.halo), "tail": f"{100 * model.metadata['bmaj_beyond_three']:.0f}"}
    parts = [
        f"# {model.name}",
        INTRODUCTION.format(**words),
        facts(model, size),
        "## Input\n" + inputs(model),
        "## Network\n" + network(model),
        "## Output\n" + head(model),
        "## Training\n" + training(model),
        "## Validation\n" + validation(model),
        "## Errors\n" + errors(model),
        "## Limits\n" + LIMITS.format(**words),
        "## Licence\nBSD-3-Clause, as skadetect. Cite it as CITATION.cff says.",
    ]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def facts(model: Model, size: int) -> str:
    """The file in a few numbers."""
    parameters = sum(array.size for array in model.network.parameters.values())
    flops = model.network.spec.flops_per_pixel() / 1e3
    rows = [
        ("file", f"{model.name}.safetensors, {size / 1e6:.2f} MB, float32"),
        ("weights", f"SHA-256 {model.digest}..., {parameters} parameters"),
        ("arithmetic", f"{flops:.1f} kFLOP a pixel"),
        (
            "receptive field",
            f"{max(model.network.halo)} pixels around a cell (tiles overlap by {max(model.halo)})",
        ),
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
        "s = (pixel - background) / local noise, blank pixels 0, 2D. "
        f"The beam is {low:g} to {high:g} pixels wide (FWHM);\nother images are resampled into that range. "
        "The beam has ellipticity e = (a^2 - b^2)/(a^2 + b^2) and angle t. Features:\n\n"
        + "\n".join(f"{index}. {name}" for index, name in enumerate(names, start=1))
    )


def network(model: Model) -> str:
    """Layer by layer."""
    rows = []
    for layer, inputs_, outputs in model.network.spec.walk():
        own = [a.size for name, a in model.network.parameters.items() if name.startswith(f"{layer.name}.")]
        shape = "x".join(str(extent) for extent in layer.extent[1:]) if layer.kind == "conv" else ""
        stride = layer.stride[-1] if layer.spatial else ""
        extras = [f"+ {layer.source}"] * (layer.kind == "add") + ["batch norm"] * layer.norm
        extras += [f"leaky ReLU {layer.slope:g}"] * (layer.kind == "conv" and layer.slope != 1.0)
        features = f"{inputs_} to {outputs}"
        rows.append((layer.name, layer.kind, shape, stride, features, ", ".join(extras), sum(own) or ""))
    return table(("layer", "kind", "filter", "stride", "features", "then", "parameters"), rows)


def head(model: Model) -> str:
    """What its outputs mean."""
    spec = model.head
    sides = ", ".join("x".join(f"{side:g}" for side in prior) for prior in spec.priors)
    text = (
        f"A cell is {spec.stride[-1]} pixels wide and predicts one box for each prior ({sides} px): "
        f"position, sides,\nprobability, objectness and {spec.parameters} parameters. Boxes with a plain "
        f"DIoU above {model.nms_overlap:g} to a better one are dropped.\n\n"
    )
    rows = [
        (p.name, p.description, p.transform, "" if p.scale == "none" else p.scale) for p in model.parameters
    ]
    return text + table(("parameter", "meaning", "encoded as", "relative to"), rows)


def training(model: Model) -> str:
    """How it was made."""
    stages = model.metadata["training"]
    rows = []
    for number, stage in enumerate(stages, start=1):
        options = stage["options"]
        weights = ", ".join(f"{', '.join(g['folders'])} {g['weight']:g}" for g in options["fields"])
        seen = f"{stage['patches']} of {options['sampling']['patch']}^2"
        rate = f"{options['optimizer']['learning_rate']:g}"
        rows.append((number, stage["steps"], seen, stage["targets"], options["seed"], rate, weights))
    columns = (
        "stage",
        "steps",
        "patches (px)",
        "targets",
        "seed",
        "learning rate",
        "groups of fields, share",
    )
    fields = ", ".join(ranges(name for stage in stages for name in stage["fields"]))
    done = "\n".join(f"    {command}" for command in model.metadata["commands"])
    return (
        f"{done}\n\n{table(columns, rows)}\n\nSimulated fields, named by their seeds: {fields}.\n"
        "A later stage starts from the averaged weights of the one before. All options are in the file's "
        "header."
    )


def ranges(names: Iterable[str]) -> list[str]:
    """Names that end in a number, as ranges a prefix."""
    groups: dict[str, set[str]] = {}
    for name in names:
        prefix, number = re.fullmatch(r"(.*?)(\d*)", name).groups()
        groups.setdefault(prefix, set()).add(number)
    return [
        f"`{prefix}{min(numbers)}` to `{max(numbers)}` ({len(numbers)})"
        for prefix, numbers in sorted(groups.items())
    ]


def validation(model: Model) -> str:
    """Its metrics on fields that no training saw."""
    metrics, options = model.metadata["validation"], model.metadata["validation_options"]
    bright = options["completeness_snr"]
    chosen = f"threshold: of the highest SDC1 score whose purity is at least {options['lowest_purity']:g}"
    rows = [
        (chosen, f"{metrics['threshold']:.2f}"),
        ("official SDC1 score, three fields together", f"{metrics['score']:.0f}"),
        ("its purity", f"{metrics['score_purity']:.3f}"),
        ("its mean attribute score", f"{metrics['mean_attribute']:.3f}"),
        (f"completeness, expected peak {bright:g} sigma or more", f"{metrics['completeness']:.3f}"),
        (f"purity, expected peak {options['real_snr']:g} sigma or more", f"{metrics['purity']:.3f}"),
        (f"average precision, {bright:g} sigma or more", f"{metrics['average_precision']:.3f}"),
    ]
    names = ", ".join(ranges(model.metadata["held_out_fields"]))
    return f"On held-out fields: {names}.\n\n" + table(("metric", "value"), rows)


def errors(model: Model) -> str:
    """How errors were calibrated, and how well that holds."""
    metadata = model.metadata
    fitted = [
        (f"`{name}`", f"{factor:.3g}", f"{floor:.3g}", UNIT_OF_FLOOR[name])
        for name, (factor, floor) in metadata["error_calibration"].items()
    ]
    return (
        "An error of theory (Condon 1997) becomes sqrt((factor error)^2 + (floor value)^2), fitted on "
        "isolated, unflagged\nsources of the held-out fields so that 68 % of the pulls (measured - true) / "
        "error are within one, at every\nsignal to noise; a bias counts as error.\n\n"
        + table(("error", "factor", "floor", "floor is a fraction of"), fitted)
        + "\n\nHalf-width around zero that holds 68 % of the pulls after that (1 is right), with their "
        "median in brackets; for the\nfluxes also the same of (measured - true) / true.\n\n"
        + pull_rows([*metadata["pulls"], *metadata["pulls_by_snr"]])
    )


def pull_rows(rows: list[dict[str, Any]]) -> str:
    """Width and median of each quantity, a row a group and bin."""
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
