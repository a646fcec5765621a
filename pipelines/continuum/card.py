"""The model card: what the header of a model file says, as Markdown."""

from skadetect.catalog.flux_mean import FluxMean
from skadetect.nn.model import Model
from skadetect.train.card import facts, head, inputs, network, pull_rows, ranges, table

UNIT_OF_FLOOR = {
    "e_ra": "bmaj",
    "e_dec": "bmaj",
    "e_int_flux": "int_flux",
    "e_bmaj": "own^2 / (2 bmaj), see below",
    "e_bmin": "own^2 / (2 bmin), see below",
    "e_pa": "radian",
}
LIMITS = """\
- It learned from simulations only: populations and imaging as in SDC1 at 560 MHz, and variations of that.
  Galactic emission, giant radio galaxies and strong calibration errors are not among them.
- It looks {reach} pixels around a source.{large}
- {score}
- Sources expected to peak below {min_snr} times the local noise were no targets.
- Fluxes are apparent: no primary beam is corrected (the `sdc1` format does). Simulated imaging loses part of
  the faint emission, as SDC1's did, and the network gives back what is usually lost; on an image that loses
  nothing, or more, the fluxes of faint sources are off accordingly.
- Sizes of faint sources lean on the sizes that are usual. Pulls of the axes are skewed: large sources come
  out too small more often than small ones too large, and {tail} % of the pulls of `bmaj` are beyond three.
- {calibrated} Those of `pa` are
  calibrated on SDC1's round beam alone. Those of `peak_flux` are of the pixels' noise alone and those of
  `pa_deconv` are the network's own: neither is calibrated."""
LARGE = {
    True: """ Larger ones are found in smoothed views, as ellipses: what is no
  ellipse, such as a radio galaxy with lobes, is several rows.""",
    False: " Emission much larger than the beam is found in pieces, or not at all.",
}
SCORE = {
    "continuum": """\
`score` is the network's objectness, `prob` the probability by which the threshold chooses: by the score, the
  peak's signal to noise and the number of bright sources a beam in the whole image. A part of an image has
  other probabilities than the whole.""",
    "sdc1": """\
`score` is the network's objectness, tuned to a threshold; it is no calibrated probability. The threshold is
  that of fields as crowded as SDC1's: noise has as many faint peaks anywhere, and where sources are few most
  of the faint rows are noise.""",
}
CALIBRATED = {
    "continuum": """\
Errors are calibrated over SDC1's and other telescopes together, half each; the table tells how they fare on
  either. One telescope can be off by more, `bmin` most, where the beam is elongated.""",
    "sdc1": """\
Errors are calibrated on fields like SDC1's alone; on other telescopes' images they, and the measurements,
  can be far off.""",
}
INTRODUCTIONS = {
    "continuum": """\
{description}. It finds, measures and separates the sources
of images of any unit, depth and telescope: whatever is above {min_snr} times the local noise, and what is
larger than the beam in smoothed views. `skadetect detect` uses it unless told otherwise.""",
    "sdc1": """\
{description}. It takes
two to three times as long and finds and measures more there. It has learned from no other telescope since:
for images unlike SDC1's take `continuum`. The pipeline of SDC1 starts from it.""",
}


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
    words["large"] = LARGE[_is_smoothed(model)]
    words["calibrated"] = CALIBRATED.get(model.name, CALIBRATED["continuum"])
    words["score"] = SCORE.get(model.name, SCORE["continuum"])
    parts = [
        f"# {model.name}",
        INTRODUCTIONS.get(model.name, INTRODUCTIONS["continuum"]).format(**words),
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


def validation(model: Model) -> str:
    """Its metrics on fields that no training saw."""
    metrics, options = model.metadata["validation"], model.metadata["validation_options"]
    bright = options["completeness_snr"]
    chosen = f"threshold: of the highest SDC1 score whose purity is at least {options['lowest_purity']:g}"
    known = model.metadata.get("probabilities")
    rows = [
        (f"{'score at the ' if known else ''}{chosen}", f"{metrics['threshold']:.2f}"),
        ("official SDC1 score, three fields together", f"{metrics['score']:.0f}"),
        ("its purity", f"{metrics['score_purity']:.3f}"),
        ("its mean attribute score", f"{metrics['mean_attribute']:.3f}"),
        (f"completeness, expected peak {bright:g} sigma or more", f"{metrics['completeness']:.3f}"),
        (f"purity, expected peak {options['real_snr']:g} sigma or more", f"{metrics['purity']:.3f}"),
        (f"average precision, {bright:g} sigma or more", f"{metrics['average_precision']:.3f}"),
    ]
    names = ", ".join(ranges(model.metadata["held_out_fields"]))
    text = f"On held-out fields: {names}.\n\n" + table(("metric", "value"), rows)
    parts = [
        text,
        *([probabilities(model)] if known else []),
        *([smoothed(model)] if _is_smoothed(model) else []),
    ]
    return "\n\n".join(parts)


def _is_smoothed(model: Model) -> bool:
    return "coarse_reliability" in model.metadata


def smoothed(model: Model) -> str:
    """How rows of smoothed views fare."""
    rows = [
        (
            f"`{each['group']}`",
            *(f"{each[name]:g}" for name in ("candidates", "rows")),
            *(f"{each[name]:.3f}" for name in ("purity", "expected purity", "of real rows")),
        )
        for each in model.metadata["coarse_probabilities"]
    ]
    slopes = model.metadata["coarse_reliability"]["slopes"]
    listed = ", ".join(f"{name} {value:.2f}" for name, value in slopes.items())
    return (
        "Sources larger than the network's range are found in smoothed views of what the others leave "
        "(`skadetect.residual`).\nProbabilities there are fitted on the same fields with six larger sources "
        "in each; a row is real if it has the flux of a\nsource to a factor of 1.4 and its area to one of 2, "
        "and no finer view has that source, so a piece of it is false:\n\n"
        + table(("group", "candidates", "rows", "purity", "mean `prob`", "share of the real rows"), rows)
        + "\n\nA source may be a real row of several views. The logarithm of the odds of being real rises by "
        f"these numbers with each\nterm (`skadetect.catalog.coarse_probability`): {listed}."
    )


def probabilities(model: Model) -> str:
    """What probabilities are made of, and how they fare from crowded to sparse fields."""
    parts = []
    for title, seen in (("one look", model), ("`--orientations 8`", model.looking(8))):
        parts += [
            (
                title,
                f"`{each['group']}`",
                *(f"{each[name]:g}" for name in ("fields", "rows")),
                *(f"{each[name]:.3f}" for name in ("purity", "expected purity", "completeness")),
            )
            for each in seen.metadata["probabilities"]
        ]
    columns = ("looks", "group", "fields", "rows", "purity", "mean `prob`", "completeness, 5 sigma or more")
    listed = {
        cause: ", ".join(
            f"{name} {value:.2f}" for name, value in model.metadata["reliability"][cause].items()
        )
        for cause in ("pieces", "noise")
    }
    return (
        f"Rows with a probability of {model.threshold:.2f} or more ({model.looking(8).threshold:.2f} of "
        "eight looks) are kept, the threshold of\nthe highest SDC1 score whose purity is at least "
        f"{model.metadata['sdc1']['lowest_purity']:g}: "
        f"{model.metadata['sdc1']['score']:.0f} ({model.looking(8).metadata['sdc1']['score']:.0f}). "
        "Probabilities are fitted on these fields, the three\ngroups alike:\n\n"
        + table(columns, parts)
        + "\n\nFalse rows are pieces of sources or noise. The logarithms of the odds of either, beside a "
        "real source, rise by these\nnumbers with each term (`skadetect.catalog.image_probability`); pieces: "
        f"{listed['pieces']}; noise: {listed['noise']}."
    )


def errors(model: Model) -> str:
    """How errors were calibrated, and how well that holds."""
    metadata = model.metadata
    fitted = [
        (f"`{name}`", f"{factor:.3g}", f"{floor:.3g}", UNIT_OF_FLOOR[name])
        for name, (factor, floor) in metadata["error_calibration"].items()
    ]
    mean = FluxMean.of(metadata)
    fluxes = (
        f"Fluxes are means of the network's, known to {100 * mean.network:.0f} %, and of sums of pixels, "
        f"known to their noise and {100 * mean.aperture:.0f} %\n(`skadetect.catalog.flux_mean`). "
    )
    return (fluxes if "flux_mean" in metadata else "") + (
        "An error of theory (Condon 1997) becomes sqrt((factor error)^2 + (floor value)^2), fitted on "
        "isolated, unflagged\nsources of the held-out fields so that 68 % of the pulls (measured - true) / "
        "error are within one, at every\nsignal to noise; a bias counts as error. Of sizes, own is the "
        "intrinsic axis with 3 % of the beam's area, and the floor\nfalls as the pixels tell the size "
        "(`skadetect.catalog.uncertainty.floor_scale`).\n\n"
        + table(("error", "factor", "floor", "floor is a fraction of"), fitted)
        + "\n\nHalf-width around zero that holds 68 % of the pulls after that (1 is right), with their "
        "median in brackets; for the\nfluxes also the same of (measured - true) / true.\n\n"
        + pull_rows([*metadata["pulls"], *metadata["pulls_by_snr"]])
    )
