"""``python -m skadetect``: the command line of the package that this Python imports."""

from skadetect.cli.main import run

if __name__ == "__main__":
    run()
