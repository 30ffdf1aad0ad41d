"""The commands of `llmagent`, a module each; `cli` puts them together."""
