"""GRU (Keras-Variante reset_after) mit zusammengefügter Gewichtsmatrix für Aktualisierung und Rücksetzung."""
import numpy as np


def sigmoide(a):
    return 0.5 * (np.tanh(0.5 * a) + 1)


class GruSchicht:
    def __init__(self, gewichte):
        W, U = gewichte["kernel"], gewichte["recurrent_kernel"]
        b, rb = gewichte["bias"], gewichte["recurrent_bias"]
        self.n = U.shape[0]
        n2 = 2 * self.n
        # oben der Eingang, unten der Zustand
        self.WU_tor = np.vstack([W[:, :n2], U[:, :n2]])
        self.b_tor = b[:n2] + rb[:n2]
        self.W_neu, self.b_neu = W[:, n2:], b[n2:]
        self.U_neu, self.rb_neu = U[:, n2:], rb[n2:]

    def schritt(self, x, h):
        tore = sigmoide(np.hstack([x, h]) @ self.WU_tor + self.b_tor)
        z, r = tore[:, : self.n], tore[:, self.n :]
        kandidat = np.tanh(x @ self.W_neu + self.b_neu + r * (h @ self.U_neu + self.rb_neu))
        return z * h + (1 - z) * kandidat


def run(case):
    schicht = GruSchicht(case.weights)
    x = case.inputs["x"]
    rate = case.rate("input")
    if rate > 0:
        # eine Maske pro Folge
        maske = case.rng.bernoulli(1 - rate, (x.shape[0], 1, x.shape[2]))
        x = np.where(maske, x / x.dtype.type(1 - rate), 0).astype(x.dtype)
    h = np.zeros((x.shape[0], schicht.n), x.dtype)
    for t in range(x.shape[1]):
        h = schicht.schritt(x[:, t], h)
    return {"y": h, "h": h}
