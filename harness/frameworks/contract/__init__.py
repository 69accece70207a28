"""What every framework keeps to: adapters, taps, users' ports, and how they are found."""
