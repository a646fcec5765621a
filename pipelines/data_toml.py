"""Write data.toml of both challenges from the names that the package knows: data_toml.py."""

from collections.abc import Iterable
from pathlib import Path

from skadetect.sdc import OfficialFile, sdc1_files, sdc2_files
from skadetect.sdc.files import BANDS, HOURS

HERE = Path(__file__).parent
HEAD = "# Files as SKAO publishes them: float32 images, sizes of their pixels and one block of header\n"


def text(files: Iterable[OfficialFile]) -> str:
    """One table a file."""
    lines = [HEAD]
    for file in {one.name: one for one in files}.values():
        lines += ["[[files]]", f'name = "{file.name}"', f'text = "{file.text}"']
        if file.shape:
            lines += [f"shape = {list(file.shape)}", f"least_bytes = {file.least_bytes}"]
        lines.append("")
    return "\n".join(lines)


def texts() -> dict[str, str]:
    """Contents of data.toml by the folder of the pipeline."""
    sdc1 = [file for freq in BANDS for hours in HOURS for file in sdc1_files(freq, hours).values()]
    sdc2 = [file for name in ("ldev", "dev") for file in sdc2_files(name).values()]
    return {"sdc1": text(sdc1), "sdc2": text(sdc2)}


if __name__ == "__main__":
    for folder, content in texts().items():
        (HERE / folder / "data.toml").write_text(content)
