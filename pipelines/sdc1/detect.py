"""Detect on the whole image; a run that was killed goes on with the tiles that are missing."""

from settings import reach, read_arguments

if __name__ == "__main__":
    print(len(reach("detect", read_arguments(__doc__)).catalog), "rows")
