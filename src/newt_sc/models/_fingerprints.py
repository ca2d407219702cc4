"""Structures as bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from newt_sc._warn import takes, warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["morgan_fingerprints"]


def morgan_fingerprints(
    smiles: Sequence[str], *, radius: int = 2, n_bits: int = 2048
) -> NDArray[np.uint8]:
    """Morgan fingerprints of structures, by RDKit (extra ``chem``).

    Parameters
    ----------
    smiles
        SMILES; ``""`` where a structure is not known. Of several, joined by ``|``, the first
        counts.
    radius, n_bits
        Radius in bonds, and length.

    Returns
    -------
    Bits, compounds x ``n_bits``; rows of zeros where a structure is not known or cannot be read.

    Raises
    ------
    ImportError
        If RDKit is not installed.

    Warns
    -----
    NewtWarning
        If a SMILES cannot be read.

    References
    ----------
    Rogers and Hahn (2010), Journal of Chemical Information and Modeling 50:742.
    """
    try:
        from rdkit import Chem, DataStructs, rdBase
        from rdkit.Chem import rdFingerprintGenerator
    except ImportError as error:
        without = ", or use structure=None" if takes("structure") else ""
        msg = f"Structures need RDKit: pip install 'newt-sc[chem]'{without}."
        raise ImportError(msg) from error
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=n_bits)
    out = np.zeros((len(smiles), n_bits), dtype=np.uint8)
    unknown: list[str] = []
    with rdBase.BlockLogs():
        for i, text in enumerate(smiles):
            first = str(text).split("|")[0].strip() if isinstance(text, str) else ""
            if not first:
                continue
            molecule = Chem.MolFromSmiles(first)
            if molecule is None:
                unknown.append(first)
                continue
            DataStructs.ConvertToNumpyArray(generator.GetFingerprint(molecule), out[i])
    if unknown:
        text = (
            f"{len(unknown)} SMILES cannot be read, such as {unknown[0]!r}: these compounds go by"
            " signature alone."
        )
        warn(text)
    return out
