"""What NVIDIA's compilers make of every kernel, for sm_80 and sm_90a, on a machine without a GPU."""

from __future__ import annotations

import pytest

pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")

#: Registers a multiprocessor has, and the most shared memory a block may ask for on each architecture.
REGISTERS = 64 * 1024
SHARED = {"sm_80": 163 * 1024, "sm_90a": 227 * 1024}
#: The most registers of a thread: three blocks of 128 threads stay resident, or more of others.
CAP, SIMPLE_CAP = 168, 80
#: Of kernels in float64, whose numbers take two registers: two blocks of 256 threads stay resident.
DOUBLE_CAP, DOUBLE = 128, ("make_ignore", "make_match", "make_terms")


@pytest.fixture(scope="module")
def reports(compiler):
    found = {
        (name, a): said for name, by_architecture in compiler().items() for a, said in by_architecture.items()
    }
    assert len(found) > 80
    return found


def test_every_kernel_compiles_for_both_architectures(reports):
    narrow = {name for name, _ in reports if "wide=True" not in name}
    assert all((name, architecture) in reports for name in narrow for architecture in SHARED)
    assert any("wide=True" in name for name, architecture in reports if architecture == "sm_90a")


def test_nothing_is_spilled(reports):
    wasteful = {
        key: said
        for key, said in reports.items()
        if said["stack"] or said["spill_stores"] or said["spill_loads"]
    }
    assert not wasteful


def test_registers_and_shared_memory_leave_room(reports):
    for (name, architecture), said in reports.items():
        product = name.startswith(("make_convolution", "make_filter_gradient"))
        cap = CAP if product else DOUBLE_CAP if name.startswith(DOUBLE) else SIMPLE_CAP
        assert said["registers"] <= cap, (name, architecture)
        assert said["registers"] * said["threads"] <= REGISTERS
        assert said["shared"] <= SHARED[architecture]


def test_the_main_loop_multiplies_on_tensor_cores_and_copies_in_the_background(reports):
    for (name, architecture), said in reports.items():
        if not name.startswith(("make_convolution", "make_filter_gradient")):
            continue
        loop = said["loop"]
        if said["precision"] == "fp32":
            assert loop["FFMA"] >= 32 and not {"HMMA", "HGMMA"} & set(loop), name
        elif said["wide"]:
            assert loop["HGMMA"] == 4 and loop["LDGSTS"] >= 6 and "LDL" not in loop, (name, architecture)
            assert not said["warnings"], said["warnings"]
        else:
            assert loop["HMMA"] >= 4 and loop["LDSM"] >= 4 and "LDL" not in loop, (name, architecture)


def test_the_large_tile_spends_its_instructions_on_products(reports):
    """A tensor core is busy for 8 issue slots (sm_80) with what one instruction asks of it."""
    (said,) = {
        name: said["loop"]
        for (name, architecture), said in reports.items()
        if "columns=128, warp_rows=64" in name and "'fp16'" in name and architecture == "sm_80"
    }.values()
    assert sum(said.values()) < 8 * said["HMMA"]
