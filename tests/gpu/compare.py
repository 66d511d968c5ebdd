#!/usr/bin/env python3
"""What tests/gpu/check compares and sums up: compare.py curves|replays FOLDER, compare.py summary FOLDER."""
import contextlib
import csv
import io
import json
import pathlib
import re
import sys

# Relative differences of losses that the order of float32 sums explains: of the first step, and when it has gone
# through some updates by Adam, which turns the sign of a tiny gradient into a step of full size.
TOLERANCE = {1: 1e-4, 5: 1e-2, 20: 3e-2}


def curves(folder):
    """Losses on each device against those on one CPU device."""
    wrong = 0
    for reference in sorted(folder.glob("curve-*-cpu_1-*.csv")):
        model, steps = re.fullmatch(r"curve-(.*)-cpu_1-(\d+)", reference.stem).groups()
        expected = loss_of(reference)
        others = [path for path in folder.glob(f"curve-{model}-cuda*-{steps}.csv")]
        wrong += not others
        for path in sorted(others):
            loss = loss_of(path)
            difference = abs(loss - expected) / abs(expected)  # nan where a training did not end
            verdict = "equal enough" if difference <= TOLERANCE[int(steps)] else "TOO FAR"
            wrong += verdict == "TOO FAR"
            device = re.sub(r"^curve-.*-(cuda.*)-\d+$", r"\1", path.stem)
            print(f"{model}, {steps} steps: cpu:1 {expected:.6f}, {device} {loss:.6f}, {difference:.1e}: {verdict}")
    return 1 if wrong or not list(folder.glob("curve-*-cpu_1-*.csv")) else 0


def loss_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return float(next(csv.DictReader(file), {"loss": "nan"})["loss"])


def replays(folder):
    """One hash of the weights for each model and device."""
    hashes = {}
    for path in sorted(folder.glob("replay-*.json")):
        name = re.sub(r"-\d+$", "", path.stem).removeprefix("replay-")
        lines = path.read_text(encoding="utf-8").splitlines()
        hashes.setdefault(name, []).append(json.loads(lines[-1])["weights_sha256"] if lines else "failed")
    for name, found in hashes.items():
        print(f"{name}: {len(found)} runs, {len(set(found))} different: {', '.join(sorted(set(found)))[:80]}")
    good = hashes and all(len(found) == 20 and len(set(found)) == 1 and "failed" not in found
                          for found in hashes.values())
    return 0 if good else 1


def summary(folder):
    """summary.md and summary.json, of the parts and the lines of JSON in the log of the step times."""
    parts = [line.split("\t") for line in (folder / "parts.tsv").read_text(encoding="utf-8").splitlines()]
    times = []
    log = folder / "step_times.log"
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        if line.startswith("{"):
            times.append(json.loads(line))
    machine = (folder / "devices.log").read_text(encoding="utf-8") if (folder / "devices.log").exists() else ""
    result = {"machine": machine, "step_times": times,
              "parts": [{"name": name, "verdict": verdict, "seconds": int(seconds)} for name, verdict, seconds in parts]}
    (folder / "summary.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    lines = ["# Check on a GPU", "", "| part | verdict | seconds |", "|---|---|---|"]
    lines += [f"| {name} | {verdict} | {seconds} |" for name, verdict, seconds in parts]
    for compare in (curves, replays):  # again, for what has ended where the part ran past its time
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            compare(folder / "runs")
        lines += ["", f"## {compare.__name__}", "", "```", text.getvalue().strip(), "```"]
    lines += ["", "## Step times", "", "| model | side | batch | median step (ms) |", "|---|---|---|---|"]
    lines += [f"| {row['model']} | {row['side']} | {row.get('batch', '')} | "
              f"{row.get('median_step_ms', row.get('error', ''))} |" for row in times]
    lines += ["", "## Machine", "", "```", machine.strip(), "```"]
    (folder / "summary.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(folder / "summary.md")
    return 0


if __name__ == "__main__":
    commands = {"curves": curves, "replays": replays, "summary": summary}
    if len(sys.argv) != 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.exit(commands[sys.argv[1]](pathlib.Path(sys.argv[2])))
