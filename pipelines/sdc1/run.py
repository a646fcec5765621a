"""All steps up to a valid submission and, if there is a truth, its score; goes on where it stopped."""

from pathlib import Path

from settings import reach, read_arguments

if __name__ == "__main__":
    state = reach("detect", read_arguments(__doc__))
    print(state.submit())
    if (Path(state.path) / state.files["truth"].name).is_file():
        print(state.score())
        print(state.attributes().round(3).to_string())
