"""A truth that is off by a third of an sd; as a pytest plugin (-p tests.wrong_truth) correct fits are biased."""

from dataclasses import replace

from bench.correctness.truth import Truth
from bench.families.base import Dataset
from bench.families.normal_means import NormalMeans

right = NormalMeans.truth


def wrong(self: NormalMeans, target: str, dataset: Dataset) -> Truth | None:
    found = right(self, target, dataset)
    return found and replace(found, mean=found.mean + 0.3 * found.sd)


NormalMeans.truth = wrong  # type: ignore[method-assign]
