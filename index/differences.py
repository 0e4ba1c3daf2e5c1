"""Retrained weights as differences from the bundled encoder's: 4 bits each, with a scale for each block of 32.

Takes and gives tensors by name; a matrix that the encoder has becomes two tensors, anything else float16. The reader
(`rag.network`) and the embedder (`index.embed`) ship so: 1 MB a layer, beside the encoder that is there anyway.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

from index.weights import ModelError

BLOCK = 32  # weights that share a scale


def write(
    trained: Iterable[tuple[str, nn.Parameter]],
    encoder_folder: Path,
    path: Path,
    notes: dict[str, str],
    prefix: str = "",
    before: Path | None = None,
) -> None:
    """Write what training changed to `path` (safetensors), whole or not at all; the encoder's names are without `prefix`.

    Training that began with the differences in `before` is added after these: of a short one, little would be left beside theirs.
    """
    base = load_file(encoder_folder / "model.safetensors")
    for name, difference in _read(before)[0].items() if before else ():
        base[name] = base[name] + difference
    out: dict[str, np.ndarray] = {}
    for name, parameter in trained:
        value = parameter.detach().float().cpu().numpy()
        original = base.get(name.removeprefix(prefix))
        if original is not None and value.ndim == 2:
            out[f"{name}.q4"], out[f"{name}.scale"] = _quantise(value - original)
        else:
            out[name] = value.astype("f2")
    partial = path.with_suffix(".partial")
    save_file(out, partial, notes)
    partial.replace(path)


def add(network: nn.Module, path: Path) -> None:
    """Give a network that holds the encoder's own weights those that were written to `path`.

    Raises ModelError when the file names tensors that the network does not have.
    """
    state = network.state_dict()
    differences, whole = _read(path)
    for name in (*differences, *whole):
        if name not in state:
            raise ModelError(f"{path.name} does not fit the encoder: no tensor {name!r}. Reinstall: make install")
    changed = {name: state[name] + torch.from_numpy(difference) for name, difference in differences.items()}
    changed |= {name: torch.from_numpy(value.astype("f4")) for name, value in whole.items()}
    network.load_state_dict(changed, strict=False, assign=True)  # not copied into the old ones, mapped from a file: slower


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The differences in a file, by tensor, and the tensors that stand there whole."""
    stored = load_file(path)
    names = [key.removesuffix(".q4") for key in stored if key.endswith(".q4")]
    differences = {name: _restore(stored[f"{name}.q4"], stored[f"{name}.scale"]) for name in names}
    return differences, {key: value for key, value in stored.items() if not key.endswith((".q4", ".scale"))}


def _quantise(difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two 4-bit codes a byte (rows, columns / 2) and a float16 scale a block (rows, columns / 32)."""
    rows, columns = difference.shape
    blocks = difference.reshape(rows, columns // BLOCK, BLOCK)
    scale = (np.abs(blocks).max(axis=2) / 7).astype("f2")
    safe = np.maximum(scale.astype("f4"), 1e-12)[..., None]
    codes = (np.clip(np.rint(blocks / safe), -7, 7) + 8).astype("u1").reshape(rows, columns)
    return codes[:, 0::2] | (codes[:, 1::2] << 4), scale


def _restore(codes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    rows, half = codes.shape
    values = np.empty((rows, half * 2), dtype="f4")
    values[:, 0::2], values[:, 1::2] = codes & 15, codes >> 4
    blocks = (values - 8).reshape(rows, -1, BLOCK) * scale.astype("f4")[..., None]
    return blocks.reshape(rows, half * 2)
