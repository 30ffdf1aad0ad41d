"""Is a candidate acceptable? Checks return findings; what a script did wrong never raises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from snakemake_executor_plugin_llmagent.protocols import Check, Describe, Finding, RunAside, Severity, Trial


def run_checks(checks: Sequence[Check], trial: Trial) -> tuple[Finding, ...]:
    """The findings of all checks, in order."""
    return tuple(finding for check in checks for finding in check(trial))


def stops(findings: Iterable[Finding]) -> bool:
    """Whether any of the findings stops a candidate."""
    return any(finding.severity is Severity.ERROR for finding in findings)


def static_checks(describe: Describe | None = None) -> tuple[Check, ...]:
    """The checks that need nothing but the script, and with `describe` those that compare it with what inputs hold."""
    from snakemake_executor_plugin_llmagent.checks.script import holds_no_key, parses, uses_snakemake
    from snakemake_executor_plugin_llmagent.checks.static import tree_checks

    return (holds_no_key, parses, uses_snakemake, *tree_checks(describe))


def run_check() -> Check:
    """The check that the script ended well."""
    from snakemake_executor_plugin_llmagent.checks.run import ended_well

    return ended_well


def file_checks() -> tuple[Check, ...]:
    """The checks of what was read and written, without looking inside."""
    from snakemake_executor_plugin_llmagent.checks.files import inputs_opened, outputs_written, project_untouched

    return (outputs_written, inputs_opened, project_untouched)


def content_checks(describe: Describe) -> tuple[Check, ...]:
    """The checks of what the outputs hold."""
    from snakemake_executor_plugin_llmagent.checks.content import ContentCheck

    return (ContentCheck(describe),)


def own_checks(trial: Trial, run: RunAside) -> tuple[Check, ...]:
    """The checks that the rule itself names; `run` runs their processes."""
    from snakemake_executor_plugin_llmagent.checks.own import OwnCheck

    return tuple(OwnCheck(document, run) for document in trial.spec.checks)
