"""How the genes of a data set were matched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from newt_sc import _keys
from newt_sc._verb import checked

from ._style import COLORS, LABEL, canvas, dress, finish

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["gene_matching"]


@checked
def gene_matching(
    adata: AnnData,
    *,
    key: str | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot by which rules genes were matched (blue), and how many were not (orange).

    Parameters
    ----------
    adata
        Annotated data after :func:`newt_sc.tl.embed` or :func:`newt_sc.pp.map_genes`.
    key
        Key in ``uns``; by default ``"newt"``, and ``"newt_genes"`` where that is absent.
    ax
        Axes to draw on.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If there is no report.

    Examples
    --------
    >>> nt.tl.embed(adata)  # doctest: +SKIP
    >>> nt.pl.gene_matching(adata)  # doctest: +SKIP
    """
    from matplotlib.ticker import MaxNLocator

    found = key or next((name for name in (_keys.EMBED, _keys.GENES) if name in adata.uns), None)
    if found is None or found not in adata.uns:
        msg = (
            f"No report in adata.uns[{key or _keys.EMBED!r}]: run newt_sc.tl.embed or"
            " newt_sc.pp.map_genes first."
        )
        raise KeyError(msg)
    slot: Any = adata.uns[found]
    report: Any = slot.get("genes", slot) if isinstance(slot, dict) else None
    if not isinstance(report, dict) or "matched_by" not in report:
        msg = f"adata.uns[{found!r}] holds no report of matched genes."
        raise KeyError(msg)
    bars = sorted(
        ((rule, int(n)) for rule, n in report["matched_by"].items()), key=lambda bar: -bar[1]
    )
    absent = int(report.get("n_absent", 0))
    rest = [
        ("ambiguous", int(report["n_ambiguous"])),
        ("not recognised", int(report["n_dropped"]) - absent),
    ]
    if "n_reference" in report:
        rest.insert(0, ("not in embedding", absent))
    figure, (ax,) = canvas(ax, figsize=(3.5, 0.24 * (len(bars) + len(rest)) + 0.9))
    names = [name.replace("_", " ") for name, _ in bars + rest]
    counts = [n for _, n in bars + rest]
    drawn = ax.barh(
        names, counts, color=[COLORS[0]] * len(bars) + [COLORS[3]] * len(rest), height=0.7
    )
    ax.bar_label(drawn, labels=[f"{n:,}" for n in counts], padding=3, fontsize=LABEL)
    ax.invert_yaxis()
    ax.set_xlim(0, max([*counts, 1]) * 1.25)
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    matched, total = int(report["n_matched"]), int(report["n_genes"])
    dress(ax, title=f"{matched:,} of {total:,} genes matched", x=f"{report['organism']} genes")
    ax.tick_params(axis="y", length=0)
    return finish(figure, [ax], show=show, return_fig=return_fig)
