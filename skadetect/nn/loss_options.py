"""Settings of the loss as data: the rules of the association, the forms and the weights of the parts."""

from __future__ import annotations

from dataclasses import dataclass, field

from skadetect.errors import ConfigError
from skadetect.formulas import OVERLAPS, RESIDUALS

LOGIT_LOSSES = {"squared": 0, "bce": 1, "softmax": 2}
NO_LIMIT = -2.0  # below every overlap measure


@dataclass(frozen=True)
class AssociationOptions:
    """Rules of the association.

    Parameters
    ----------
    overlap : str
        "iou", "giou", "diou" or "diou_squared" (see `skadetect.formulas.overlap`); all the limits below are
        on it.
    rule : str
        "order": each target in turn takes the free box of its cell with the nearest prior. "overlap": the
        pair of largest overlap goes first, with the exceptions below (YOLO-CIANNA).
    good_iou : float, optional
        Boxes that overlap any target by more than this, in (0, 1), without being its match are 'good but not
        best': they are not background. None: all that is not matched is background.
    random_box, prior_choice : float
        Probability that a target takes a random free box; that it takes the one of nearest prior.
    min_overlap : float
        Below it the best overlap means nothing and the nearest prior is taken.
    ignore_difficult : bool
        Boxes that difficult targets take (after all others had their choice) are neither matched nor
        background.
    startup_steps : int
        Training steps during which all choices are random; the training loop asks for them with
        ``startup=True``.

    Raises
    ------
    ConfigError
        If a value is unknown or out of range.
    """

    overlap: str = "diou"
    rule: str = "order"
    good_iou: float | None = None
    random_box: float = 0.0
    prior_choice: float = 0.0
    min_overlap: float = -0.1
    ignore_difficult: bool = True
    startup_steps: int = 0

    def __post_init__(self) -> None:
        if self.overlap not in OVERLAPS:
            raise ConfigError(
                f"association overlap is {self.overlap!r}, expected one of {', '.join(OVERLAPS)}"
            )
        if self.rule not in ("order", "overlap"):
            raise ConfigError(f"association rule is {self.rule!r}, expected 'order' or 'overlap'")
        if self.good_iou is not None and not 0 < self.good_iou < 1:
            raise ConfigError(f"association good_iou is {self.good_iou}, expected between 0 and 1, or none")


@dataclass(frozen=True)
class LossOptions:
    """Forms and weights of the parts of the loss.

    The defaults are what the shipped models train with; `LossOptions.cianna_sdc1` is the original's SDC1
    setting.

    Parameters
    ----------
    association : AssociationOptions
        Which box answers for which target.
    position, size : str
        "squared", "l1", "smooth_l1", "relative" or "score" (see `skadetect.formulas.residual`) of the centre
        in cells; of log(side / prior). "relative" trains sizes on relative error.
    probability, objectness : str
        "squared": (sigmoid - target)^2 / 2; "bce": cross entropy of the logit.
    classes : str
        "squared" or "bce" of the sigmoids, or "softmax" cross entropy.
    parameters : tuple of str
        Residual loss of each parameter, named as for `size`; one entry serves all.
    gamma : tuple of float
        Weight of each parameter within their part; one entry serves all.
    tolerance : tuple of float
        Of each parameter, for "score" (see `skadetect.formulas.residual`); one entry serves all.
    position_weight ... parameters_weight : float
        Weight of each part.
    background : tuple of float
        Weight of the background term of P and O, per prior; one entry serves all.
    near_weight : float
        Factor on the background term in the cells next to that of a target, 0 to 1: below 1 a source near the
        edge of its cell may be told by either cell, and keeps a high score.
    objectness_target : str
        "one", or "overlap": (1 + overlap) / 2 (the IoU itself for "iou").
    objectness_range : tuple of float
        Target of P and O in the background, and the largest target of matched boxes.
    probability_limit ... parameters_limit : float
        Overlap that a matched box must pass before that part is learned.
    normalise : str
        "matched": divide by the number of matched boxes in the batch; "patches": by the number of patches;
        "none".

    Raises
    ------
    ConfigError
        If a name is unknown.
    """

    association: AssociationOptions = field(default_factory=AssociationOptions)
    position: str = "smooth_l1"
    size: str = "l1"
    probability: str = "bce"
    objectness: str = "bce"
    classes: str = "softmax"
    parameters: tuple[str, ...] = ("l1",)
    gamma: tuple[float, ...] = (1.0,)
    tolerance: tuple[float, ...] = (0.1,)
    position_weight: float = 3.0
    size_weight: float = 0.3
    probability_weight: float = 0.0
    objectness_weight: float = 1.0
    classes_weight: float = 1.0
    parameters_weight: float = 1.0
    background: tuple[float, ...] = (1.0,)
    near_weight: float = 1.0
    objectness_target: str = "one"
    objectness_range: tuple[float, float] = (0.0, 1.0)
    probability_limit: float = NO_LIMIT
    objectness_limit: float = NO_LIMIT
    classes_limit: float = NO_LIMIT
    parameters_limit: float = NO_LIMIT
    normalise: str = "matched"

    def __post_init__(self) -> None:
        binary = tuple(name for name in LOGIT_LOSSES if name != "softmax")
        _check("position", self.position, tuple(RESIDUALS))
        _check("size", self.size, tuple(RESIDUALS))
        _check("probability", self.probability, binary)
        _check("objectness", self.objectness, binary)
        _check("classes", self.classes, tuple(LOGIT_LOSSES))
        _check("objectness_target", self.objectness_target, ("one", "overlap"))
        _check("normalise", self.normalise, ("matched", "patches", "none"))
        if not 0 <= self.near_weight <= 1:
            raise ConfigError(f"loss near_weight is {self.near_weight}, expected 0 to 1")
        for name in self.parameters:
            _check("parameters", name, tuple(RESIDUALS))

    @classmethod
    def cianna_sdc1(cls) -> LossOptions:
        """YOLO-CIANNA's SDC1 setting: nine boxes a cell; parameters flux, bmaj, bmin, cos pa, sin pa."""
        return cls(
            association=AssociationOptions(
                overlap="diou",
                rule="overlap",
                good_iou=0.5,
                random_box=0.02,
                prior_choice=0.9,
                min_overlap=-0.1,
            ),
            position="squared",
            size="squared",
            probability="squared",
            objectness="squared",
            classes="squared",
            parameters=("squared",),
            gamma=(2.0, 2.0, 1.0, 0.5, 0.5),
            position_weight=36.0,
            size_weight=0.2,
            probability_weight=0.5,
            objectness_weight=2.0,
            parameters_weight=5.0,
            background=(0.15,) * 6 + (0.01,) * 3,
            objectness_target="overlap",
            objectness_range=(0.0, 0.98),
            probability_limit=-0.3,
            objectness_limit=-0.3,
            parameters_limit=-0.1,
            normalise="patches",
        )


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ConfigError for an unknown name."""
    if value not in known:
        raise ConfigError(f"loss {name} is {value!r}, expected one of {', '.join(known)}")
