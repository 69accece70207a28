"""The catalogue: one file a subject; each family registers itself (harness.diagnosis.fault)."""
