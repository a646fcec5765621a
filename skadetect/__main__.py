"""``python -m skadetect``: the command line of the package that this Python imports."""

from skadetect.cli.main import main

if __name__ == "__main__":
    main(prog_name="skadetect")
