# Do sentences and reference agree? And the page that a person reads first.


rule compare:
    input:
        agent_ntuples="results/{source}/agent/ntuples.json",
        agent_arrays=expand("results/{{source}}/agent/arrays/{sample}.npz", sample=SAMPLES),
        agent_cutflows=expand("results/{{source}}/agent/cutflow/{sample}.json", sample=SAMPLES),
        agent_selected=expand("results/{{source}}/agent/selected/{sample}.parquet", sample=SAMPLES),
        agent_separation="results/{source}/agent/separation.json",
        agent_categories="results/{source}/agent/categories.json",
        agent_fit="results/{source}/agent/fit.json",
        agent_atlas_fit="results/atlas_fit.json",
        reference_ntuples="results/{source}/reference/ntuples.json",
        reference_arrays=expand("results/{{source}}/reference/arrays/{sample}.npz", sample=SAMPLES),
        reference_cutflows=expand("results/{{source}}/reference/cutflow/{sample}.json", sample=SAMPLES),
        reference_selected=expand("results/{{source}}/reference/selected/{sample}.parquet", sample=SAMPLES),
        reference_separation="results/{source}/reference/separation.json",
        reference_categories="results/{source}/reference/categories.json",
        reference_fit="results/{source}/reference/fit.json",
        reference_atlas_fit="results/reference/atlas_fit.json",
        truths=lambda wildcards: truths_of(wildcards),
    output:
        json="results/{source}/comparison.json",
        markdown="results/{source}/comparison.md",
    params:
        samples=SAMPLES,
        strict=config["strict"],
    log:
        "logs/{source}/compare.log",
    conda:
        "../envs/analysis.yaml"
    script:
        "../scripts/compare.py"


rule summary:
    input:
        comparison="results/{source}/comparison.json",
        cutflow="results/{source}/agent/cutflow/data.json",
        separation="results/{source}/agent/separation.json",
        categories="results/{source}/agent/categories.json",
        fit="results/{source}/agent/fit.json",
        atlas_fit="results/atlas_fit.json",
        significance="results/{source}/reference/significance.json",
        fit_plot="results/{source}/agent/fit.png",
        reference_plot="results/{source}/reference/fit.png",
        separation_plot="results/{source}/agent/separation.png",
        categories_plot="results/{source}/agent/categories.png",
        atlas_plot="results/atlas_fit.png",
    output:
        report("results/{source}/summary.html", category="Summary"),
    params:
        label=plot_label,
        captions={
            "fit_plot": "Step 6, by the script of the sentence “fit m_yy with DSCB+exp”",
            "reference_plot": "The same fit by the wrappers zfit/fit and mplhep/fit",
            "separation_plot": "Step 4: Higgs bosons from the continuum",
            "categories_plot": "Step 5: categories of the score",
            "atlas_plot": "The spectrum that ATLAS recorded (ATLAS Open Data, 10 fb⁻¹), signal from official simulation",
        },
        sentences=SENTENCES,
    log:
        "logs/{source}/summary.log",
    conda:
        "../envs/analysis.yaml"
    script:
        "../scripts/summary.py"
