"""What was done, for people: one page about a workflow's agent rules, and a paragraph for an analysis note."""
