import keras


class SentenceEncoder(keras.Model):
    def __init__(self, units, rate, dtype, seed):
        super().__init__(dtype=dtype)
        self.rnn = keras.layers.SimpleRNN(units, return_sequences=True, return_state=True, dtype=dtype)
        self.dropout = keras.layers.Dropout(rate, dtype=dtype, seed=seed)

    def call(self, tokens, training=False):
        out, last = self.rnn(tokens)
        out = self.dropout(out, training=False)
        return out, last


def load(case):
    enc = SentenceEncoder(case.config["units"], case.rate("output"), case.dtype, case.seed)
    enc(keras.ops.zeros(tuple(case.inputs["x"].shape), case.dtype))
    return enc


def run(case):
    enc = case.keep(lambda: load(case))
    tv = [case.weights[k] for k in ("kernel", "recurrent_kernel", "bias")]
    (y, h), ntv = enc.stateless_call(
        tv, [v.value for v in enc.non_trainable_variables], case.inputs["x"], training=case.training
    )
    for v, n in zip(enc.non_trainable_variables, ntv):
        v.assign(n)
    return {"y": y, "h": h}
