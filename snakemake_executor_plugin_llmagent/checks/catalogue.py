"""The contracts that rules can name: `checks=[fit_valid, chi2_band(0.5, 1.8)]`. Here they are declared, in
`checks/contracts/` carried out: this is read whenever a Snakefile is, so it loads nothing.

A contract finds what it needs anywhere in the outputs, in the shapes of results (JSON) that the coder is told of,
or in tables and histograms, and says what it needs if it cannot find it. What a docstring says behind its first
line is shown in `docs/checks.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


def fit_valid() -> None:
    """The fit is valid, its covariance accurate and positive definite, no parameter at a limit.

    Of every fit in the outputs: `valid` is true, `accurate` is not false, each free parameter has a finite value
    and an error above 0, none lies at one of its `limits` or in `at_limit`, and the smallest eigenvalue of the
    correlation matrix that belongs to `covariance` is not negative. Source: F. James, MINUIT manual (CERN D506), on
    the status of the error matrix; the list of JFC (github.com/jfc-mit/jfc).
    """


def pulls(parameters: list[str] | None = None, max_abs: float = 5.0) -> None:
    """Pulls of bins (or of constrained parameters) are no larger than `max_abs`, and not all zero.

    Of bins (n_i - f_i) / sqrt(V_i), from `pulls`, or from `counts`, `total` and `variances` of `spectra`; of
    parameters (value - nominal) / width, from `constraint_pulls` or a mapping `pulls`. With `parameters` only
    those. Pulls that are all 0 say that a fit was compared with itself. Source: PDG, Review of Particle Physics,
    "Statistics", goodness of fit.
    """


def chi2_band(low: float = 0.3, high: float = 2.0) -> None:
    """chi2 / ndf of a fit lies between both alarm ends.

    low <= chi2 / ndf <= high of every `gof`, with ndf > 0. For ndf degrees of freedom chi2 / ndf is 1 ± sqrt(2 /
    ndf): with 50 the default ends are 3.5 and 5 standard deviations away. Source: PDG, "Statistics".
    """


def yields_conserved(tolerance: float = 1e-6) -> None:
    """What is divided adds up again: categories to their total, histogram to selected events, input to output.

    Compared, as far as it is there, to a relative `tolerance`: the sum over `categories` (regions, samples, ...)
    with the same key beside them or in `total`; each category with the rows of a table that carry its number; the
    end of a cut flow, or `n_events` and `yield`, with the rows and weights of the table; the only histogram, with
    its flow bins where they are stored, with them; for a table without any of these its rows and weights with those
    of the inputs.
    """


def cutflow_monotonic() -> None:
    """Events of a cut flow never rise, its first entry holds all events, and its errors fit its events.

    n_i+1 <= n_i; n_0 is the number of entries of the input; for weights (sum w)^2 <= n sum w^2 (Cauchy and
    Schwarz), so no error is smaller than |yield| / sqrt(n), and where yields are counts it is sqrt(n).
    """


def weights_sum(column: str | None = None, total: float | None = None, tolerance: float = 1e-3) -> None:
    """Weights of an output are those of the input (or sum up to `total`), not all one if the input's are not.

    With `total`: |sum w - total| <= tolerance * total. Without: each weight is one of those of the input, the sums
    agree for the same number of events, and a cut flow begins with the sum of the input. For what is normalised to
    a luminosity the total is L * sigma * filter efficiency * k, before any selection. `column` names the weights,
    where it is not clear.
    """


def variation_moves(
    up: str = "up", down: str = "down", signed: bool = True, largest: float | dict[str, float] | None = None
) -> None:
    """Up and down variations differ from the nominal result, and lie on opposite sides of it where `signed`.

    Keys, histograms, columns or files with `up` and `down` as a word of their name (`n_jes_up`, `jesUp`) are
    compared with each other, and with the same name without the word, without the systematic before it, or with
    `nominal`: something differs by more than 1e-9, (up - nominal) (down - nominal) < 0 for the sums, and neither
    moves what they hold, sum |x - nominal|, 20 times as far as the other. Sums, and means of histograms, move by no
    more than `largest` of them, for all variations or by a word of their name (`{"scale": 0.01}`). Source: the list of
    JFC: "systematics with exactly zero effect because the variation was never applied".
    """


def poisson_errors(tolerance: float = 0.02) -> None:
    """Errors of counts are sqrt(n), of weighted histograms sqrt(sum of squared weights).

    A histogram of whole numbers has variances equal to its contents. One that a column of a table gives with its
    weights is filled again, and its variances are sum w^2. Yields with an error likewise, from the table with just
    these events. `tolerance` is relative, on errors. Source: PDG, "Statistics"; ROOT's TH1::Sumw2.
    """


def efficiency_in_unit_interval() -> None:
    """Efficiencies, acceptances, fractions and p-values lie between 0 and 1, with errors that fit.

    0 <= e <= 1 for keys and columns called so; where `passed` and `total` stand beside it e = passed / total, and
    its error is within a factor of 3 of sqrt(e (1 - e) / n). Else n is at most the entries of the inputs, and at least
    the denominator, where e is a ratio of whole numbers. Source: PDG, "Statistics", binomial proportions.
    """


def significance(tolerance: float = 0.1) -> None:
    """z, p0 and, where they are given, counts agree, in the right tail.

    z = Phi^-1(1 - p0), one-sided. For a counting experiment q0 = 2 (n ln(n / b) - n + b), z = sign(n - b) sqrt(q0),
    or the exact Poisson tail; with `background_error` the same with a control region. z_exp with n = s + b. From
    `q0_obs`, and from a `profile` of the likelihood, z = sqrt(q0). `tolerance` is absolute, and relative for large
    z. Source: G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554, eqs. 53 and 97; T.-P. Li,
    Y.-Q. Ma, ApJ 272 (1983) 317.
    """


def limit_ordering() -> None:
    """Expected limits rise from -2 to +2 standard deviations; the observed one is positive and in their range.

    The observed limit lies within 2.5 times the distance of the outer band from the median: further away limits are
    not of the same thing. `cl` is at least 0.5. Source: A. L. Read, J. Phys. G 28 (2002) 2693.
    """


def upper_limit(background_uncertainty: float | None = None, tolerance: float = 0.1) -> None:
    """CLs limits of a counting experiment are those of its counts.

    CLs(mu) = P(n <= n_obs | mu s + b) / P(n <= n_obs | b) = 1 - CL, of `counts` with `observed`, `signal` and
    `background`; averaged over a Gaussian of the background (Cousins and Highland, NIM A 320 (1992) 331), or asymptotic
    (Cowan et al., Eur. Phys. J. C 71 (2011) 1554, eqs. 14 and 88). `observed` and all `expected` are within a relative
    `tolerance` of one of both, and not those of a known mistake: CLs+b, P(n < n_obs), another level, no uncertainty,
    the expected limit for the observed one. The uncertainty of the background (of it) is `background_uncertainty`,
    `background_error`, or the param that is called so. Source: A. L. Read, J. Phys. G 28 (2002) 2693.
    """


def mass_window(low: float, high: float, column: str | None = None) -> None:
    """A mass (column, histogram or fitted position) lies within [low, high] GeV.

    All finite values of a column called like a mass (`m_yy`, `mass`), else the fitted position (`mean`, `mu`,
    `m_h`), else the bins of a histogram of it that hold something. `column` names it, where several are there.
    """


def column_range(column: str, low: float | None = None, high: float | None = None, unit: str = "GeV") -> None:
    """A column of the outputs lies within [low, high], of which one end may be open.

    low <= x <= high for all values of every column of this name, in tables, arrays and lists of records; of lists all
    members. What an event does not have (NaN) is passed over, but there has to be a value. Ends are kept to 1e-6, as
    near as single precision comes. `unit` is that of the ends, for the message; an energy that would lie within them
    in another unit is told so.
    """


def closure(parameter: str, truth: float, max_pull: float = 3.0) -> None:
    """A fitted parameter agrees with what was injected, within `max_pull` errors.

    |value - truth| <= max_pull * error, with an error above 0. Source: PDG, "Statistics", on bias and coverage.
    """


def stable_seed() -> None:
    """Run again on the same inputs, the script makes the same numbers.

    It takes a second run, so it is carried out with the probes.
    """


CONTRACTS: Mapping[str, Callable[..., None]] = {
    function.__name__: function
    for function in (
        fit_valid, pulls, chi2_band, yields_conserved, cutflow_monotonic, weights_sum, variation_moves, poisson_errors,
        efficiency_in_unit_interval, significance, limit_ordering, upper_limit, mass_window, column_range, closure,
        stable_seed,
    )
}  # fmt: skip
"""Name → declaration."""
