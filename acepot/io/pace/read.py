"""The files of PACE and ML-PACE: `.yace`, and the older `.ace`."""

from __future__ import annotations

from pathlib import Path

from acepot.errors import InputError, ModelFileError
from acepot.io.document import read_text
from acepot.io.pace.acetext import parse_ace
from acepot.io.pace.potential import model_from
from acepot.io.pace.yamltext import parse_yaml
from acepot.model import Model

#: Largest file, uncompressed: a hundred times the largest that is known, read in 40 s.
_CHARACTERS = 100_000_000
#: Characters that a compressed file may hold for each of its bytes.
_RATIO = 100


def read_yace(path: str | Path) -> Model:
    """Read a potential in PACE's YAML format.

    Args:
        path: the file, plain or compressed with xz, gzip or bzip2.

    Returns:
        The model, with the products in the file's order, centre by centre (those of one factor
        come first, summed into one function for each pair and density); linear where the
        embedding is (m = 1, one density) and there is no core repulsion.

    Raises:
        InputError: there is no such file.
        ModelFileError: the file is damaged or holds what cannot be read; the message says what.
    """
    return _read(path, yaml=True)


def read_ace(path: str | Path) -> Model:
    """Read a potential in PACE's older text format, which holds one element.

    Args:
        path: the file, plain or compressed with xz, gzip or bzip2.

    Returns:
        As `read_yace`.

    Raises:
        InputError: there is no such file.
        ModelFileError: the file is damaged or holds what cannot be read; the message says what.
    """
    return _read(path, yaml=False)


def _read(path: str | Path, yaml: bool) -> Model:
    text = read_text(path, _CHARACTERS, _RATIO)
    kind = "PACE .yace" if yaml else "PACE .ace"
    return model_of_text(text, str(path), {"format": kind, "file": Path(path).name}, yaml=yaml)


def model_of_text(text: str, name: str, provenance: dict[str, str], *, yaml: bool = True) -> Model:
    """The model that the text of a file describes.

    Args:
        text: of a `.yace` or `.ace` file.
        name: how errors begin.
        provenance: of the model.
        yaml: whether it is a `.yace` file.

    Raises:
        ModelFileError: as `read_yace`.
    """
    parse = parse_yaml if yaml else parse_ace
    try:
        return model_from(parse(text, name), provenance)
    except InputError as error:
        raise ModelFileError(f"{name}: {error}") from error
