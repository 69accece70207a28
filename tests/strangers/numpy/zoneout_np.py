import numpy as np


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def run(case):
    x, w, rng = case.inputs["x"], case.weights, case.rng
    z_prob = {s["at"]: s["rate"] for s in case.dropout}
    n = case.config["units"]
    h = np.zeros((x.shape[0], n), x.dtype)
    c = np.zeros((x.shape[0], n), x.dtype)
    ys = []
    for x_t in np.moveaxis(x, 1, 0):
        i, f, g, o = np.hsplit(x_t @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"], 4)
        c_new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h_new = sigmoid(o) * np.tanh(c_new)
        if case.training:
            update_c = rng.bernoulli(z_prob["state.c"], c.shape)
            update_h = rng.bernoulli(z_prob["state.h"], h.shape)
            c = np.where(update_c, c_new, c)
            h = np.where(update_h, h_new, h)
        else:
            c = c + x.dtype.type(z_prob["state.c"]) * (c_new - c)
            h = h + x.dtype.type(z_prob["state.h"]) * (h_new - h)
        ys.append(h)
    return {"y": np.stack(ys, 1), "h": h, "c": c}
