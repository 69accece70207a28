"""A layer kind, a framework and a check that come with a package of their own."""
