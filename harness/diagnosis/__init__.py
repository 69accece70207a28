"""Why two implementations differ: known faults planted in the reference until one gives the numbers that were seen."""
