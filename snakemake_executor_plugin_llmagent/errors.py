"""The exceptions that end a session or a command, each with the exit code of the command `llmagent`.

Snakemake ends with 1 whatever went wrong in a job.

```
AgentError                        1
├── ConfigError                   2   a setting, directive or check is wrong; says which and where
├── MissingDependency             3   names the package or extra to install
├── LockMismatch                  4   a lock cannot be read or does not fit its script
├── NotApproved                   5   no approved script for this spec, and authoring is not possible here
├── BudgetExceeded                6   a limit on money or tokens was reached
├── AttemptsExhausted             7   the last findings, and where the session lies
├── ModelUnavailable              8   the provider cannot be reached or refuses the request
│   ├── ModelOutage               8   it cannot answer now; another model may
│   └── ModelRefused              8   the model declined to answer
├── RecordingMissing              9   the nearest recording and the first difference
├── SandboxUnavailable           10   the place where scripts run failed, not the script
├── ScriptEnded                  11   an approved script was ended at a limit, or wrote what cannot be taken
└── Cancelled                   130   a person or a signal ended it
```

A script that crashes and an output that fails a check are *not* exceptions. They are `Execution` and `Finding`,
the feedback for the next attempt.
"""

from __future__ import annotations


class AgentError(Exception):
    """Something ended a session or a command. The text says what happened, where, and what to do."""

    exit_code = 1


class ConfigError(AgentError):
    """A setting, a directive, a check or a file that a person wrote is wrong."""

    exit_code = 2


class MissingDependency(AgentError):
    """A package that this setting needs is not installed."""

    exit_code = 3


class LockMismatch(AgentError):
    """A lock file cannot be read, or does not fit the script beside it."""

    exit_code = 4


class NotApproved(AgentError):
    """A rule has no approved script for its spec, and none may be written here."""

    exit_code = 5


class BudgetExceeded(AgentError):
    """A limit on money or tokens was reached."""

    exit_code = 6


class AttemptsExhausted(AgentError):
    """No candidate was accepted within the allowed number of attempts."""

    exit_code = 7


class ModelUnavailable(AgentError):
    """The provider cannot be reached, has no such model, or turned the request down."""

    exit_code = 8


class ModelOutage(ModelUnavailable):
    """The provider cannot answer now: out of reach, silent, overloaded, or a quota is used up."""


class ModelRefused(ModelUnavailable):
    """The model declined to answer."""


class RecordingMissing(AgentError):
    """A replayed model has no recording of this request."""

    exit_code = 9


class SandboxUnavailable(AgentError):
    """The place where scripts run failed; the script is not to blame."""

    exit_code = 10


class ScriptEnded(AgentError):
    """An approved script was ended at a limit, or wrote something that cannot be taken."""

    exit_code = 11


class Cancelled(AgentError):
    """A person or a signal ended the work."""

    exit_code = 130
