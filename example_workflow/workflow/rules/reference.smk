# The same steps a second time, from wrappers and a few lines of Python, to compare the agents' results with.


rule reference_ntuples:
    input:
        all_ntuples,
    output:
        "results/{source}/reference/ntuples.json",
    params:
        entries=100000,
    log:
        "logs/{source}/reference/ntuples.log",
    wrapper:
        f"{WRAPPERS}/phys/uproot/inspect"


rule reference_objects:
    input:
        "data/{source}/normalised/{sample}.root",
    output:
        temp("results/{source}/reference/objects/{sample}.parquet"),
    params:
        define=lambda wildcards: good_objects(wildcards),
        keep=["event_number", "weight", "pass_trigger", "met", "met_phi", "n_photons", "ph_*", "n_jets", "j_*"],
    threads: 2
    log:
        "logs/{source}/reference/objects_{sample}.log",
    wrapper:
        f"{WRAPPERS}/phys/uproot/skim"


rule reference_arrays:
    input:
        "results/{source}/reference/objects/{sample}.parquet",
    output:
        "results/{source}/reference/arrays/{sample}.npz",
    params:
        columns=PADDED,
        names="<collection><number>_<variable>",
        rename={"j": "jet"},
        keep=["event_number", "weight", "pass_trigger", "n_photons", "n_jets", "met", "met_phi"],
    log:
        "logs/{source}/reference/arrays_{sample}.log",
    wrapper:
        f"{WRAPPERS}/phys/awkward/flatten"


rule reference_pairs:
    input:
        "results/{source}/reference/objects/{sample}.parquet",
    output:
        "results/{source}/reference/pairs/{sample}.parquet",
        cutflow="results/{source}/reference/pairs/{sample}.json",
    params:
        objects={"name": "ph", "pt": "ph_pt", "eta": "ph_eta", "phi": "ph_phi"},
        unit="GeV",
        cut="pass_trigger",
        require="== 2",
        columns=PAIR_COLUMNS,
        rename={
            "mass": "m_yy",
            "pt": "pt_yy",
            "pt1_over_mass": "pt1_over_m",
            "pt2_over_mass": "pt2_over_m",
        },
        keep=["event_number", "weight", "met"],
        keep_objects=["ph_track_isolation", "ph_calo_isolation"],
        weight="weight",
    log:
        "logs/{source}/reference/pairs_{sample}.log",
    wrapper:
        f"{WRAPPERS}/phys/vector/pairs"


rule reference_features:
    input:
        pairs="results/{source}/reference/pairs/{sample}.parquet",
        arrays="results/{source}/reference/arrays/{sample}.npz",
    output:
        temp("results/{source}/reference/features/{sample}.parquet"),
    log:
        "logs/{source}/reference/features_{sample}.log",
    conda:
        "../envs/analysis.yaml"
    script:
        "../scripts/features.py"


rule reference_selected:
    input:
        "results/{source}/reference/features/{sample}.parquet",
    output:
        "results/{source}/reference/selected/{sample}.parquet",
        "results/{source}/reference/selected/{sample}.json",
    params:
        cut=lambda wildcards: pair_cuts(wildcards),
        keep=FEATURES,
        weight="weight",
    log:
        "logs/{source}/reference/selected_{sample}.log",
    wrapper:
        f"{WRAPPERS}/phys/uproot/skim"


rule reference_cutflow:
    input:
        pairs="results/{source}/reference/pairs/{sample}.json",
        selected="results/{source}/reference/selected/{sample}.json",
    output:
        "results/{source}/reference/cutflow/{sample}.json",
    log:
        "logs/{source}/reference/cutflow_{sample}.log",
    conda:
        "../envs/analysis.yaml"
    script:
        "../scripts/join_cutflows.py"


rule reference_sidebands:
    input:
        "results/{source}/reference/selected/data.parquet",
    output:
        temp("results/{source}/reference/sidebands.parquet"),
    params:
        cut="m_yy < 120 or m_yy > 130",
        define=RATIOS,
    log:
        "logs/{source}/reference/sidebands.log",
    wrapper:
        f"{WRAPPERS}/phys/uproot/skim"


rule reference_signal:
    input:
        expand("results/{{source}}/reference/selected/{sample}.parquet", sample=SIGNALS),
    output:
        temp("results/{source}/reference/training/signal.parquet"),
    params:
        define=RATIOS,
    log:
        "logs/{source}/reference/signal.log",
    wrapper:
        f"{WRAPPERS}/phys/uproot/skim"


rule reference_data:
    input:
        "results/{source}/reference/selected/data.parquet",
    output:
        temp("results/{source}/reference/training/data.parquet"),
    params:
        define=RATIOS,
    log:
        "logs/{source}/reference/data.log",
    wrapper:
        f"{WRAPPERS}/phys/uproot/skim"


rule reference_train:
    input:
        signal="results/{source}/reference/training/signal.parquet",
        background="results/{source}/reference/sidebands.parquet",
    output:
        model="results/{source}/reference/classifier.json",
        metrics="results/{source}/reference/separation.json",
        roc=report("results/{source}/reference/roc.png", category="Separation"),
        scores=report("results/{source}/reference/scores.png", category="Separation"),
    params:
        features=TRAINED,
        guard="m_yy",
        settings={"n_estimators": 200, "max_depth": 3, "learning_rate": 0.1},
        label=plot_label,
    threads: 2
    log:
        "logs/{source}/reference/train.log",
    wrapper:
        f"{WRAPPERS}/phys/ml/train"


rule reference_scores:
    input:
        model="results/{source}/reference/classifier.json",
        table="results/{source}/reference/training/{kind}.parquet",
    output:
        "results/{source}/reference/scores/{kind}.parquet",
    params:
        keep=["event_number", "weight", "m_yy"],
    wildcard_constraints:
        kind="signal|data",
    log:
        "logs/{source}/reference/scores_{kind}.log",
    wrapper:
        f"{WRAPPERS}/phys/ml/apply"


rule reference_categories:
    input:
        signal="results/{source}/reference/scores/signal.parquet",
        data="results/{source}/reference/scores/data.parquet",
    output:
        result="results/{source}/reference/categories.json",
        plot=report("results/{source}/reference/categories.png", category="Categories"),
    params:
        window=[122, 128],
        range=[105, 160],
        max_categories=config["max_categories"],
        label=plot_label,
    log:
        "logs/{source}/reference/categories.log",
    wrapper:
        f"{WRAPPERS}/phys/stats/categorise"


rule reference_fit:
    input:
        data="results/{source}/reference/selected/data.parquet",
        signal="results/{source}/reference/training/signal.parquet",
    output:
        fit="results/{source}/reference/fit.json",
    params:
        model="DSCB + exp",
        observable="m_yy",
        range=[105, 160],
        weight="weight",
        backend=config["fit_backend"],
        label=plot_label,
    log:
        "logs/{source}/reference/fit.log",
    wrapper:
        f"{WRAPPERS}/phys/zfit/fit"


rule reference_significance:
    input:
        fit="results/{source}/reference/fit.json",
        data="results/{source}/reference/selected/data.parquet",
    output:
        "results/{source}/reference/significance.json",
    params:
        expected="simulation",
    log:
        "logs/{source}/reference/significance.log",
    wrapper:
        f"{WRAPPERS}/phys/stats/significance"


rule reference_plot:
    input:
        "results/{source}/reference/fit.json",
    output:
        report("results/{source}/reference/fit.png", category="Fit"),
    params:
        status=lambda wildcards: "Simulation" if wildcards.source == "simulation" else "Open Data",
        experiment=lambda wildcards: "" if wildcards.source == "simulation" else "ATLAS",
        luminosity=lambda wildcards: float(source_of(wildcards)["luminosity"].split()[0]),
        energy=13,
        x_label=r"$m_{\gamma\gamma}$ [GeV]",
    log:
        "logs/{source}/reference/plot.log",
    wrapper:
        f"{WRAPPERS}/phys/mplhep/fit"


rule reference_atlas:
    input:
        "resources/atlas_2020/myy_spectrum.json",
    output:
        fit="results/reference/atlas_fit.json",
    params:
        model="mu * template + poly3",
        observable="m_yy",
    log:
        "logs/reference/atlas.log",
    wrapper:
        f"{WRAPPERS}/phys/zfit/fit"
