"""``skadetect models``: what weights there are."""

from __future__ import annotations

from pathlib import Path

import click

from skadetect.errors import ModelError


@click.command()
@click.argument("name", required=False)
def models(name: str | None) -> None:
    """List the models that come with skadetect, or show the model card of NAME."""
    from skadetect.nn.model import shipped_models

    shipped = shipped_models()
    if name is None:
        width = max(map(len, shipped), default=0)
        lines = (f"{each:{width}}  {card_summary(_card(path))}".rstrip() for each, path in shipped.items())
        click.echo("\n".join(lines) if shipped else "no models")
        return
    if name not in shipped:
        raise ModelError(f"no model {name!r}: expected one of {', '.join(shipped) or 'none'}")
    click.echo(_card(shipped[name]) or f"{name} has no model card")


def card_summary(card: str) -> str:
    """The first sentence of a model card.

    Parameters
    ----------
    card : str
        Markdown text.

    Returns
    -------
    str
        The text of its first paragraph up to the first full stop, empty for an empty card.
    """
    for paragraph in card.split("\n\n"):
        lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
        text = " ".join(line for line in lines if not line.startswith(("#", "---", "|")))
        if text:
            return text.split(". ")[0].removesuffix(".") + "."
    return ""


def _card(model: Path) -> str:
    path = model.with_suffix(".md")
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""
