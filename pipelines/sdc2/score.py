"""The official score of the submission, if the truth is there."""

from settings import reach, read_arguments

if __name__ == "__main__":
    print(reach("detect", read_arguments(__doc__)).score())
