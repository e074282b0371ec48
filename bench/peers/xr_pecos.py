"""Peer of bench/extreme.ts: PECOS XR-Linear with the defaults of its text2text application: TF-IDF, PIFA, hierarchical k-means, tfn negatives, beam 10.

Usage: xr_pecos.py TRAIN.jsonl.gz TEST.jsonl.gz MODEL_DIR ANSWERS.jsonl [--threads 1] [--characters] [--sample]
Text in, model saved, test predicted; writes the five best labels of each test row, prints one JSON line with seconds and sizes. --characters adds
1-2 word and 2-5 character n-grams, the features that Espalier uses on small sets.
"""

import argparse
import gzip
import json
import os
import resource
import shutil
import time

started = time.perf_counter()

import numpy as np
import scipy.sparse as smat
from pecos.utils.featurization.text.vectorizers import Vectorizer
from pecos.xmc import Indexer, LabelEmbeddingFactory
from pecos.xmc.xlinear.model import XLinearModel

# The import of PyTorch and its like is no part of the work.
imported = time.perf_counter()
before = resource.getrusage(resource.RUSAGE_SELF)


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def size(folder):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("model")
    parser.add_argument("answers")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--characters", action="store_true")
    options = parser.parse_args()

    rows = read(options.train)
    names = sorted({"\t".join(path) for row in rows for path in row["labels"]})
    number = {name: i for i, name in enumerate(names)}
    indices = [number["\t".join(path)] for row in rows for path in row["labels"]]
    starts = np.cumsum([0] + [len(row["labels"]) for row in rows])
    labels = smat.csr_matrix((np.ones(len(indices), np.float32), indices, starts), shape=(len(rows), len(names)))

    config = {"type": "tfidf", "kwargs": {}}
    if options.characters:
        config["kwargs"]["base_vect_configs"] = [
            {"ngram_range": [1, 2], "analyzer": "word"},
            {"ngram_range": [2, 5], "analyzer": "char"},
        ]
    texts = [row["text"].lower() for row in rows]
    vectorizer = Vectorizer.train(texts, config=config, dtype=np.float32)
    features = vectorizer.predict(texts, threads=options.threads)
    embedding = LabelEmbeddingFactory.create(labels, features, method="pifa")
    clusters = Indexer.gen(embedding, indexer_type="hierarchicalkmeans", threads=options.threads)
    model = XLinearModel.train(features, labels, C=clusters, threads=options.threads)
    shutil.rmtree(options.model, ignore_errors=True)
    model.save(os.path.join(options.model, "ranker"))
    vectorizer.save(os.path.join(options.model, "vectorizer"))
    with open(os.path.join(options.model, "labels.json"), "w", encoding="utf-8") as file:
        json.dump(names, file)
    trained = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)

    model = XLinearModel.load(os.path.join(options.model, "ranker"), is_predict_only=True)
    tests = [row["text"].lower() for row in read(options.test)]
    begin = time.process_time()
    predicted = model.predict(
        vectorizer.predict(tests, threads=options.threads), only_topk=5, beam_size=10, threads=options.threads
    )
    end = time.process_time()
    with open(options.answers, "w", encoding="utf-8") as file:
        for row in range(predicted.shape[0]):
            own = slice(predicted.indptr[row], predicted.indptr[row + 1])
            order = np.argsort(-predicted.data[own], kind="stable")
            file.write(json.dumps([names[i] for i in predicted.indices[own][order]]) + "\n")
    print(
        json.dumps(
            {
                "wallSeconds": trained - imported,
                "cpuSeconds": usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime,
                "peakRssBytes": usage.ru_maxrss * 1024,
                "modelBytes": size(options.model),
                "queryMs": 1000 * (end - begin) / len(tests),
            }
        )
    )


main()
