from pathlib import Path


SOURCE = config["source"]
SIGNALS = list(config["signals"])
SAMPLES = [*SIGNALS, "data"]
# Wrappers of this collection: a folder beside the example, or the place that the configuration names.
WRAPPERS = config["wrappers"] or f"file:{Path(workflow.basedir).parents[1] / 'wrappers'}"


wildcard_constraints:
    source="|".join(config["sources"]),
    sample="|".join(SAMPLES),


def source_of(wildcards):
    """What the configuration says about the source of a job."""
    return config["sources"][wildcards.source]


def plot_label(wildcards):
    """What every plot of a source has to say about its data."""
    return source_of(wildcards)["label"]


def ntuples_of(wildcards):
    """The ntuples of a sample."""
    return [f"data/{wildcards.source}/{name}" for name in source_of(wildcards)["ntuples"][wildcards.sample]]


def all_ntuples(wildcards):
    """The ntuples of all samples of a source."""
    names = source_of(wildcards)["ntuples"]
    return [f"data/{wildcards.source}/{name}" for sample in SAMPLES for name in names[sample]]


def truths_of(wildcards):
    """What was simulated, as the simulation itself knows it; nothing for real data."""
    if wildcards.source != "simulation":
        return []
    return [f"data/simulation/simulated_{sample}.truth.json" for sample in SAMPLES]


# The first words of each sentence, for the summary.
SENTENCES = {
    "summarise": "Summarise the ROOT files for a physicist who has never seen them …",
    "to_arrays": "Turn events with ragged lists of photons and jets into arrays of equal length …",
    "preprocess": "Select diphoton events from arrays, and compute what a classifier and a fit need …",
    "separate": "Train a classifier that tells H → γγ from the continuum, and give every event a score …",
    "categorise": "Divide events into categories by their score so that a Higgs boson would be seen with the greatest …",
    "fit_myy": "fit m_yy with DSCB+exp",
    "fit_atlas": "fit signal plus background to the binned m_yy spectrum: binned Poisson likelihood, a cubic polynomial …",
}


# What the reference makes of the objects of an event, in the language of expressions of the wrappers.
GOOD_PHOTON = (
    "photon_is_tight & (photon_pt > {min_photon_pt}) & (abs(photon_eta) < 2.37) "
    "& ((abs(photon_eta) < 1.37) | (abs(photon_eta) > 1.52))"
)
PHOTON_QUANTITIES = ["pt", "eta", "phi", "track_isolation", "calo_isolation"]
JET_QUANTITIES = ["pt", "eta", "phi"]
PADDED = {
    **{f"ph_{quantity}": 2 for quantity in PHOTON_QUANTITIES},
    **{f"j_{quantity}": 4 for quantity in JET_QUANTITIES},
}
PAIR_COLUMNS = ["mass", "pt", "pt1", "pt2", "pt1_over_mass", "pt2_over_mass", "eta1", "eta2", "phi1", "phi2"]
PAIR_COLUMNS += ["delta_eta", "cos_theta_star"]
PAIR_COLUMNS += [f"{kind}_isolation{number}" for kind in ("track", "calo") for number in (1, 2)]
FEATURES = ["event_number", "weight", "m_yy", "pt_yy", "pt1_over_m", "pt2_over_m", "eta1", "eta2", "phi1", "phi2"]
FEATURES += ["delta_eta", "cos_theta_star", "n_jets", "jet1_pt", "jet2_pt", "m_jj", "delta_eta_jj", "met"]
RATIOS = {"pt_yy_over_m": "pt_yy / m_yy"}
TRAINED = ["pt_yy_over_m", "pt1_over_m", "pt2_over_m", "eta1", "eta2", "delta_eta", "cos_theta_star", "n_jets"]
TRAINED += ["jet1_pt", "jet2_pt", "m_jj", "delta_eta_jj", "met"]


def good_objects(wildcards):
    """Columns of good photons and of jets, by their definitions."""
    good = GOOD_PHOTON.format(**source_of(wildcards)["selection"])
    return {
        "n_photons": f"count({good})",
        **{f"ph_{quantity}": f"photon_{quantity}[{good}]" for quantity in PHOTON_QUANTITIES},
        "n_jets": "count(jet_pt > 25)",
        **{f"j_{quantity}": f"jet_{quantity}[jet_pt > 25]" for quantity in JET_QUANTITIES},
    }


def pair_cuts(wildcards):
    """Cuts on pairs of photons, by the names of the cut flow."""
    selection = source_of(wildcards)["selection"]
    leading, subleading = selection["relative_pt"]
    isolated = [
        f"{kind}_isolation{number} < {selection[kind + '_isolation']} * pt{number}"
        for kind in ("track", "calo")
        for number in (1, 2)
    ]
    return {
        "isolation": " and ".join(isolated),
        "relative_pt": f"pt1_over_m > {leading} and pt2_over_m > {subleading}",
        "mass_window": "105 < m_yy < 160",
    }
