"""AWD-LSTM in one file (no nn.LSTM, runs on mps)."""
import torch
import torch.nn.functional as F


def dropout_mask(x, size, p):
    return x.new_empty(*size).bernoulli_(1 - p).div_(1 - p)


def rnn_dropout(x, p):
    return x * dropout_mask(x, (x.size(0), 1, x.size(2)), p) if p else x


def embedding_dropout(words, weight, p):
    if p:
        weight = weight * dropout_mask(weight, (weight.size(0), 1), p)
    return F.embedding(words, weight)


def lstm(x, w_ih, w_hh, b, h, c):
    xs = x @ w_ih + b
    ys = []
    for xt in xs.unbind(1):
        i, f, g, o = (xt + h @ w_hh).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        ys.append(h)
    return torch.stack(ys, 1), h, c


def run(case):
    w, n = case.weights, case.config["layers"]
    p_emb, p_in, p_weight, p_hidden, p_out = (
        case.rate(s) for s in ("embedding.rows", "input", "weight.recurrent", "between_layers", "output")
    )
    out = {}
    y = rnn_dropout(embedding_dropout(case.inputs["x"], w["embedding"], p_emb), p_in)
    for k in range(n):
        w_hh = w[f"layer{k}.recurrent_kernel"]
        zero = y.new_zeros(y.size(0), w_hh.size(0))
        w_hh = F.dropout(w_hh, p_weight, case.training)
        y, h, c = lstm(y, w[f"layer{k}.kernel"], w_hh, w[f"layer{k}.bias"], zero, zero)
        out[f"layer{k}.h"], out[f"layer{k}.c"] = h, c
        y = rnn_dropout(y, p_hidden if k < n - 1 else p_out)
    decoder = w["embedding"].t() if case.config["tied"] else w["decoder.kernel"]
    out["y"] = y @ decoder + w["decoder.bias"]
    return out
