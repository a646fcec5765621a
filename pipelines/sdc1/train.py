"""Train on the official training catalogue and image, from a shipped model (--from) or from scratch."""

from settings import reach, read_arguments

if __name__ == "__main__":
    print(reach("train", read_arguments(__doc__)).model)
