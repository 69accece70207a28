"""The gate: a committed baseline of what every comparison gave, and what has changed since."""
