"""The fusion as a function of tensors, and what is held out in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from newt_sc.models._newt_module import FUSIONS, Fusion, NewtModule, masked_softmax
from newt_sc.models._training import split_modalities

WIDTHS = [3, 5, 2, 4]


def module(fusion: Fusion, *, stirred: bool = True) -> NewtModule:
    torch.manual_seed(0)
    made = NewtModule(WIDTHS, 6, fusion=fusion, n_key=8, n_hidden=7).eval()
    if stirred:  # as if trained: nothing is zero
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return made


def batch(n: int, seed: int = 0) -> tuple[list[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    blocks = [torch.randn(n, width, generator=generator) for width in WIDTHS]
    return blocks, torch.rand(n, len(WIDTHS), generator=generator) < 0.6


MODULES = {fusion: module(fusion) for fusion in FUSIONS}
each_fusion = pytest.mark.parametrize("fusion", FUSIONS)


def test_masked_softmax() -> None:
    scores = torch.tensor([[1.0, 2.0, 30.0], [5.0, 5.0, 5.0], [-1e9, 1.0, 1.0]])
    present = torch.tensor([[True, True, False], [False, False, False], [True, False, False]])
    e = np.exp([1.0, 2.0])
    expected = [[*(e / e.sum()), 0], [0, 0, 0], [1, 0, 0]]
    np.testing.assert_allclose(masked_softmax(scores, present), expected, rtol=1e-6)


@given(
    fusion=st.sampled_from(FUSIONS),
    seed=st.integers(0, 1000),
    value=st.sampled_from([0.0, 1.0, -1e30, float("nan"), float("inf")]),
)
def test_absent_modalities_are_never_read(fusion: Fusion, seed: int, value: float) -> None:
    blocks, present = batch(5, seed)
    before = MODULES[fusion](blocks, present)
    changed = [
        torch.where(has[:, None], block, value)
        for block, has in zip(blocks, present.T, strict=True)
    ]
    after = MODULES[fusion](changed, present)
    assert torch.equal(before.z, after.z)
    assert torch.equal(before.attention, after.attention)


@each_fusion
def test_no_gradient_of_absent_values_is_nan(fusion: Fusion) -> None:
    blocks, present = batch(6)
    present[0] = False
    for block, has in zip(blocks, present.T, strict=True):
        block[~has] = torch.nan
    made = module(fusion)
    made(blocks, present).z.square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@each_fusion
def test_attention_is_a_distribution_over_what_is_present(fusion: Fusion) -> None:
    blocks, present = batch(40)
    present[0] = False
    attention = MODULES[fusion](blocks, present).attention.detach()
    assert (attention[~present] == 0).all()
    assert (attention >= 0).all()
    np.testing.assert_allclose(attention.sum(dim=1), present.any(dim=1).float(), atol=1e-6)
    trained = attention[present.sum(dim=1) == 3]
    assert (trained.max(dim=1).values.std() > 0.01) == (fusion != "mean")


@each_fusion
def test_genes_do_not_see_each_other(fusion: Fusion) -> None:
    blocks, present = batch(7)
    together = MODULES[fusion](blocks, present)
    for i in range(7):
        alone = MODULES[fusion]([block[[i]] for block in blocks], present[[i]])
        np.testing.assert_allclose(alone.z.detach()[0], together.z.detach()[i], atol=1e-5)


@each_fusion
def test_untrained_fusion_is_the_sum_of_projections(fusion: Fusion) -> None:
    made = module(fusion, stirred=False)
    blocks, present = batch(8)
    projections = [torch.randn(width, 6) for width in WIDTHS]
    back = [torch.randn(6, width) for width in WIDTHS]
    offset, means = torch.randn(6), [torch.randn(width) for width in WIDTHS]
    made.initialise(projections, offset, back, means)
    expected = sum(
        has[:, None] * (block @ p)
        for block, p, has in zip(blocks, projections, present.T, strict=True)
    )
    z = made(blocks, present).z
    np.testing.assert_allclose(z.detach(), expected - offset, atol=1e-5)
    for decoded, weight, mean in zip(made.decode(z), back, means, strict=True):
        np.testing.assert_allclose(decoded.detach(), (z @ weight + mean).detach(), atol=1e-5)


def test_attention_by_hand() -> None:
    made = MODULES["attention"]
    blocks, present = batch(4, seed=3)
    with torch.no_grad():
        fused = made(blocks, present)
        for i in range(4):
            at = [m for m in range(4) if present[i, m]]
            keys = {m: torch.tanh(made.keys[m](blocks[m][i])) for m in at}
            scores = []
            for m in at:
                others = [keys[o] for o in at if o != m]
                context = sum(others) / len(others) if others else torch.zeros(8)
                scores.append(keys[m] @ (made.query + made.context.weight @ context) + made.bias[m])
            weights = torch.stack(scores).softmax(dim=0) if at else torch.zeros(0)
            np.testing.assert_allclose(fused.attention[i, at], weights, atol=1e-5)
            z = sum(
                w * len(at) * made.projections[m](blocks[m][i])
                for w, m in zip(weights, at, strict=True)
            )
            np.testing.assert_allclose(fused.z[i], z - made.offset, atol=1e-4)


def test_private_dimensions_are_a_plain_sum_of_projections() -> None:
    """Beside the fused part, each of its own length; absent blocks add nothing."""
    torch.manual_seed(1)
    made = NewtModule(WIDTHS, 6, fusion="mean", n_private=3, private_weight=0.7).eval()
    projections = [torch.randn(width, 3) for width in WIDTHS]
    offset = torch.randn(3)
    made.initialise_private(projections, offset)
    blocks, present = batch(6, seed=2)
    for block, has in zip(blocks, present.T, strict=True):
        block[~has] = torch.nan
    z = torch.randn(6, 6)
    found = made.vectors(z, blocks, present).detach()
    assert found.shape == (6, 9)
    for i in range(6):
        own = sum(blocks[m][i] @ projections[m] for m in range(4) if present[i, m]) - offset
        np.testing.assert_allclose(found[i, :6], z[i] / z[i].norm(), atol=1e-5)
        np.testing.assert_allclose(found[i, 6:], 0.7 * own / own.norm(), atol=1e-5)
    assert not any(parameter.requires_grad for parameter in made.private.parameters())
    assert not made.private_offset.requires_grad
    assert torch.equal(module("mean").vectors(z, blocks, present), z)


def test_decoders_by_hand() -> None:
    """A linear map, and a hidden layer with GELU on normalised vectors."""
    made, z = MODULES["mean"], torch.randn(4, 6)
    with torch.no_grad():
        for decoder, decoded in zip(made.decoders, made.decode(z), strict=True):
            norm, first, _, _, last = decoder.hidden
            x = (z - z.mean(dim=1, keepdim=True)) / (
                z.var(dim=1, keepdim=True, correction=0) + 1e-5
            ).sqrt()
            x = (x * norm.weight + norm.bias) @ first.weight.T + first.bias
            hidden = x * (1 + torch.erf(x / np.sqrt(2))) / 2
            expected = decoder.linear(z) + hidden @ last.weight.T + last.bias
            np.testing.assert_allclose(decoded, expected, atol=1e-5)
    plain = NewtModule(WIDTHS, 6, n_hidden=0)
    assert all(decoder.hidden is None for decoder in plain.decoders)


def test_what_starts_from_pca_is_linear() -> None:
    made = module("attention")
    expected = [*made.projections.parameters(), made.offset]
    for decoder in made.decoders:
        expected += [*decoder.linear.parameters()]
    assert [*map(id, made.linear_parameters())] == [*map(id, expected)]


def test_scale_is_bounded() -> None:
    made = module("mean", stirred=False)
    assert made.scale.item() == pytest.approx(10)
    with torch.no_grad():
        made.log_scale.fill_(20.0)
    assert made.scale.item() == pytest.approx(100)


@given(
    seed=st.integers(0, 1000),
    n_held_out=st.integers(1, 4),
    dropout=st.sampled_from([0.0, 0.3, 0.99]),
)
def test_split_modalities(seed: int, n_held_out: int, dropout: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    present = torch.rand(30, 5, generator=generator) < 0.6
    seen, held = split_modalities(
        present, n_held_out=n_held_out, dropout=dropout, generator=generator
    )
    known = present.sum(dim=1)
    assert not (seen & held).any()
    assert not ((seen | held) & ~present).any()
    assert torch.equal(held.sum(dim=1), (known - 1).clamp(0, n_held_out))
    assert torch.equal(seen.any(dim=1), known > 0)
    if dropout == 0:
        assert torch.equal(seen | held, present)


def test_split_holds_each_modality_out_alike() -> None:
    present = torch.ones(6000, 4, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    seen, held = split_modalities(present, n_held_out=2, dropout=0.3, generator=generator)
    np.testing.assert_allclose(held.float().mean(dim=0), 0.5, atol=0.03)
    np.testing.assert_allclose(seen.float().mean(dim=0), (1 + 0.7) / 4, atol=0.03)
