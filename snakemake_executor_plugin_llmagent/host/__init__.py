"""All that touches Snakemake."""
