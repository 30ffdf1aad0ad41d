# Where events come from: simulated here, or fetched from the CERN Open Data portal.


rule simulate:
    output:
        ntuple="data/simulation/simulated_{sample}.GamGam.root",
        truth="data/simulation/simulated_{sample}.truth.json",
    params:
        simulation=config["simulation"],
    log:
        "logs/simulation/simulate_{sample}.log",
    conda:
        "../envs/simulation.yaml"
    script:
        "../scripts/simulate.py"


rule fetch:
    output:
        "data/{release}/{file}.root",
    wildcard_constraints:
        release="atlas-2020|atlas-2025",
        file="[^/]+",
    log:
        "logs/{release}/fetch_{file}.log",
    retries: 2
    wrapper:
        f"{WRAPPERS}/phys/opendata/fetch"


rule normalise:
    input:
        ntuples_of,
    output:
        events="data/{source}/normalised/{sample}.root",
        summary="data/{source}/normalised/{sample}.json",
    params:
        luminosity=lambda wildcards: source_of(wildcards)["luminosity"],
        kind=lambda wildcards: "data" if wildcards.sample == "data" else "simulation",
    log:
        "logs/{source}/normalise_{sample}.log",
    wrapper:
        f"{WRAPPERS}/phys/opendata/normalise"
