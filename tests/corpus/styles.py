"""Which right scripts of another style there are."""

from __future__ import annotations

from tests.corpus.problems import Unusual

BOOTSTRAP = """\
Fit the diphoton mass of the data between 105 and 160 GeV with iminuit: a Gaussian signal on an exponential
background, extended unbinned maximum likelihood, free `n_signal`, `n_background`, `mean` (120 to 130 GeV) and
`slope`; the width of the Gaussian is the weighted standard deviation of m_yy [GeV] in the simulated signal. Write the
fit as JSON with HESSE errors and a chi2 of 1 GeV bins, and beside it `bootstrap`, the standard deviation of each
parameter over params.replicas bootstrap replicas of the data, with the seed params.seed.
"""
TOYS = """\
Upper limit on the signal strength mu of a counting experiment with the CLs method, from params.toys
pseudo-experiments with the seed params.seed. Inputs are events with m_yy [GeV], score and weight (data: 1;
simulation: normalised to the luminosity of the data). Signal region: m_yy within params.window (GeV), score >
params.min_score. The background has a relative Gaussian uncertainty params.background_uncertainty. Limits at
params.confidence_level, expected ones for the quantiles of -2 to +2 standard deviations of n under background only.
JSON as a limits result, with `counts`.
"""
PYHF = """\
Upper limit on the signal strength with pyhf (asymptotic CLs, one bin, params.background_uncertainty as the relative
uncertainty of the background). Inputs are events with m_yy [GeV], score and weight (data: 1; simulation: normalised
to the luminosity of the data). Signal region: m_yy within params.window (GeV), score > params.min_score. Limits at
params.confidence_level, JSON as a limits result, with `counts`.
"""
SPLIT = """\
Divide the scored events at random into halves for training and testing, with the seed params.seed. Outputs: `events`,
the rows of the input in their order with the new column `is_train` (bool); and `summary`, a JSON file with events,
yield (sum of weights) and error (square root of the sum of squared weights) of `train`, `test` and `total`, and the
`seed`.
"""
LIMIT = {"window": [122.0, 128.0], "min_score": 0.8, "confidence_level": 0.95, "background_uncertainty": 0.15}

UNUSUAL = (
    Unusual(
        file="fit_dataclasses",
        task="mass_fit",
        style="dataclasses, a model as a callable object, cost functions of iminuit",
        differs=(".notes", ".fmin", ".correlation", ".covariance"),
    ),
    Unusual(
        file="fit_bootstrap",
        task="mass_fit",
        style="random numbers that the sentence asks for",
        text=BOOTSTRAP,
        params={"replicas": 12, "seed": 20260101},
        probes=("half_events(inputs='data')", "half_events(inputs='signal')"),
    ),
    Unusual(
        file="select_generators",
        task="select_events",
        style="generators, logging, main guard, parquet written in pieces",
    ),
    Unusual(
        file="select_vector", task="select_events", style="awkward and vector alone, no functions, paths by position"
    ),
    Unusual(file="select_loops", task="select_events", style="plain loops over events, German comments and names"),
    Unusual(
        file="hist_numpy",
        task="histogram",
        style="np.add.at, UHI's JSON by hand, Spanish names",
        differs=("writer_info", ".metadata"),
    ),
    Unusual(file="hist_reduce", task="histogram", style="one expression, functools.reduce"),
    Unusual(
        file="hist_pandas",
        task="histogram",
        style="pandas, boost-histogram, weights named poids",
        differs=("writer_info", ".metadata"),
    ),
    Unusual(
        file="limit_toys",
        task="upper_limit",
        style="toys with an explicit seed, bisection, lambdas",
        text=TOYS,
        params={**LIMIT, "toys": 20_000, "seed": 7},
        probes=("half_events()",),
    ),
    Unusual(file="limit_pyhf", task="upper_limit", style="pyhf, filters of parquet", text=PYHF, params=LIMIT),
    Unusual(file="cutflow_accumulate", task="cutflow", style="itertools.accumulate, walrus, comprehensions"),
    Unusual(file="cutflow_pandas", task="cutflow", style="pandas queries as texts"),
    Unusual(file="normalise_decimal", task="normalise", style="Decimal, fsum, German names, weights named gewicht"),
    Unusual(
        file="normalise_class", task="normalise", style="configuration as a namespace, class with operators, ExitStack"
    ),
    Unusual(file="categorise_pure", task="categorise", style="no arrays: lists, bisect, defaultdict"),
    Unusual(file="categorise_pandas", task="categorise", style="pd.cut and groupby"),
    Unusual(
        file="split_seeded",
        task="categorise",
        style="train/test split with an explicit seed",
        text=SPLIT,
        params={"seed": 11},
        contracts=("weights_sum('weight')",),
        probes=("scale_weights(2)", "half_events()"),
    ),
    Unusual(
        file="plot_mplhep", task="plot", style="mplhep, figure and canvas by hand, rc_context", differs=("pixels",)
    ),
    Unusual(
        file="plot_pyplot",
        task="plot",
        style="pylab with star import, state machine, no functions",
        differs=("pixels",),
    ),
    Unusual(file="significance_lambdas", task="significance", style="lambdas, pyarrow.dataset, inputs unpacked"),
    Unusual(file="efficiency_class", task="efficiency", style="class with cached properties, pandas groupby"),
    Unusual(
        file="to_arrays_in_pieces",
        task="to_arrays",
        style="read in pieces, names of columns put together; written by a model for this sentence",
    ),
    Unusual(file="to_arrays_match", task="to_arrays", style="match statement, context manager, pieces by memory"),
    Unusual(file="systematics_table", task="systematics", style="table of lambdas, names in Greek and German"),
)
