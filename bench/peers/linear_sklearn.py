"""Peer of bench/ngram.ts: scikit-learn TF-IDF of 1-2 word and 2-5 character n-grams, LinearSVC with its defaults.

Usage: linear_sklearn.py TRAIN.jsonl.gz TEST.jsonl.gz MODEL.pkl [--multi-label]
Text in, model saved, test predicted; prints one JSON line with accuracy and seconds.
"""

import argparse
import gzip
import json
import os
import pickle
import resource
import time

started = time.perf_counter()

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("model")
    parser.add_argument("--multi-label", action="store_true")
    options = parser.parse_args()

    rows = read(options.train)
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2)),
        TfidfVectorizer(analyzer="char", ngram_range=(2, 5)),
    )
    texts = [row["text"] for row in rows]
    if options.multi_label:
        binarizer = MultiLabelBinarizer()
        targets = binarizer.fit_transform([nodes(row) for row in rows])
        model = make_pipeline(features, OneVsRestClassifier(LinearSVC()))
    else:
        targets = ["\t".join(row["labels"][0]) for row in rows]
        model = make_pipeline(features, LinearSVC())
    model.fit(texts, targets)
    with open(options.model, "wb") as file:
        pickle.dump(model, file)
    trained = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)

    tests = read(options.test)
    before = time.perf_counter()
    predicted = model.predict([row["text"] for row in tests])
    after = time.perf_counter()
    if options.multi_label:
        expected = binarizer.transform([nodes(row) for row in tests])
        scores = {"microF1": f1_score(expected, predicted, average="micro")}
    else:
        paths = [path.split("\t") for path in predicted]
        gold = [row["labels"][0] for row in tests]
        scores = {
            "leaf": float(np.mean([a == b for a, b in zip(paths, gold)])),
            "level1": float(np.mean([a[0] == b[0] for a, b in zip(paths, gold)])),
        }
    print(
        json.dumps(
            {
                **scores,
                "wallSeconds": trained - started,
                "cpuSeconds": usage.ru_utime + usage.ru_stime,
                "peakRssBytes": usage.ru_maxrss * 1024,
                "predictPerSecond": len(tests) / (after - before),
                "modelBytes": os.path.getsize(options.model),
            }
        )
    )


def nodes(row):
    """The names of all nodes on the row's paths: a name may stand under several parents, so a node is named by its whole path."""
    return {"\t".join(path[: depth + 1]) for path in row["labels"] for depth in range(len(path))}


main()
