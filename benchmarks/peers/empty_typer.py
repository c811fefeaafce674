"""The smallest Typer program."""

import typer

app = typer.Typer()


@app.command()
def main() -> None:
    """Do nothing."""


app()
