"""The command `llmagent reject`."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.commands.rules import Add, home_of, with_script
from snakemake_executor_plugin_llmagent.errors import ConfigError, NotApproved
from snakemake_executor_plugin_llmagent.session import utc_now
from snakemake_executor_plugin_llmagent.text import clean
from snakemake_executor_plugin_llmagent.trail import REJECTED, act

EXAMPLES = """\
examples:
  llmagent reject fit_myy --because "the peak is fixed; let it float"
  llmagent reject fit_myy --because "weights are left out" --name "Ada"

The next run with a model has the script written anew and tells the model your
reason. You are asked to approve it.
"""


def add_reject(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    reject = add("reject", run, "Reject the script that lies there, in your name; the next run has it written anew.")
    reject.add_argument("rule", metavar="RULE")
    reject.add_argument(
        "--because", required=True, metavar="REASON", help="what is wrong with it: the model is told, in your words"
    )
    reject.add_argument("--name", help="your name; by default that of git, or of your account")
    reject.epilog = EXAMPLES


def run(options: argparse.Namespace) -> int:
    """Reject a script; returns the exit status."""
    from snakemake_executor_plugin_llmagent.host import versions
    from snakemake_executor_plugin_llmagent.host.person import persons_name

    because = clean(options.because).strip()
    if not because:
        raise ConfigError("--because needs a reason: it is what the model goes by when it writes the next script.")
    rule, status = with_script(options, "reject")
    assert status.source is not None
    if status.lock is None:
        raise NotApproved(
            f"The script {rule.script} has no lock: a person put it there. Move it away, and the next run has one "
            "written."
        )
    found, digest = status.lock, lock.digest_script(status.source)
    name = options.name or persons_name(rule.script.parent)
    entry = act(REJECTED, name=name, time=utc_now(), script_digest=digest, because=because)
    # The model starts from this text, and a person may want it back.
    versions.keep(home_of(options), status.source)
    rejected = replace(
        found,
        approval=None,
        script_digest=digest,
        replaces=versions.last_approved(found),
        trail=(*found.trail, entry),
        blind={},
    )
    lock.write_lock(lock.lock_path(rule.script), rejected)
    if options.json:
        print(json.dumps({"rule": rule.name, "before": str(status.state), "rejection": entry}, indent=2))
    else:
        print(
            f"{rule.name} is stale now, rejected by {name}. The next run with a model has the script written anew and "
            f"tells it why:\n  snakemake --executor llmagent --llmagent-model openai:NAME --cores 1 --until {rule.name}"
        )
    return 0
