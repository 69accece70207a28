"""The checks, one file a family (`mask.*`, `scale.*`, …), found without a central list."""
