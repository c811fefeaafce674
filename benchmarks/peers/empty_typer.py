"""The least that a Typer program can be."""

import typer

app = typer.Typer()


@app.command()
def main() -> None:
    """Do nothing."""


app()
