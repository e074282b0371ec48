"""Peer of bench/extreme.ts: HiClass, a logistic regression per parent node, on TF-IDF of 1-2 words (scikit-learn's defaults otherwise).

Usage: hierarchical_hiclass.py TRAIN.jsonl.gz TEST.jsonl.gz MODEL.pkl ANSWERS.jsonl [--threads 1]
Text in, model saved, test predicted; writes the predicted path of each test row as one label, prints one JSON line with seconds and sizes.
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
from hiclass import LocalClassifierPerParentNode
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("model")
    parser.add_argument("answers")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    rows = read(options.train)
    # A code may be the prefix of another, and a name may stand under two parents: a node is named by its whole path.
    paths = [["\t".join(row["labels"][0][: d + 1]) for d in range(len(row["labels"][0]))] for row in rows]
    depth = max(map(len, paths))
    targets = np.array([path + [""] * (depth - len(path)) for path in paths], dtype=object)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    features = vectorizer.fit_transform([row["text"] for row in rows])
    model = LocalClassifierPerParentNode(
        local_classifier=LogisticRegression(max_iter=1000), n_jobs=options.threads, verbose=50
    )
    model.fit(features, targets)
    with open(options.model, "wb") as file:
        pickle.dump((vectorizer, model), file)
    trained = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)

    texts = [row["text"] for row in read(options.test)]
    begin = time.process_time()
    predicted = model.predict(vectorizer.transform(texts))
    end = time.process_time()
    with open(options.answers, "w", encoding="utf-8") as file:
        for row in predicted:
            own = [str(label) for label in row if str(label)]
            file.write(json.dumps(own[-1:]) + "\n")
    print(
        json.dumps(
            {
                "wallSeconds": trained - started,
                "cpuSeconds": usage.ru_utime + usage.ru_stime,
                "peakRssBytes": usage.ru_maxrss * 1024,
                "modelBytes": os.path.getsize(options.model),
                "queryMs": 1000 * (end - begin) / len(texts),
            }
        )
    )


main()
