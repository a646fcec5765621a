"""``skadetect models``: what weights there are."""

from __future__ import annotations

from importlib import resources

import click

from skadetect.errors import ModelError


@click.command()
@click.argument("name", required=False)
def models(name: str | None) -> None:
    """List the models that come with skadetect, or show the model card of NAME."""
    cards = shipped_models()
    if name is not None:
        if name not in cards:
            raise ModelError(f"no model {name!r}; shipped models: {', '.join(cards) or 'none'}")
        click.echo(cards[name] or f"{name} has no model card")
        return
    width = max(map(len, cards), default=0)
    for each, card in cards.items():
        click.echo(f"{each:{width}}  {_first_sentence(card)}".rstrip())


def shipped_models() -> dict[str, str]:
    """Models in the package.

    Returns
    -------
    dict
        Text of the model card by name, sorted; empty where a model has none.
    """
    folder = resources.files("skadetect.models")
    names = sorted(
        f.name.removesuffix(".safetensors") for f in folder.iterdir() if f.name.endswith(".safetensors")
    )
    cards = {name: folder / f"{name}.md" for name in names}
    return {name: card.read_text() if card.is_file() else "" for name, card in cards.items()}


def _first_sentence(card: str) -> str:
    """The first line of a card's text that is not a heading."""
    lines = (line.strip() for line in card.splitlines())
    return next((line for line in lines if line and not line.startswith(("#", "---", "|"))), "")
