"""A recurrent kind whose gates are neither an LSTM's nor a GRU's."""
