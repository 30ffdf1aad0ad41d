"""Parts that several wrappers carry.

A wrapper must be one file: used by URL, Snakemake fetches `wrapper.py` and nothing beside it. What wrappers share is
written once here, and `python wrappers/embed.py` copies it into each wrapper that asks for it.
"""
