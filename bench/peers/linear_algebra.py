"""Times NumPy's (and for truncated SVD scikit-learn's) linear algebra: one request a line on stdin, one time in seconds a line on stdout."""

import json
import sys
import time

import numpy as np

print(json.dumps({"numpy": np.__version__}), flush=True)
rng = np.random.default_rng(0)
kept = {}


def matrix(rows, columns):
    if (rows, columns) not in kept:
        kept[rows, columns] = rng.normal(size=(rows, columns))
    return kept[rows, columns]


def truncated(a, rank):
    from sklearn.utils.extmath import randomized_svd

    return randomized_svd(a, rank, n_oversamples=10, n_iter=4, power_iteration_normalizer="QR", random_state=0)


operations = {
    "multiply": lambda a: a @ a.T,
    "qr": lambda a: np.linalg.qr(a),
    "svd": lambda a: np.linalg.svd(a, full_matrices=False),
    "eigh": lambda a: np.linalg.eigh(a + a.T),
    "cholesky": lambda a: np.linalg.cholesky(a @ a.T + np.eye(len(a))),
    "truncatedSvd": lambda a: truncated(a, 32),
    "assign": lambda a: __import__("scipy.optimize", fromlist=["x"]).linear_sum_assignment(a),
}
for line in sys.stdin:
    operation, rows, columns = json.loads(line)
    a = matrix(rows, columns)
    start = time.perf_counter()
    operations[operation](a)
    print(time.perf_counter() - start, flush=True)
