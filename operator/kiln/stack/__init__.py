"""One Stack: inputs, objective, revisions, reconciliation, status."""
