"""The API kiln.dev/v1alpha1 as the operator spells it."""
