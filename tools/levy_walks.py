"""Random walks with independent increments, seen through linear operators with Gaussian noise: laws,
operators, and exact samples of the posterior. The protocol is that of arXiv 2509.12821: signals of 64
samples, x = cumsum(u); identity, circular convolution, sampling by a fixed mask, masked Fourier samples; 25
dB.

    y = A x + sigma n

Two samplers, both exact in the limit, that share nothing but the laws:

- `backward_samples`: forward filtering and backward sampling on a lattice of spacing sigma / 12, for
  operators that see single places. No burn-in; its error is the lattice's.
- `gibbs`: the increments as Gaussians of random variances w, drawn in turn with x (for Bernoulli-Laplace,
  each place's support with the others' increments integrated out). Any operator.

    python3 tools/levy_walks.py             # holds them against each other
    python3 tools/levy_walks.py weights     # what weighing samples by their density does to coverage

Needs numpy.
"""
import sys

import numpy as np

LENGTH = 64
MASK = np.array([c == "1" for c in "1001001011001100011101000101010111010011001110011010010101101011"])
CUMULATE = np.tril(np.ones((LENGTH, LENGTH)))
OPERATORS = ["identity", "convolution", "imputation", "fourier"]


class Law:
    """Of an increment u. `keys` are those of the prior's levy.json."""

    def __init__(self, name, keys):
        self.name, self.keys = name, keys
        self.law, self.scale = keys["law"], keys.get("scale", 1.0)
        self.share, self.freedom = keys.get("share", 1.0), keys.get("freedom", 1.0)

    def draw(self, random, shape):
        if self.law == "gauss":
            return self.scale * random.standard_normal(shape)
        if self.law == "student":
            return self.scale * random.standard_t(self.freedom, shape)
        return random.laplace(0, self.scale, shape) * (random.random(shape) < self.share)

    def density(self, u):
        """Of what is not an atom."""
        u = np.abs(u) / self.scale
        if self.law == "gauss":
            return np.exp(-u * u / 2) / (self.scale * np.sqrt(2 * np.pi))
        if self.law == "student":
            n = self.freedom
            constant = {1: 1 / np.pi, 2: 1 / (2 * np.sqrt(2)), 3: 2 / (np.pi * np.sqrt(3))}[n]
            return constant / self.scale * (1 + u * u / n)**(-(n + 1) / 2)
        return self.share * np.exp(-u) / (2 * self.scale)

    def smoothed_log_density(self, u, width):
        """log of the density of u, an atom widened to a Gaussian of deviation `width`."""
        density = self.density(u)
        if self.share < 1:
            density = density + (1 - self.share) * np.exp(-(u / width)**2 / 2) / (width * np.sqrt(2 * np.pi))
        return np.log(density)

    def variances(self, u, random):
        """The variances w of increments that are Gaussian given them, given the increments."""
        if self.law == "gauss":
            return np.full_like(u, self.scale**2)
        if self.law == "student":
            n = self.freedom
            return (n * self.scale**2 + u * u) / (2 * random.standard_gamma((n + 1) / 2, u.shape))
        # 1 / w is inverse Gaussian; by Michael, Schucany and Haas (doi:10.1080/00031305.1976.10479147), with
        # their smaller root as a quotient, which does not cancel.
        mean = 1 / (self.scale * np.maximum(np.abs(u), 1e-9 * self.scale))
        a = mean * random.standard_normal(u.shape)**2 * self.scale**2 / 2
        root = mean / (1 + a + np.sqrt(2 * a + a * a))
        return 1 / np.where(random.random(u.shape) * (mean + root) < mean, root, mean * (mean / root))


LAWS = {
    law.name: law
    for law in [
        Law("gauss", {
            "law": "gauss",
            "scale": 0.5
        }),
        Law("laplace", {
            "law": "laplace",
            "scale": 1.0
        }),
        Law("bernoulli-laplace", {
            "law": "bernoulli_laplace",
            "scale": 1.0,
            "share": 0.1
        }),
        Law("student-1", {
            "law": "student",
            "freedom": 1
        }),
        Law("student-2", {
            "law": "student",
            "freedom": 2
        }),
        Law("student-3", {
            "law": "student",
            "freedom": 3
        }),
    ]
}


def operator(name):
    """Its matrix A [m, 64]."""
    eye = np.eye(LENGTH)
    if name == "identity":
        return eye
    if name == "imputation":
        return eye[MASK]
    if name == "convolution":
        taps = np.exp(-np.arange(-6, 7)**2 / (2 * 2.0**2))
        taps /= taps.sum()
        return sum(tap * np.roll(eye, shift, axis=1) for tap, shift in zip(taps, range(-6, 7)))
    spectrum = np.fft.rfft(eye, norm="ortho", axis=0)  # [33, 64]
    kept = np.r_[np.ones(5, bool), MASK[5:33]]
    inner = kept & (np.arange(33) > 0) & (np.arange(33) < 32)  # frequencies with an imaginary part
    return np.concatenate([spectrum.real[kept], spectrum.imag[inner]])


def noise_level(matrix, signals):
    """sigma of 25 dB: of the median over the signals of mean (A x)^2."""
    return float(np.sqrt(np.median(((signals @ matrix.T)**2).mean(1)) / 10**2.5))


def log_posterior(law, matrix, sigma, x, y, width):
    """Up to a constant; x [..., 64], y [m] or [..., m]."""
    increments = np.diff(x, axis=-1, prepend=0.0)
    return law.smoothed_log_density(increments, width).sum(-1) - (
        (x @ matrix.T - y)**2).sum(-1) / (2 * sigma**2)


def gibbs(law, matrix, sigma, y, burn, keep, thin, random):
    """Samples [S, keep / thin, 64] and E[x | y] [S, 64] for measurements y [S, m] at once; of the mean, what
    can be integrated is."""
    chain = _spikes if law.share < 1 else _scale_mixture
    samples, mean = [], np.zeros((len(y), LENGTH))
    for k, (x, expected) in enumerate(chain(law, matrix, sigma, y, random)):
        if k >= burn:
            mean += expected / keep
            if (k - burn) % thin == thin - 1:
                samples.append(x)
        if k == burn + keep - 1:
            return np.stack(samples, 1), mean


def _scale_mixture(law, matrix, sigma, y, random):
    """x given w by perturbing and solving, w given x."""
    precision, pulled = matrix.T @ matrix / sigma**2, y @ matrix / sigma**2
    difference = np.linalg.inv(CUMULATE)
    u = np.diff(np.linalg.lstsq(matrix, y.T, rcond=None)[0].T, axis=1, prepend=0.0)
    while True:
        w = law.variances(u, random)
        whole = precision + difference.T @ (difference / w[:, :, None])
        noise = (random.standard_normal(y.shape) @ matrix / sigma +
                 (random.standard_normal(u.shape) / np.sqrt(w)) @ difference)
        both = np.linalg.solve(whole, np.stack([pulled + noise, pulled], 2))
        x = both[:, :, 0]
        yield x, both[:, :, 1]
        u = np.diff(x, axis=1, prepend=0.0)


def _spikes(law, matrix, sigma, y, random):
    """Supports one by one, with every increment integrated out; then the increments, then w."""
    columns = matrix @ CUMULATE
    count, m = y.shape
    support = random.random((count, LENGTH)) < 0.5
    w = 2 * law.scale**2 * random.standard_exponential((count, LENGTH))
    odds = np.log(law.share / (1 - law.share))
    while True:
        variances = support * w
        inverse = np.linalg.inv(sigma**2 * np.eye(m) + (columns * variances[:, None, :]) @ columns.T)
        for k in random.permutation(LENGTH):
            h = columns[:, k]
            t = inverse @ h  # [S, m]
            a, b = t @ h, (t * y).sum(1)
            now = support[:, k] * w[:, k]
            without = 1 - now * a
            a, b, t = a / without, b / without, t / without[:, None]  # as they are without this increment
            grown = 1 + w[:, k] * a
            log_odds = odds - np.log(grown) / 2 + w[:, k] * b * b / (2 * grown)
            support[:, k] = random.random(count) < 1 / (1 + np.exp(-np.clip(log_odds, -700, 700)))
            then = support[:, k] * w[:, k]
            # inverse with this increment's variance changed from `now` to `then`
            change = now * without - then / (1 + then * a)
            inverse += change[:, None, None] * t[:, :, None] * t[:, None, :]
        variances = support * w
        inverse = np.linalg.inv(sigma**2 * np.eye(m) + (columns * variances[:, None, :]) @ columns.T)
        prior = np.sqrt(variances) * random.standard_normal(w.shape)
        gap = y - prior @ columns.T - sigma * random.standard_normal(y.shape)
        project = lambda v: variances * ((inverse @ v[:, :, None])[:, :, 0] @ columns)
        u = prior + project(gap)
        yield u @ CUMULATE.T, project(y) @ CUMULATE.T
        w = np.where(support, law.variances(u, random),
                     2 * law.scale**2 * random.standard_exponential(w.shape))


def backward_samples(law, seen, sigma, y, count, random, reach=7.0, cells_a_sigma=12, beyond=0.0):
    """Samples [count, 64] of one signal's posterior; `seen` [64] says which places y [seen.sum()] has.
    `beyond` is how far a walk may stray where it is not seen, from the places around it."""
    h = sigma / cells_a_sigma
    at = np.flatnonzero(seen)
    value = np.zeros(LENGTH)
    value[at] = y
    firsts, messages = [], []
    last_first, last = 0, np.ones(1)  # every walk begins at 0
    for k in range(LENGTH):
        if seen[k]:
            low, high = value[k] - reach * sigma, value[k] + reach * sigma
        else:
            around = [
                0.0 if k < at[0] else value[at[at < k][-1]], value[at[at > k][0]] if k < at[-1] else None
            ]
            around = [v for v in around if v is not None]
            low, high = min(around) - reach * sigma - beyond, max(around) + reach * sigma + beyond
        first, cells = int(np.floor(low / h)), int(np.ceil((high - low) / h)) + 1
        message = _convolve(law, h, last, last_first, first, cells)
        if seen[k]:
            message = message * np.exp(-((first + np.arange(cells)) * h - value[k])**2 / (2 * sigma**2))
        last_first, last = first, message / message.sum()
        firsts.append(first)
        messages.append(last)
    places = np.empty((count, LENGTH), dtype=np.int64)
    places[:, -1] = firsts[-1] + random.choice(len(last), size=count, p=last)
    for k in range(LENGTH - 2, -1, -1):
        difference = places[:, k + 1, None] - (firsts[k] + np.arange(len(messages[k])))
        shares = np.cumsum(_mass(law, h, difference) * messages[k], axis=1)
        chosen = (random.random((count, 1)) * shares[:, -1:] > shares).sum(1)
        places[:, k] = firsts[k] + np.minimum(chosen, len(messages[k]) - 1)
    return places * h


def _mass(law, h, difference):
    """Of lattice steps; of the law's atom at 0 too."""
    if law.law == "gauss" or law.law == "student":
        mass = h * law.density(difference * h)
    else:  # linear interpolation's own: exact for what varies slowly, and keeps the sum 1
        b = h / law.scale
        mass = law.share * np.where(difference == 0, 1 - (1 - np.exp(-b)) / b,
                                    np.exp(-np.abs(difference) * b) * (np.cosh(b) - 1) / b)
    return mass + np.where(difference == 0, 1 - law.share, 0.0)


def _convolve(law, h, values, first, to, cells):
    """`values` on the lattice from `first`, one increment later on `cells` cells from `to`."""
    row = _mass(law, h, np.arange(to - first - len(values) + 1, to - first + cells))
    size = 1 << int(np.ceil(np.log2(len(row) + len(values))))
    if len(values) * cells > 4_000_000:  # many cells, of densities that vary slowly
        product = np.fft.irfft(np.fft.rfft(row, size) * np.fft.rfft(values, size), size)
        return np.maximum(product[len(values) - 1:len(values) - 1 + cells], 0)
    return np.convolve(row, values, "valid")


def compare(law, name, count=4, burn=400, keep=4000, seed=5):
    """The largest difference of the two samplers' means and deviations, in posterior deviations, and what
    Monte Carlo leaves of it: places x signals differences, each of about 1 / sqrt(effective samples)."""
    random = np.random.default_rng(seed)
    matrix = operator(name)
    sigma = noise_level(matrix, law.draw(random, (1000, LENGTH)).cumsum(1))
    u = law.draw(random, (100, LENGTH))
    x = u[np.abs(u).max(1) < 40 * law.scale][:count].cumsum(1)  # a longer jump takes a longer lattice
    y = x @ matrix.T + sigma * random.standard_normal((count, len(matrix)))
    seen = MASK if name == "imputation" else np.ones(LENGTH, bool)
    beyond = {"gauss": 5, "laplace": 14, "bernoulli_laplace": 14, "student": 60}[law.law] * law.scale
    chain, mean = gibbs(law, matrix, sigma, y, burn, keep, 1, random)
    worst, root, deviations = 0.0, [], []
    for i in range(count):
        exact = backward_samples(law, seen, sigma, y[i], 2000, random, beyond=beyond)
        gap = (mean[i] - exact.mean(0)) / exact.std(0).clip(1e-3 * sigma)
        worst, root = max(worst, np.abs(gap).max()), root + [np.mean(gap**2)]
        deviations.append(np.sqrt((chain[i].std(0)**2).sum() / (exact.std(0)**2).sum()))
    return worst, np.sqrt(np.mean(root)), min(deviations), max(deviations)


def coverage(weighted, trials=4000, count=50):
    """How often the truth lies in the region of highest density that holds 90 % of `count` samples' weight,
    where truth and samples are of one law, N(0, I) in 64 dimensions. `weighted`: by the softmax of their log
    density, as postprocessing/coverage.py of https://github.com/zacmar/dps-benchmark has it at d999e2a for
    the samples of an algorithm; else all alike, which is what a sample means."""
    random = np.random.default_rng(0)
    density = np.sort(-(random.standard_normal((trials, count, LENGTH))**2).sum(2) / 2)[:, ::-1]
    truth = -(random.standard_normal((trials, LENGTH))**2).sum(1) / 2
    weights = np.exp(density - density[:, :1]) if weighted else np.ones_like(density)
    inside = np.cumsum(weights / weights.sum(1, keepdims=True), 1)
    last = (inside < 0.9 - 1e-9).sum(1)
    return (truth >= density[np.arange(trials), last]).mean()


def main():
    if sys.argv[1:] == ["weights"]:
        print(
            f"coverage of exact samples: {coverage(True):.3f} by density, {coverage(False):.3f} alike"
        )
        return
    for one in LAWS.values():
        for problem in ("identity", "imputation"):
            print(f"{one.name:18} {problem:11} means differ by at most {{:.3f}}, root mean square {{:.3f}} "
                  "deviations; ratio of deviations {:.3f} ... {:.3f}".format(*compare(one, problem)),
                  flush=True)


if __name__ == "__main__":
    main()
