"""Compile kernels for GPUs that are not there, and print what the compilers say of each as JSON.

A program of its own, because a process has either the simulator or the compiler:
``NUMBA_ENABLE_CUDASIM=0 python -m tests.nn.backends.cuda.compile_kernels [WORD ...]``
takes the kernels whose name has one of the words. NVVM turns each into PTX for sm_80 (sm_90a if it has
wgmma), ptxas that into machine code for sm_80 and sm_90a, and nvdisasm lists its instructions. Neither a
driver nor NVRTC, which Numba only asks for a list of architectures, is needed.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numba.cuda.cuda_paths as paths
import numba.cuda.cudadrv.nvrtc as nvrtc
import numba.cuda.dispatcher as dispatcher
from numba import cuda

from skadetect.nn.backends.cuda import kernels
from skadetect.nn.backends.cuda.filter_gradient import FEW, MANY
from skadetect.nn.backends.cuda.tiles import PRECISIONS, SMALL, TILES, WIDE

ARCHITECTURES = ((8, 0), (9, 0))


def recipes() -> dict[str, kernels.Recipe]:
    """Every kernel: all tiles, and each option of a factory at least once."""
    found = [
        kernels.convolution_recipe(tile, "fp16", whole=True, output="fp16")
        for tile in {*TILES, *SMALL, *WIDE}
    ]
    for precision in ("bf16", "tf32", "fp32"):
        output = "bf16" if precision == "bf16" else "fp32"
        found.append(kernels.convolution_recipe(TILES[-1], precision, whole=True, output=output))
    for precision in ("fp16", "fp32"):
        found.append(kernels.convolution_recipe(TILES[1], precision, whole=False, output=precision))
        found.append(kernels.filter_recipe(MANY, precision, whole_x=True, whole_grad=True))
    found.append(kernels.convolution_recipe(WIDE[1], "tf32", whole=True, output="fp32"))
    found.append(kernels.convolution_recipe(TILES[0], "fp16", whole=True, output="fp32"))
    found.append(kernels.convolution_recipe(TILES[2], "fp16", whole=True, output="fp16", scattered=True))
    found.append(kernels.filter_recipe(FEW, "bf16", whole_x=False, whole_grad=False))
    found += [kernels.merge_filters_recipe(), kernels.select_recipe("fp32"), kernels.pack_recipe("tf32")]
    found += [
        kernels.cast_recipe("fp32", "fp16"),
        kernels.cast_recipe("bf16", "fp32"),
        kernels.pack_recipe("fp16"),
    ]
    names = (
        "add",
        "affine",
        "leaky",
        "leaky_backward",
        "sigmoid",
        "sigmoid_backward",
        "softmax",
        "softmax_backward",
    )
    found += [kernels.elementwise_recipe(name, "fp16") for name in (*names, "dropout")]
    for name in ("pool", "pool_backward", "global_pool", "global_pool_backward"):
        found += [kernels.pooling_recipe(name, "fp16", kind) for kind in ("max", "average")]
    for name in ("moments", "normalise", "norm_backward", "merge_moments", "merge_sums", "norm_factors"):
        found.append(kernels.column_recipe(name, "fp16"))
    found += [kernels.white_noise_recipe(), kernels.batch_recipe(), kernels.compositions_recipe()]
    found.append(kernels.peaks_recipe())
    found += [kernels.features_recipe(precision) for precision in ("fp16", "fp32")]
    for name in ("predict", "ignore", "match", "near", "terms", "merge_terms"):
        found.append(kernels.loss_recipe(name))
    for name in ("square_sums", "control", "adamw", "average", "follow"):
        found.append(kernels.optimizer_recipe(name))
    found += [kernels.optimizer_recipe("momentum", nesterov) for nesterov in (False, True)]
    found += [kernels.column_recipe("column_sums", "fp16", normed=normed) for normed in (False, True)]
    return {recipe.name: recipe for recipe in found}


def pretend() -> None:
    """Answer what Numba asks of a device and of NVRTC while it compiles."""
    paths._get_nvrtc_path = lambda: None
    nvrtc._get_nvrtc_version = lambda: (13, 0)
    nvrtc.get_supported_ccs = lambda: list(ARCHITECTURES)
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=ARCHITECTURES[0])


def tool(name: str) -> str:
    """A program of NVIDIA's wheels."""
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob(f"*/bin/{name}")):
            return str(path)
    raise FileNotFoundError(f"{name}: not in NVIDIA's wheels")


def report(recipe: kernels.Recipe, folder: Path) -> dict[str, dict]:
    """What the compilers say of a kernel, by architecture."""
    wide = any(getattr(value, "wide", False) for _, value in recipe.options)
    target = (9, 0, "a") if wide else ARCHITECTURES[0]
    ptx, _ = cuda.compile_ptx(recipe.make(), recipe.signature, cc=target, launch_bounds=(recipe.threads, 1))
    source = folder / "kernel.ptx"
    source.write_text(ptx)
    known = {"shared": recipe.shared, "threads": recipe.threads, "wide": wide}
    known["precision"] = next((v for _, v in recipe.options if v in PRECISIONS), "fp32")
    return {
        name: {**assembled(source, name), **known} for name in (("sm_90a",) if wide else ("sm_80", "sm_90a"))
    }


def assembled(source: Path, architecture: str) -> dict:
    """Registers, spills, and the instructions of the innermost loop with a tensor core's."""
    code = source.with_suffix(".cubin")
    call = [tool("ptxas"), "-v", "-O3", f"-arch={architecture}", str(source), "-o", str(code)]
    said = subprocess.run(call, capture_output=True, text=True, check=True).stderr
    listing = subprocess.run(
        [tool("nvdisasm"), "-c", str(code)], capture_output=True, text=True, check=True
    ).stdout
    numbers = {
        "registers": r"Used (\d+) registers",
        "stack": r"(\d+) bytes stack frame",
        "spill_stores": r"(\d+) bytes spill stores",
        "spill_loads": r"(\d+) bytes spill loads",
    }
    found = {name: int(re.search(pattern, said)[1]) for name, pattern in numbers.items()}
    serial = [line for line in said.splitlines() if "serializ" in line]
    return {**found, "loop": main_loop(listing), "warnings": serial}


def main_loop(listing: str) -> dict[str, int]:
    """How often each kind of instruction is in the smallest loop that has products of matrices."""
    place: dict[str, int] = {}
    code: list[str] = []
    loops: list[list[str]] = []
    for line in listing.splitlines():
        if label := re.match(r"(\.L_x_\d+):", line.strip()):
            place[label[1]] = len(code)
        elif instruction := re.match(r"/\*[0-9a-f]{4,}\*/\s+(.*?);", line.strip()):
            code.append(re.sub(r"^@!?U?P\w+\s+", "", instruction[1]))
            back = re.match(r"BRA\b.*\(?(\.L_x_\d+)", code[-1])
            if back and back[1] in place:
                loops.append(code[place[back[1]] :])
    products = [loop for loop in loops if any(re.match(r"H?G?MMA|HGMMA|FFMA", op) for op in loop)]
    smallest = min(products, key=len, default=[])
    return dict(Counter(op.split()[0].split(".")[0] for op in smallest))


def main(words: list[str]) -> None:
    """Print the reports."""
    pretend()
    with tempfile.TemporaryDirectory() as folder:
        chosen = {n: r for n, r in recipes().items() if not words or any(word in n for word in words)}
        print(json.dumps({name: report(recipe, Path(folder)) for name, recipe in chosen.items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
