"""Simulate the files of one band and depth by their official names, to try the pipeline with."""

import argparse

from skadetect.sdc import rehearse_sdc1

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=2048, help="side of the map, pixels")
    parser.add_argument("--freq", type=int, default=560)
    parser.add_argument("--hours", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    print(rehearse_sdc1(**vars(parser.parse_args())))
