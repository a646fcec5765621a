"""Compare skadetect's CPU back end with onnxruntime and PyTorch on the same networks, patches and threads.

One command: ``python tests/benchmarks/cpu/run.py [NETWORK ...] [--rounds 15] [--compile] [--train] ...``.
A network is ``sdc1``, ``continuum``, ``hi`` or a model file. The engines take turns on every round, so that
other work on the machine hits all alike; what is printed are medians, and ratios of them (peer / skadetect:
above 1, skadetect is faster). On a busy machine ``--threads 1 --clock cpu --best`` disturbs and is disturbed
least.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import torch  # first: that waiting threads shall not spin, as skadetect tells OpenMP, is not for its own

# isort: split
import cpu_engines
import cpu_networks
import numba
import numpy as np

from skadetect.nn.network import Network

#: Seconds between two runs: threads that still spin would take the time of the engine that runs next.
PAUSE = 0.01
Average = Callable[[Sequence[float]], float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print its tables."""
    options = _options().parse_args(arguments)
    torch.set_num_threads(options.threads)
    numba.set_num_threads(options.threads)
    for name in options.networks:
        network, patch = cpu_networks.build(name)
        patch = tuple(options.patch) if options.patch else patch
        compare(name, network, patch, options)
        if options.errors:
            _print_errors(network, draw(network, patch))
        if options.train and name != "sdc1":
            import cpu_training

            steps = cpu_training.engines(name, options.threads, small=options.patch is not None)
            print(f"\n{name}: training step")
            _print_whole(steps, options.rounds)


def compare(
    name: str, network: Network, patch: Sequence[int], options: argparse.Namespace
) -> dict[str, float]:
    """Print the tables of one network; give back how many times faster than each peer it ran whole."""
    x = draw(network, patch)
    made = cpu_engines.engines(network, x, options.threads, compiled=options.compile, clock=options.clock)
    check(made)
    print(f"\n{name}: patch {tuple(patch)}, {options.threads} threads, median of {options.rounds} rounds")
    if not options.whole:
        layers = [interleave([engine.layers for engine in made[:3]], options.rounds)]
        _print_layers(
            network, [engine.name for engine in made[:3]], layers[0], np.min if options.best else np.median
        )
    return _print_whole(made, options.rounds)


def _print_whole(made: Sequence[cpu_engines.Engine], rounds: int) -> dict[str, float]:
    whole = interleave([lambda engine=engine: timed(engine) for engine in made], rounds)
    middle = [float(np.median(times)) for times in whole]
    for engine, seconds, times in zip(made, middle, whole, strict=True):
        print(
            f"  {engine.name:12} {1e3 * seconds:8.1f} ms   best {1e3 * min(times):8.1f} ms   "
            f"ratio {seconds / middle[0]:5.2f}   of the best {min(times) / min(whole[0]):5.2f}",
            flush=True,
        )
    return {e.name: s / middle[0] for e, s in zip(made[1:], middle[1:], strict=True)}


def draw(network: Network, patch: Sequence[int]) -> np.ndarray:
    """An input as the normalisation makes it: mostly noise within a few units, some bright pixels."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1, *patch, network.spec.input_features), dtype=np.float32)
    return np.tanh(x * (1 + 3 * (rng.random(x.shape) < 0.01))).astype(np.float32)


def check(made: Sequence[cpu_engines.Engine], tolerance: float = 2e-4) -> None:
    """Hold every engine's outputs against the first's."""
    first = made[0].run()
    for engine in made[1:]:
        error = np.abs(engine.run() - first).max() / np.abs(first).max()
        if not error < tolerance:
            raise SystemExit(
                f"{engine.name} differs from {made[0].name} by {error:.1e} of the largest output"
            )


def interleave(runs, rounds: int) -> list[list]:
    """Call each in turn, round after round; the results of each."""
    results: list[list] = [[] for _ in runs]
    for turn in range(rounds):
        for place in range(len(runs)):
            which = (place + turn) % len(runs)
            time.sleep(PAUSE)
            results[which].append(runs[which]())
    return results


def timed(engine: cpu_engines.Engine) -> float:
    """Seconds of a run."""
    start = engine.clock()
    engine.run()
    return engine.clock() - start


def _print_layers(
    network: Network, names: Sequence[str], results: Sequence[Sequence[dict[str, float]]], average: Average
) -> None:
    print(f"  {'layer':10} {'filters':24}" + "".join(f"{name:>13}" for name in names) + "   ratios")
    for layer, inputs, outputs in network.spec.walk():
        if layer.kind != "conv":
            continue
        middle = [float(average([times[layer.name] for times in rounds])) for rounds in results]
        what = f"{'x'.join(map(str, layer.extent))}/{layer.stride[2]} {inputs}>{outputs}"
        row = "".join(f"{1e3 * seconds:10.2f} ms" for seconds in middle)
        print(f"  {layer.name:10} {what:24}{row}  " + "".join(f"{s / middle[0]:6.2f}" for s in middle[1:]))


def _print_errors(network: Network, x: np.ndarray) -> None:
    import cpu_errors

    print("  error against double precision, as a share of the largest and of the root mean square output")
    for layer, algorithm, largest, square in cpu_errors.layer_errors(network, x):
        print(f"  {layer:10} {algorithm:12} {largest:9.1e} {square:9.1e}", flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=["sdc1", "continuum", "hi"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS)
    parser.add_argument("--patch", type=int, nargs=3, help="z, y, x instead of the usual patch")
    parser.add_argument("--compile", action="store_true", help="also PyTorch through torch.compile")
    parser.add_argument("--whole", action="store_true", help="no layer by layer")
    parser.add_argument("--best", action="store_true", help="layers by their best round, on a busy machine")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: time of the processors"
    )
    parser.add_argument("--errors", action="store_true", help="also each layer's error in single precision")
    parser.add_argument("--train", action="store_true", help="also a training step, against PyTorch's")
    return parser


if __name__ == "__main__":
    main()
