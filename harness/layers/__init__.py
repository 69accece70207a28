"""Layer kinds: one file each, found without a central list."""
