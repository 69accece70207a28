import jax, jax.numpy as J
def run(c):
    x, W, U, b = c.inputs["x"], *(c.weights[k] for k in ("kernel", "recurrent_kernel", "bias"))
    p, q = c.rate("input"), c.rate("state.h")
    a, d = jax.random.split(c.key)
    B, T, D = x.shape; H = len(U)
    x = J.einsum("btd,bd->btd", x, jax.random.bernoulli(a, 1-p, (B, D))/(1-p)).astype(x.dtype)
    m = (jax.random.bernoulli(d, 1-q, (T, B, H))/(1-q)).astype(x.dtype)
    h, y = jax.lax.scan(lambda h, s: (lambda n: (n, n))(J.tanh(s[0]@W + (h*s[1])@U + b)), J.zeros((B, H), x.dtype), (x.swapaxes(0,1), m))
    return dict(y=h, h=h)
