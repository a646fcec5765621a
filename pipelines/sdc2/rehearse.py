"""Simulate a small cube and one to tune on by their official names, to try the pipeline with."""

import argparse

from skadetect.sdc import rehearse_sdc2

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 192, 192), metavar=("Z", "Y", "X"))
    parser.add_argument("--seed", type=int, default=1)
    flags = vars(parser.parse_args())
    print(rehearse_sdc2(**{**flags, "shape": tuple(flags["shape"])}))
