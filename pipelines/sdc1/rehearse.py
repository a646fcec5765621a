"""Simulate the files of one band and depth, or of several (--bands), by their official names, to try with."""

import argparse

from skadetect.sdc import rehearse_bands, rehearse_sdc1

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=2048, help="side of a map, pixels")
    parser.add_argument("--freq", type=int, default=560)
    parser.add_argument("--bands", type=int, nargs="+", help="several bands of one sky, such as 560 1400")
    parser.add_argument("--hours", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    flags = vars(parser.parse_args())
    bands, freq = flags.pop("bands"), flags.pop("freq")
    print(rehearse_bands(**flags, freqs=tuple(bands)) if bands else rehearse_sdc1(**flags, freq=freq))
