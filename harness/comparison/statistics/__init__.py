"""Statistics by design: exact tests with stated error probabilities. docs/statistics.md tells the design.

`design` (draws, biases, families, two stages), `rates` (what a format really realises, the rate test), `frequencies`
(by position along each axis), `dependence` (neighbours, repeats between calls and seeds), `normal` (noise), `sharing`
(axes).
"""
