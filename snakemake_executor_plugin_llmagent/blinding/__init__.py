"""Twins of data files: what an author may see of data, in place of the data."""
