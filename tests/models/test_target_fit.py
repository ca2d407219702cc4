"""Folds that run beside each other, and moments that wait until they are asked for."""

from __future__ import annotations

import threading
import time

import numpy as np
from threadpoolctl import threadpool_limits

from newt_sc.models import _target_fit
from tests.tl import _compounds as planted


def test_folds_run_beside_each_other_where_there_are_threads() -> None:
    def threads_of(limit: int, n_compounds: int) -> int:
        seen = set()

        def score(_: int) -> None:
            seen.add(threading.get_ident())
            time.sleep(0.02)

        with threadpool_limits(limit, user_api="blas"):
            assert len(list(_target_fit._at_once(score, 5, n_compounds))) == 5
        return len(seen)

    assert threads_of(1, 10) == 1
    assert threads_of(3, 10) == 3
    assert threads_of(3, 100_000) == 1  # one at a time: each needs the memory


def test_folds_give_the_same_in_any_number_of_threads() -> None:
    model = planted.model()
    problem, fit = model._problem, model._fit
    assert fit is not None
    with threadpool_limits(1, user_api="blas"):
        one = _target_fit.cross_fit(problem, 5, fit, None)
    with threadpool_limits(3, user_api="blas"):
        many = _target_fit.cross_fit(problem, 5, fit, None)
    for name in ("U", "seen", "prior", "near"):
        np.testing.assert_allclose(getattr(one, name), getattr(many, name), rtol=1e-9)


def test_moments_are_those_of_the_scores() -> None:
    model = planted.model()
    found, y = model._oof, model._problem.Y != 0
    assert found is not None
    mean, sd = _target_fit.moments(found, y)
    for j in range(y.shape[1]):
        others = found.seen[~y[:, j], j]
        np.testing.assert_allclose([mean[j], sd[j]], [others.mean(), others.std()])
    n = len(model.gene_names)
    G = model._gene_kernel(np.arange(n))
    mean, sd = _target_fit.gene_moments(found.U, n, model._gene_kernel)
    scores = found.U @ G
    np.testing.assert_allclose(mean, scores.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(sd, np.maximum(scores.std(axis=0), 1e-12), rtol=1e-6, atol=1e-9)
