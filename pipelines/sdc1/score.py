"""The official score of the submission, and of each attribute beside constants and the information limit."""

from settings import reach, read_arguments

if __name__ == "__main__":
    state = reach("detect", read_arguments(__doc__))
    print(state.score())
    print(state.attributes().round(3).to_string())
