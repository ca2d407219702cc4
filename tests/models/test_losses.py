"""Losses against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from newt_sc.models import _losses


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("scale", [1.0, 7.5, 100.0])
def test_info_nce(scale: float) -> None:
    a, b = numbers(9, 4), numbers(9, 4, seed=1)
    logits = scale * unit(a) @ unit(b).T
    expected = 0.0
    for matrix in (logits, logits.T):
        expected += (
            np.mean([np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(matrix)]) / 2
        )
    assert _losses.info_nce(
        torch.from_numpy(a), torch.from_numpy(b), scale
    ).item() == pytest.approx(expected)


def test_info_nce_ignores_lengths_and_falls_when_partners_agree() -> None:
    a, b = torch.from_numpy(numbers(9, 4)), torch.from_numpy(numbers(9, 4, seed=1))
    loss = _losses.info_nce(a, b, 5.0)
    assert torch.isclose(_losses.info_nce(a * 3, b * 0.1, 5.0), loss)
    assert _losses.info_nce(a, a, 5.0) < loss


@pytest.mark.parametrize("n", [0, 1])
def test_info_nce_of_too_few_genes_is_zero_and_keeps_the_graph(n: int) -> None:
    a = torch.ones(n, 3, requires_grad=True)
    loss = _losses.info_nce(a, a, 5.0)
    loss.backward()
    assert loss.item() == 0
    assert a.grad is not None
    assert not a.grad.any()


def test_cosine_reconstruction() -> None:
    predicted, blocks = (
        [numbers(5, 3), numbers(5, 4, seed=1)],
        [
            numbers(5, 3, seed=2),
            numbers(5, 4, seed=3),
        ],
    )
    where = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [1, 0]], dtype=bool)
    cosines = [
        unit(predicted[m][[i]])[0] @ unit(blocks[m][[i]])[0]
        for i in range(5)
        for m in range(2)
        if where[i, m]
    ]
    for m in range(2):
        blocks[m][~where[:, m]] = np.nan  # what does not count may hold anything
    guesses = [torch.from_numpy(x).requires_grad_() for x in predicted]
    loss = _losses.cosine_reconstruction(
        guesses, [torch.from_numpy(x) for x in blocks], torch.from_numpy(where)
    )
    assert loss.item() == pytest.approx(np.mean([1 - c for c in cosines]))
    loss.backward()
    for m, guess in enumerate(guesses):
        assert guess.grad is not None
        assert torch.isfinite(guess.grad).all()
        assert guess.grad[~where[:, m]].abs().sum() == 0


def test_cosine_reconstruction_of_nothing_is_zero() -> None:
    block = [torch.ones(2, 3)]
    assert _losses.cosine_reconstruction(block, block, torch.zeros(2, 1, dtype=torch.bool)) == 0


def test_entropy_floor() -> None:
    present = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=bool)
    attention = np.array([[0.8, 0.1, 0.1], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    relative = []
    for weights, has in zip(attention, present, strict=True):
        if has.sum() >= 2:
            positive = weights[weights > 0]
            relative.append(-(positive * np.log(positive)).sum() / np.log(has.sum()))
    expected = np.mean(np.maximum(0.9 - np.array(relative), 0))
    tensor = torch.from_numpy(attention).requires_grad_()
    loss = _losses.entropy_floor(tensor, torch.from_numpy(present), 0.9)
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    assert tensor.grad is not None
    assert torch.isfinite(tensor.grad).all()


def test_entropy_floor_without_a_choice_is_zero() -> None:
    assert _losses.entropy_floor(torch.ones(3, 1), torch.ones(3, 1, dtype=torch.bool), 0.9) == 0
