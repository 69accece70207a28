"""Which cases and which backends a run is of: for the command line, the Python API and pytest alike."""
