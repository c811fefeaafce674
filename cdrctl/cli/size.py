"""`cdrctl size`: trunks and agents by Erlang's formulas."""

from __future__ import annotations

from cdrctl.cli.commands import command
from cdrctl.cli.options import option
from cdrctl.cli.output_options import data
from cdrctl.cli.run import Session
from cdrctl.errors import UsageError
from cdrctl.export.request import Output


@command(
    option(
        "--erlang",
        about="Offered traffic in erlang: calls an hour times their mean length in hours.",
        metavar="E",
        required=True,
    ),
    option(
        "--blocking", about="Trunks: the share of calls that may find all trunks busy, such as 0.01.", metavar="SHARE"
    ),
    option(
        "--service-level",
        about="Agents: the percentage of calls and the seconds within which they are answered, such as 80/20.",
        metavar="80/20",
    ),
    option(
        "--handling",
        about="Agents: mean seconds of a call, with talk and after-call work. Default: 180.",
        metavar="SECONDS",
        default="180",
    ),
    examples=(
        "cdrctl size --erlang 10 --blocking 0.01",
        "cdrctl size --erlang 10 --service-level 80/20 --handling 240",
    ),
)
def size(opened: Session, *, erlang: str, blocking: str | None, service_level: str | None, handling: str) -> None:
    """Compute how many trunks or agents an offered traffic needs, by Erlang B and C.

    Carried traffic, as in cdrctl stats --figures traffic, is less than the offered traffic if calls were blocked.
    """
    from cdrctl.figures.erlang import agents_for, erlang_b, erlang_c, served_within, trunks_for

    traffic = _number(erlang, "--erlang", 0, 10_000)
    if blocking is None and service_level is None:
        raise UsageError(
            "cdrctl size needs --blocking or --service-level",
            hint="give --blocking 0.01 for trunks, or --service-level 80/20 for agents",
        )
    lines = []
    if blocking is not None:
        share = _number(blocking, "--blocking", 0, 1)
        trunks = trunks_for(traffic, share)
        if trunks is None or share <= 0:
            raise UsageError("any number of trunks loses some calls", hint="give a share above 0, such as 0.01")
        lost = erlang_b(traffic, trunks)
        lines.append(f"trunks: {trunks} lose {lost:.6f} of the calls (Erlang B, {traffic:g} erlang)")
    if service_level is not None:
        target, _, threshold = service_level.partition("/")
        share = _number(target, "--service-level", 0, 100) / 100
        seconds, mean = _number(threshold, "--service-level", 0, 86_400), _number(handling, "--handling", 0, 86_400)
        agents = agents_for(traffic, share, mean, seconds) if share < 1 and mean > 0 else None
        if agents is None:
            raise UsageError(
                "with any number of agents, some calls wait longer", hint="give a share below 100, such as 80/20"
            )
        waits, served = erlang_c(traffic, agents), served_within(traffic, agents, mean, seconds)
        lines.append(
            f"agents: {agents} answer {served:.4f} of the calls within {seconds:g} s; {waits:.4f} wait (Erlang C)"
        )
    with data(opened, Output(format="jsonl", pager=False)) as out:
        out.write("".join(f"{line}\n" for line in lines).encode())


def _number(text: str, label: str, least: float, most: float) -> float:
    """Return a number within bounds.

    Raises:
        UsageError: It is none, or outside.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise UsageError(f"{label} is a number from {least:g} to {most:g}, not {text!r}", hint="write it as 10 or 0.01")
    return value


COMMANDS = {"size": size}
