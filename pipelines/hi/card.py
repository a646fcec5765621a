"""The model card of `hi`: what the header of the model file says, as Markdown."""

from typing import Any

from skadetect.catalog.flux_mean import FluxMean
from skadetect.catalog.flux_scale import FluxScale
from skadetect.nn.model import Model
from skadetect.second_look import AGAIN
from skadetect.train.card import facts, head, inputs, network, pull_rows, table

FLOORS = {
    "err_ra": "size through the beam",
    "err_dec": "size through the beam",
    "err_freq": "w20",
    "err_f_sum": "f_sum",
    "err_w20": "w20",
    "err_hi_size": "hi_size",
    "err_kin_pa": "radian",
    "err_incl": "radian",
}
#: True signal to noise from which on fluxes are compared.
LOUD = 7.0
SIZES = (0.5, 1.0, 2.0, 4.0, 8.0)
INTRODUCTION = """\
{description}. It finds galaxies in spectral-line
cubes of any telescope, and measures their line flux, HI diameter, line widths, position angle and
inclination. `skadetect detect` uses it for cubes unless told otherwise."""
LIMITS = """\
- It learned from simulations only: discs that are lopsided, patchy, warped, holed, have arms, tails and
  companions, in noise with continuum residuals, absorption and RFI ripples. Strongly interacting groups,
  Galactic HI, high-velocity clouds and outflows are not among them.
- A companion that the beam does not separate from its galaxy, on the sky or in velocity, has no own row.
- `score` is the network's objectness, `prob` the probability by which the threshold chooses. It was fitted on
  the validation cubes: for cubes with many more galaxies than those a lower threshold serves better.
- Galaxies below {min_snr} times the noise (matched filter) were no targets.
- Galaxies wider than about 16 pixels are sought on averaged pixels, each level half as fine as the last.
- Inclination and position angle of galaxies smaller than the beam lean on what is usual; see their errors.
- Lines wider than 85 channels were not in the training; channels are best between 6 and 20 km/s wide."""


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
    parts = [
        f"# {model.name}",
        INTRODUCTION.format(**words),
        facts(model, size),
        "## Input\n" + inputs(model),
        "## Network\n" + network(model),
        "## Output\n" + head(model),
        "## Training\n" + training(model),
        "## Validation\n" + validation(model),
        "## Fluxes\n" + fluxes(model),
        "## Errors\n" + errors(model),
        "## Limits\n" + LIMITS.format(**words),
        "## Licence\nBSD-3-Clause, as skadetect. Cite it as CITATION.cff says.",
    ]
    return "\n\n".join(parts) + "\n"


def training(model: Model) -> str:
    """How it was made."""
    rows: list[tuple[Any, ...]] = []
    for number, stage in enumerate(model.metadata["training"], start=1):
        options = stage["options"]
        weights = ", ".join(f"{', '.join(g['files'])} {g['weight']:g}" for g in options["banks"])
        sampling = options["sampling"]
        seen = f"{stage['patches']} of {sampling['channels']}x{sampling['patch']}x{sampling['patch']}"
        rate = f"{options['optimizer']['learning_rate']:g}"
        rows.append((number, stage["steps"], seen, stage["targets"], options["seed"], rate, weights))
    columns = ("stage", "steps", "patches (voxels)", "galaxies", "seed", "learning rate", "banks, share")
    done = "\n".join(f"    {command}" for command in model.metadata["commands"])
    return (
        f"{done}\n\n{table(columns, rows)}\n\nPatches are noise with galaxies from the banks pasted in, at "
        "any place and signal to noise.\nA later stage starts from the averaged weights of the one before. "
        "All options are in the file's header."
    )


def validation(model: Model) -> str:
    """The official score of the validation cubes of natural density, and what the threshold was chosen by."""
    seen = [model.looking(how) for how in (AGAIN, 1)]
    values = [each.metadata["validation"] for each in seen]
    words = {
        "official SDC2 score": [f"{each['score']:.1f}" for each in values],
        "detections, matches": [f"{each['n_det']:.1f}, {each['n_match']:.1f}" for each in values],
        "purity": [f"{each['purity']:.3f}" for each in values],
        "mean attribute score": [f"{each['mean_attribute']:.3f}" for each in values],
    }
    chosen = f"threshold: of the highest score with purity {values[0]['lowest_purity']:g} or more"
    rows = [
        (chosen, *(f"{each.threshold:.2f}" for each in seen)),
        *((name, *row) for name, row in words.items()),
    ]
    columns = ("metric", "second look at candidates", "one look (`--orientations 1`)")
    names = ", ".join(f"`{name}`" for name in values[0]["cubes"])
    slopes = seen[0].metadata["reliability"]["slopes"]
    listed = ", ".join(f"{name} {value:.2f}" for name, value in slopes.items())
    return (
        f"On the validation cubes {names} of make_cubes.py, at natural density.\n\n"
        + table(columns, rows)
        + "\n\nThe logarithm of the odds that a row is real rises by these numbers with each term "
        f"(`skadetect.catalog.probability`):\n{listed}."
    )


def fluxes(model: Model) -> str:
    """What puts line fluxes right."""
    scale, known = FluxScale.of(model.metadata), FluxMean.of(model.metadata)
    beams = ", ".join(
        f"{factor:.3f} at {size:g}" for size, factor in zip(SIZES, scale.factor(SIZES), strict=True)
    )
    return (
        "Line fluxes are multiplied by a factor of the measured size, so that their median is true for the\n"
        f"galaxies above signal to noise {LOUD:g} in the validation cubes: {beams} beams\n"
        "(`skadetect.catalog.flux_scale`). The flux of the catalogue is the mean of that, known to "
        f"{100 * known.network:.0f} %, and of the sum\nof a galaxy's voxels, known to its noise and "
        f"{100 * known.aperture:.0f} % (`skadetect.catalog.flux_mean`)."
    )


def errors(model: Model) -> str:
    """How errors were calibrated, and how well that holds."""
    metadata = model.looking(AGAIN).metadata
    fitted = [
        (f"`{name}`", f"{factor:.3g}", f"{floor:.3g}", FLOORS.get(name, "value"))
        for name, (factor, floor) in metadata["error_calibration"].items()
    ]
    return (
        "An error of theory becomes sqrt((factor error)^2 + (floor value)^2), fitted on unflagged galaxies "
        "of the\nvalidation cubes so that 68 % of the pulls (measured - true) / error are within one, at "
        "every signal\nto noise; a bias counts as error.\n\n"
        + table(("error", "factor", "floor", "floor is a fraction of"), fitted)
        + "\n\nHalf-width around zero that holds 68 % of the pulls after that (1 is right), with their "
        "median in brackets; for the\nflux also the same of (measured - true) / true.\n\n"
        + pull_rows(metadata["pulls"])
    )
