# From the ntuples of ATLAS Open Data to the fitted number of Higgs bosons. What may be changed from outside:
# folders by `pathvars`, release and samples by `config`, all else by `use rule ... with: params:`.


pathvars:
    ntuples="<resources>/ntuples",


# The official selection of each release, and its samples. Of 2020, ttH is left out: 218 MB for one per cent of the signal.
RELEASES = {
    "2020": {
        "data": [f"data_{period}.GamGam.root" for period in "ABCD"],
        "signal": [
            "mc_343981.ggH125_gamgam.GamGam.root",
            "mc_345041.VBFH125_gamgam.GamGam.root",
            "mc_345318.WpH125J_Wincl_gamgam.GamGam.root",
            "mc_345319.ZH125J_Zincl_gamgam.GamGam.root",
        ],
        "luminosity": 10.064,
        "photon_pt": 25,
        "require": "== 2",
        "accept": [
            "track_isolation1 < 0.065 * pt1 and track_isolation2 < 0.065 * pt2",
            "calo_isolation1 < 0.065 * pt1 and calo_isolation2 < 0.065 * pt2",
            "pt1_over_mass > 0.35 and pt2_over_mass > 0.25",
        ],
        "model": "DSCB + poly3",
    },
    "2025": {
        "data": [
            *(
                f"ODEO_FEB2025_v0_GamGam_data15_period{period}.GamGam.root"
                for period in "DEFGHJ"
            ),
            *(
                f"ODEO_FEB2025_v0_GamGam_data16_period{period}.GamGam.root"
                for period in "ABCDEFGIKL"
            ),
        ],
        "signal": [
            f"ODEO_FEB2025_v0_GamGam_mc_{name}.GamGam.root"
            for name in (
                "343981.PowhegPythia8EvtGen_NNLOPS_nnlo_30_ggH125_gamgam",
                "346214.PowhegPy8EG_NNPDF30_AZNLOCTEQ6L1_VBFH125_gamgam",
                "345317.PowhegPythia8EvtGen_NNPDF30_AZNLO_WmH125J_Hyy_Wincl_MINLO",
                "345318.PowhegPythia8EvtGen_NNPDF30_AZNLO_WpH125J_Hyy_Wincl_MINLO",
                "345319.PowhegPythia8EvtGen_NNPDF30_AZNLO_ZH125J_Hyy_Zincl_MINLO",
                "345061.PowhegPythia8EvtGen_NNPDF3_AZNLO_ggZH125_HgamgamZinc",
                "346525.PowhegPythia8EvtGen_A14NNPDF23_NNPDF30ME_ttH125_gamgam",
            )
        ],
        "luminosity": 36.1,
        "photon_pt": 30,
        "require": ">= 2",
        "accept": [
            "track_isolation1 < 0.055 * pt1 and track_isolation2 < 0.055 * pt2",
            "pt1 > 50 and pt1_over_mass > 0.35 and pt2_over_mass > 0.35",
        ],
        "model": "DSCB + poly4",
    },
}
RELEASE = RELEASES[str(config.get("release", "2020"))]
SAMPLES = {sample: config.get(sample, RELEASE[sample]) for sample in ("data", "signal")}
# Whoever chooses the data knows how many inverse femtobarns they are, and what a plot of them must say.
OFFICIAL = {
    "luminosity": RELEASE["luminosity"],
    "status": "Open Data",
    "experiment": "ATLAS",
}
ABOUT = {"experiment": "", **config} if "data" in config else {**OFFICIAL, **config}
if missing := {"luminosity", "status"} - set(ABOUT):
    raise WorkflowError(
        f"config: beside `data` the module needs {' and '.join(sorted(missing))}"
    )
GOOD_PHOTON = (
    f"photon_is_tight and photon_pt > {RELEASE['photon_pt']} "
    "and abs(photon_eta) < 2.37 and not photon_in_crack"
)
# The wrappers are where this file is: in a folder, in a commit of a repository, or at a URL.
WRAPPER = workflow.current_basedir.join("../../../phys/TOOL/TASK").get_path_or_uri(
    secret_free=True
)
WRAPPER = WRAPPER if "://" in WRAPPER else f"file:{WRAPPER}"


rule fetch:
    output:
        "<ntuples>/{file}.root",
    log:
        "<logs>/fetch/{file}.log",
    wildcard_constraints:
        file="[^/]+",
    retries: 2
    wrapper:
        WRAPPER.replace("TOOL/TASK", "opendata/fetch")


rule normalise:
    input:
        "<ntuples>/{file}.root",
    output:
        events=temp("<results>/normalised/{file}.parquet"),
        summary="<results>/normalised/{file}.json",
    log:
        "<logs>/normalise/{file}.log",
    threads: 2
    params:
        luminosity=f"{ABOUT['luminosity']} /fb",
        objects=["photon"],
    wrapper:
        WRAPPER.replace("TOOL/TASK", "opendata/normalise")


rule skim:
    input:
        "<results>/normalised/{file}.parquet",
    output:
        "<results>/skimmed/{file}.parquet",
        cutflow="<results>/skimmed/{file}.json",
    log:
        "<logs>/skim/{file}.log",
    threads: 2
    params:
        cut={
            "trigger": "pass_trigger",
            "two photons": f"count({GOOD_PHOTON}) {RELEASE['require']}",
        },
        keep=["event_number", "weight", "photon_*"],
        weight="weight",
    wrapper:
        WRAPPER.replace("TOOL/TASK", "uproot/skim")


# All files of a sample become one table, with one line per event.
rule pairs:
    input:
        lambda wildcards: [
            f"<results>/skimmed/{file.removesuffix('.root')}.parquet"
            for file in SAMPLES[wildcards.sample]
        ],
    output:
        "<results>/pairs/{sample}.parquet",
        cutflow="<results>/pairs/{sample}.json",
    log:
        "<logs>/pairs/{sample}.log",
    wildcard_constraints:
        sample="data|signal",
    params:
        objects="photon",
        unit="GeV",
        select=GOOD_PHOTON,
        require=RELEASE["require"],
        keep=["event_number", "weight"],
        keep_objects=["photon_track_isolation", "photon_calo_isolation"],
        accept=" and ".join([*RELEASE["accept"], "105 < mass < 160"]),
        rename={"mass": "m_yy"},
        weight="weight",
    wrapper:
        WRAPPER.replace("TOOL/TASK", "vector/pairs")


# The shape of the peak comes from the simulated signal, the number of its events and the background from the data.
rule fit:
    input:
        data="<results>/pairs/data.parquet",
        signal="<results>/pairs/signal.parquet",
    output:
        fit="<results>/fit.json",
    log:
        "<logs>/fit.log",
    params:
        model=RELEASE["model"],
        observable="m_yy",
        range=[105, 160],
        signal_weight="weight",
    wrapper:
        WRAPPER.replace("TOOL/TASK", "zfit/fit")


rule plot:
    input:
        "<results>/fit.json",
    output:
        report("<results>/fit.png", category="Fit"),
        "<results>/fit.pdf",
    log:
        "<logs>/plot.log",
    params:
        status=ABOUT["status"],
        experiment=ABOUT["experiment"],
        luminosity=ABOUT["luminosity"],
        energy=13,
        x_label=r"$m_{\gamma\gamma}$ [GeV]",
    wrapper:
        WRAPPER.replace("TOOL/TASK", "mplhep/fit")
