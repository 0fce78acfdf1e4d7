"""`drytorch verify`: prove that runs are complete, or say what is missing and how to mend it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drytorch_trackers import exit_codes
from drytorch_trackers.cli import parameters
from drytorch_trackers.wording import plural

if TYPE_CHECKING:
    from drytorch_trackers.cli.verified import Chosen
    from drytorch_trackers.completeness import RunState
    from drytorch_trackers.verifying import ArtefactCheck, Verdict

SETTINGS: Final[Mapping[str, Any]] = {
    "name": "verify",
    "short_help": "Prove that runs are complete, in the journal and in artefacts.",
}
EPILOG: Final = """\b
Examples:
  drytorch verify 2026-03-01@12h00m00s
  drytorch verify Digits/baseline --against csv --par-dir experiments
  drytorch verify experiments
  drytorch verify 'fold-*' --journal journal.msgpack --json
"""
#: Most ranges of missing numbers that are printed; JSON has all.
_MOST_RANGES: Final = 3


def command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FOLDER",
            help="[EXPERIMENT/]RUN as globs, a run's UUID, a --par-dir, or a journal's folder.",
        ),
    ],
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against", metavar="TRACKER", help="Look at this tracker's artefacts; repeatable."
        ),
    ] = None,
    par_dir: Annotated[
        Path | None,
        typer.Option("--par-dir", metavar="DIR", help="Where the artefacts are."),
    ] = None,
    option: parameters.Options = None,
    journal: Annotated[
        list[Path] | None,
        typer.Option("--journal", metavar="PATH", help="Journal files or folders; repeatable."),
    ] = None,
    broker: parameters.Broker = None,
    json: parameters.Json = False,
) -> int:
    """Prove that runs are complete.

    A run is complete when it is over, no number of its producers is missing, nothing was declared
    lost, nothing waits in a spool of this host, and the artefacts named by --against hold every
    event. Otherwise what is missing is told, with the command that mends it, and the exit code
    is 65.
    """
    from drytorch_trackers.cli import verified
    from drytorch_trackers.cli.display import as_json
    from drytorch_trackers.verifying import verify

    chosen = verified.choose(what, par_dir, journal or [], broker)
    trackers = verified.trackers_of(chosen, against, option or [])
    with verified.records_of(chosen) as (records, damage):
        verdicts = verify(records, chosen.wanted, trackers, chosen.concerned(against))
        problem = damage()
    strangers = chosen.unmet({each.state.run for each in verdicts})
    rows = [_row(each, chosen, option or []) for each in verdicts]
    if json:
        print(as_json({"runs": rows, "unknown": strangers, "damage": problem}))
    else:
        _print(rows, strangers, problem)
    if not rows and not strangers:
        verified.say(f"No run {what} is in {chosen.place}: see `drytorch runs`.")
        return exit_codes.NO_INPUT
    whole = all(row["complete"] for row in rows) and not strangers
    return exit_codes.OK if whole and not problem else exit_codes.DATA


def _print(rows: list[dict[str, Any]], strangers: list[str], problem: str) -> None:
    from drytorch_trackers.terminal import printable

    for row in rows:
        verdict = "complete" if row["complete"] else "NOT COMPLETE"
        counted = plural(row["events"], "event")
        of = plural(len(row["spans"]), "producer")
        held = "".join(
            f", {each['tracker']} has {each['checked'] - each['missing_count']} of "
            f"{each['checked']}"
            for each in row["artefacts"]
        )
        name = f"{row['experiment']}/{row['run_id']}"
        print(printable(f"{name}: {verdict}, {row['status']}, {counted} of {of}{held}"))
        for text in row["findings"]:
            print(printable(f"    {text}"))
    for each in strangers:
        print(printable(f"{each}: NOT COMPLETE, the journal knows nothing of it"))
    if problem:
        print(printable(problem))


def _row(verdict: Verdict, chosen: Chosen, options: list[str]) -> dict[str, Any]:
    state = verdict.state
    findings = list(_findings(state))
    findings += [
        f"{each.tracker} lacks {plural(len(each.missing), 'event')}, the first of them "
        f"{_name(each)}: {_mend(state, each, chosen, options)}"
        for each in verdict.artefacts
        if each.missing
    ]
    return state.plain() | {
        "complete": verdict.complete,
        "artefacts": [
            each.plain() | {"mend": _mend(state, each, chosen, options) if each.missing else ""}
            for each in verdict.artefacts
        ],
        "findings": findings,
    }


def _findings(state: RunState) -> Iterator[str]:
    """Yield a sentence about everything that keeps a run from being complete."""
    if not state.begun:
        yield "its beginning is not in this journal: look for another journal that has it"
    if state.status == "running":
        yield "it is not over: verify it again when it is"
    elif state.status == "lost":
        yield "its process died without a word: its last 50 ms before that may be missing"
    for producer, ranges in state.missing.items():
        shown = ", ".join(f"{a} to {b}" if a < b else str(a) for a, b in ranges[:_MOST_RANGES])
        more = f" and {len(ranges) - _MOST_RANGES} more ranges" if ranges[_MOST_RANGES:] else ""
        count = sum(last - first + 1 for first, last in ranges)
        yield (
            f"neither in this journal nor in a spool of this host: {plural(count, 'event')} of "
            f"producer {producer[:8]}, {shown}{more}"
        )
    if state.spooled:
        yield f"{plural(state.spooled, 'event')} still in a spool of this host: `drytorch sync`"
    if state.lost:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(state.lost.items()))
        reasons = ", ".join(sorted(state.reasons))
        yield f"declared lost: {kinds} ({reasons}); nothing brings them back"
    if state.twice:
        yield f"in the journal more than once: {plural(state.twice, 'event')}"


def _name(check: ArtefactCheck) -> str:
    """Return how a person would name the first event that is missing."""
    first = check.missing[0].delivery
    event: Any = first.event
    source = getattr(event, "source_name", "") or getattr(event, "actor_name", "")
    source = source or getattr(event, "model_name", "")
    epoch = getattr(event, "epoch", None)
    where = f" of {source}" if source else ""
    return f"{first.envelope.kind}{where}" + (f" at epoch {epoch}" if epoch is not None else "")


def _mend(state: RunState, check: ArtefactCheck, chosen: Chosen, options: list[str]) -> str:
    """Return the command that writes what is missing."""
    command = ["drytorch", "replay", *chosen.source_arguments, "--to", check.tracker]
    command += ["--experiment", _literal(state.experiment), "--run", _literal(state.run_id)]
    for each in options:
        command += ["-o", each]
    # what the tracker remembers and somebody removed, it would not write again in the same place
    removed = any(each.noted for each in check.missing)
    folder = chosen.par_dir.absolute()
    target = folder.with_name(f"{folder.name}-mended") if removed else chosen.par_dir
    return shlex.join([*command, "--par-dir", str(target)])


def _literal(name: str) -> str:
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)
