"""One file a framework or API family; each registers its rules (harness.streams.registry)."""
