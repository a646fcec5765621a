"""Checks of the ablation's variants: they are valid, alike in cost, and the original is the original."""

import pytest
from benchmarks.ablation import VARIANTS, variant_options

from skadetect.nn.loss import LossOptions


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_cost_about_the_same_arithmetic(name):
    shipped = variant_options("shipped").network_spec.flops_per_pixel()
    assert variant_options(name).network_spec.flops_per_pixel() == pytest.approx(shipped, rel=0.15)


@pytest.mark.parametrize("name", VARIANTS)
def test_heads_read_all_outputs_of_their_networks(name):
    options = variant_options(name)
    assert options.network_spec.output_features == options.head.n_outputs


def test_original_trains_with_the_loss_of_yolo_cianna():
    assert variant_options("original").loss == LossOptions.cianna_sdc1()


def test_variants_share_all_that_they_do_not_vary():
    first, *others = (variant_options(name) for name in VARIANTS)
    for options in others:
        assert (options.sampling, options.optimizer, options.schedule, options.selection) == (
            first.sampling,
            first.optimizer,
            first.schedule,
            first.selection,
        )
