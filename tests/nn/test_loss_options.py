import pytest

from skadetect.config import options_from_mapping
from skadetect.errors import ConfigError
from skadetect.nn.loss_options import AssociationOptions, LossOptions


@pytest.mark.parametrize(
    "values",
    [
        {"position": "cubic"},
        {"size": "bce"},
        {"objectness": "softmax"},
        {"classes": "l1"},
        {"parameters": ("l1", "l3")},
        {"objectness_target": "two"},
        {"normalise": "yes"},
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(values):
    with pytest.raises(ConfigError, match=f"loss {next(iter(values))} is .* expected one of"):
        LossOptions(**values)


@pytest.mark.parametrize(
    "values", [{"overlap": "ciou"}, {"rule": "best"}, {"good_iou": 1.0}, {"good_iou": 0.0}]
)
def test_association_out_of_range_is_refused(values):
    with pytest.raises(ConfigError, match=f"association {next(iter(values))} is"):
        AssociationOptions(**values)


def test_the_original_is_data():
    original = LossOptions.cianna_sdc1()
    assert original.background == (0.15,) * 6 + (0.01,) * 3
    assert original.association == AssociationOptions(
        rule="overlap", good_iou=0.5, random_box=0.02, prior_choice=0.9, min_overlap=-0.1
    )


def test_options_come_from_a_table():
    table = {"position": "l1", "gamma": [2, 1.0], "association": {"good_iou": 0.5, "rule": "overlap"}}
    options = options_from_mapping(LossOptions, table, where="loss")
    assert options.gamma == (2, 1)
    assert options.association.good_iou == 0.5
