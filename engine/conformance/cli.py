"""Arguments and the report."""

import argparse
import importlib
import json
import os
import sys
import time
from collections import Counter

from . import runner
from .catalogue import read_catalogue, read_differences

DESCRIPTION = """\
Check the dassl package that Python imports here, name by name, against the interface of Dassl 0.6.3:
is each name present, has it the signature and the default, does it behave as the interface says.
Needs no network, no GPU and no data.
"""
EPILOG = """\
examples, from the folder above this one:
  python -m conformance                              the installed dassl
  python -m conformance --dassl ~/Dassl.pytorch      the one in that folder
  python -m conformance --only dassl.utils           names that begin so
  python -m conformance --only line: --verbose       what a run prints, with every statement
  python -m conformance --differences                where the engine beside this folder differs on purpose

names: dassl.engine.TrainerX (what is imported), cfg.OPTIM.LR (config keys), and kind:name for the rest:
  line: message: summary: (texts)  file: checkpoint: batch: result: tensorboard: (what comes out)
  trainer: dataset: backbone: head: network: evaluator: transform: sampler: optimizer: schedule: registry:
  client. (config keys that users' trainers add)  flag: (flags of users' launch scripts)  random: (random draws)

exit status: 0 all hold or differ on purpose, 1 a name failed, 2 wrong usage
"""


def main(argv=None):
    """Run the suite and print the report; returns the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.differences:
        for key, reason in read_differences().items():
            print(f"{key}: {reason}")
        return 0
    problem = _problem(arguments)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    if arguments.dassl:
        sys.path.insert(0, arguments.dassl)
    started = time.time()
    subject = _subject()
    print(f"Checking {subject}")
    results = runner.run(arguments.only)
    _print_results(results, arguments.failures, arguments.verbose)
    counts = Counter(result.status for result in results)
    summary = {
        "names": len(results),
        "passed": counts[runner.PASSED],
        "chosen differences": counts[runner.CHOSEN],
        "failed": counts[runner.FAILED],
    }
    print(", ".join(f"{key}: {count}" for key, count in summary.items()) + f" ({time.time() - started:.0f} s)")
    if arguments.json:
        _write_json(arguments.json, subject, summary, results)
    return 1 if summary["failed"] else 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="conformance", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dassl", metavar="FOLDER", help="folder with the dassl package to check")
    parser.add_argument("--only", metavar="PREFIX", default="", help="only names that begin with PREFIX")
    parser.add_argument("--json", metavar="FILE", help="also write all findings to FILE")
    parser.add_argument("--failures", action="store_true", help="print failed names only")
    parser.add_argument("--verbose", action="store_true", help="print every statement, not only those that failed")
    parser.add_argument("--differences", action="store_true", help="list the chosen differences and stop")
    return parser


def _problem(arguments):
    """What keeps the suite from saying anything, in one line; or None."""
    if not __debug__:
        return "The checks are assertions, which python -O removes. Run without -O and without PYTHONOPTIMIZE."
    if not any(name.startswith(arguments.only) for name in read_catalogue()):
        return f"No name begins with '{arguments.only}'. --help shows how names look."
    if arguments.dassl and not os.path.isdir(os.path.join(arguments.dassl, "dassl")):
        return f"There is no folder 'dassl' in '{arguments.dassl}'. Give the folder that holds it."
    if arguments.json and not os.path.isdir(os.path.dirname(arguments.json) or "."):
        return f"Cannot write '{arguments.json}': its folder does not exist. Create it."
    return None


def _subject():
    try:
        dassl = importlib.import_module("dassl")
    except Exception as error:
        return f"dassl, which cannot be imported ({type(error).__name__}: {error})"
    return f"dassl {getattr(dassl, '__version__', '(no version)')} in {list(dassl.__path__)[0]}"


def _print_results(results, failures_only, verbose):
    section = None
    for result in results:
        if failures_only and result.status != runner.FAILED:
            continue
        if result.entry.section != section:
            section = result.entry.section
            print(f"\n{section}")
        mark = {runner.PASSED: "ok  ", runner.CHOSEN: "ok *", runner.FAILED: "FAIL"}[result.status]
        aspects = Counter(finding.aspect for finding in result.findings)
        told = ", ".join(aspect + (f" {count}" if aspect == "behaviour" else "") for aspect, count in aspects.items())
        print(f"{mark} {result.entry.name}  [{told or 'nothing checks it'}]")
        for finding in result.findings:
            if finding.status == runner.FAILED:
                print(f"     {finding.aspect}: {finding.statement}\n       failed: {finding.detail}")
            elif finding.status == runner.CHOSEN:
                print(f"     {finding.aspect}: {finding.statement}\n       differs (chosen): {finding.detail}")
            elif verbose:
                print(f"     {finding.aspect}: {finding.statement}")
    print()


def _write_json(path, subject, summary, results):
    names = [
        {
            "name": result.entry.name,
            "section": result.entry.section,
            "status": result.status,
            "findings": [vars(finding) for finding in result.findings],
        }
        for result in results
    ]
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"subject": subject, "summary": summary, "names": names}, file, indent=2)
    os.replace(temporary, path)
