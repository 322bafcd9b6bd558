"""What a run was made of and how long it took, as HTML from ``run.json``."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from .. import runs
from ..progress import waiting
from . import adopted
from .words import count, duration


def stage_table(facts: Mapping[str, Any]) -> str:
    """The finished stages and how long they took; empty while there are none."""
    stages = [stage for stage in facts["stages"] if "seconds" in stage]
    if not stages:
        return ""
    rows = [
        f'<tr><th scope="row">{escape(stage["name"])}</th><td>{stage["epochs"]}</td><td>{duration(stage["seconds"])}{"*" if stage.get("shared") else ""}</td>'
        f"<td>{stage['images_per_s']:,.0f}</td><td>{100 * stage['final']['accuracy']:.1f}<small> %</small></td></tr>"
        for stage in stages
    ]
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Stage", "Epochs", "Time", "Images/s", "Accuracy"))
    shared = '<p class="note">* taken over from an earlier run that began alike; this is how long it took there.</p>' if any(stage.get("shared") for stage in stages) else ""
    waits = ((stage["name"], waiting(stage.get("waited"), stage["seconds"])) for stage in stages)
    notes = "".join(f'<p class="note">Stage {escape(name)} {escape(said)}.</p>' for name, said in waits if said)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>\n{shared}{notes}'


def facts_table(facts: Mapping[str, Any], labels: str) -> str:
    """All that decides whether two runs may be compared; ``labels`` is the number of people or classes in words."""
    rows = {"Data set": f"{facts['dataset']}: {labels}", **adopted.rows(facts)} if runs.is_adopted(facts) else _rows(facts, labels)
    lines = "".join(f"<dt>{key}</dt><dd>{escape(str(value))}</dd>" for key, value in rows.items() if value != "")
    return f"<dl>{lines}</dl>"


def _rows(facts: Mapping[str, Any], labels: str) -> dict[str, str]:
    hardware, timed = facts["hardware"], [stage for stage in facts["stages"] if "seconds" in stage]
    return {
        "Data set": f"{facts['dataset']}: {count(facts['images'], 'image')}, {labels}",
        "Hash of the list": facts["data_hash"],
        "Seed": facts["seed"],
        "Machine": ", ".join(str(hardware[key]) for key in ("gpu", "processor") if hardware.get(key)) + f", {count(hardware['cores'], 'core')}",
        "Ran on": f"{facts['device']}, {facts['precision']}, {count(facts['threads'], 'thread')}, {count(facts['processes'], 'process', 'processes')}",
        "Started": facts["started"].replace("T", " ").replace("Z", " UTC"),
        "Training time": duration(sum(stage["seconds"] for stage in timed)) if timed else "",
        "Versions": ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
    }
