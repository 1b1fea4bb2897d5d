"""Linear probes as scikit-learn fits them, and how it chooses their strength, into linear_probe.json.

    python -m venv venv && venv/bin/pip install scikit-learn==1.9.1
    venv/bin/python linear_probe.py

Features are rounded to float32. scikit-learn's own L-BFGS stops where the loss hardly falls any more, some 1e-5 from the
optimum in probability; its Newton solver ends at the optimum, which is unique.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

SEED = 20254


def case(rng, n, n_test, d, k, spread, c):
    centres = rng.normal(size=(k, d))
    labels = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    test_labels = rng.integers(k, size=n_test)
    rows = lambda labels: (centres[labels] + spread * rng.normal(size=(len(labels), d))).astype(np.float32)
    features, test = rows(labels), rows(test_labels)
    # float32 as the crate reads them, in float64 or scikit-learn would compute in float32
    features, test = [np.round(x, 3).astype(np.float32).astype(np.float64) for x in (features, test)]
    model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(features, labels)
    return {
        "inverse_strength": c, "d": d, "n_classes": k,
        "features": [round(float(x), 3) for x in features.ravel()], "labels": labels.tolist(),
        "test": [round(float(x), 3) for x in test.ravel()], "test_labels": test_labels.tolist(),
        "predicted": model.predict(test).tolist(),
        "probabilities": [float(f"{p:.12g}") for p in model.predict_proba(test).ravel()],
        "accuracy": model.score(test, test_labels),
    }


def selection(rng, case, strengths, n_folds):
    """Strengths by folds, of features of very different scales that are standardised."""
    factors, offsets = [1e3, 1.0, 1e-3, 5.0, 1.0], [2e3, 0.0, 1.0, -40.0, 7.0]
    x = np.array(case["features"], np.float32).reshape(-1, case["d"])
    x = x * np.array(factors, np.float32) + np.array(offsets, np.float32)
    x = StandardScaler().fit_transform(x.astype(np.float64)).astype(np.float32).astype(np.float64)
    y, folds = np.array(case["labels"]), rng.integers(n_folds, size=len(x))
    n_right, losses = [], []
    for c in strengths:
        right, loss = 0, 0.0
        for fold in range(n_folds):
            rest, held_out = folds != fold, folds == fold
            model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x[rest], y[rest])
            right += int((model.predict(x[held_out]) == y[held_out]).sum())
            loss += log_loss(y[held_out], model.predict_proba(x[held_out]), normalize=False, labels=range(case["n_classes"]))
        n_right.append(right)
        losses.append(float(loss / len(x)))
    return {"factors": factors, "offsets": offsets, "folds": folds.tolist(), "strengths": strengths,
            "n_right": n_right, "losses": losses}


def main():
    rng = np.random.default_rng(SEED)
    cases = [
        case(rng, 120, 60, 5, 3, 1.5, 1.0),
        case(rng, 120, 60, 5, 3, 1.5, 0.01),
        case(rng, 60, 40, 20, 4, 2.0, 100.0),
        # fewer samples than features, and two classes
        case(rng, 12, 30, 16, 2, 1.0, 10.0),
    ]
    out = {"scikit-learn": sklearn.__version__, "numpy": np.__version__, "seed": SEED, "cases": cases,
           "selection": selection(rng, cases[0], [0.001, 0.01, 0.1, 1.0, 10.0], 4)}
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


main()
