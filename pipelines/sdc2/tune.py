"""Choose thresholds on the part of the training area that no training saw."""

from settings import reach, read_arguments

if __name__ == "__main__":
    print(reach("tune", read_arguments(__doc__)).thresholds)
