"""Whole contents of files as numbers, whatever their format: read, measured, and written back altered."""
