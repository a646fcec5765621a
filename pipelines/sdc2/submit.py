"""Write the submission and check it as the official reader reads it."""

from settings import reach, read_arguments

if __name__ == "__main__":
    print(reach("detect", read_arguments(__doc__)).submit())
