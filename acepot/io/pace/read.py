"""The files of PACE and ML-PACE: `.yace`, the older `.ace`, and the B-basis (`.yaml`)."""

from __future__ import annotations

from pathlib import Path

from acepot.budget import MORE, allowed
from acepot.errors import InputError, ModelFileError
from acepot.io.document import read_text
from acepot.io.pace.acetext import START, parse_ace
from acepot.io.pace.bbasis import is_bbasis, projections_from, yace_tree
from acepot.io.pace.potential import model_from
from acepot.io.pace.yamltext import parse_yaml
from acepot.model import Model, TensorModel

#: Largest file, uncompressed: twice the largest that are published, 100 MB, which take a minute and
#: 2 GB to read.
_CHARACTERS = 200_000_000
#: Characters that a compressed file may hold for each of its bytes: a file of 1 MB then takes 20 s.
_RATIO = 25


def read_pace(path: str | Path) -> Model:
    """Read a potential of PACE: YAML of either basis, or the older text, which has one element.

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
    return model_of_text(read_text(path, _CHARACTERS, _RATIO), str(path), Path(path).name)


def read_projections(path: str | Path) -> tuple[TensorModel, list[str]]:
    """The B-functions of a potential in the B-basis, as outputs of a model.

    Args:
        path: the `.yaml` file, plain or compressed.

    Returns:
        The model, with an output for each function in the order of PACE's active sets, those of
        one centre after another, and the symbol of the centre of each.

    Raises:
        InputError: there is no such file.
        ModelFileError: the file is damaged or holds something else; the message says what.
    """
    name = str(path)
    root = parse_yaml(read_text(path, _CHARACTERS, _RATIO), name)
    if not is_bbasis(root):
        raise ModelFileError(f"{name}: expected pacemaker's B-basis, with global and species")
    try:
        return projections_from(root, name)
    except InputError as error:
        raise ModelFileError(f"{name}: {error}") from error


def model_of_text(text: str, name: str, file: str = "") -> Model:
    """The model that the text of a file describes.

    Args:
        text: of a `.yace`, `.ace` or `.yaml` file.
        name: how errors begin.
        file: its name, for the provenance; the provenance is left empty without one.

    Raises:
        ModelFileError: as `read_pace`.
    """
    if len(text) > (most := allowed(_CHARACTERS)):
        raise ModelFileError(f"{name}: expected at most {most} characters, got more; {MORE}")
    older = START.match(text) is not None
    root = (parse_ace if older else parse_yaml)(text, name)
    bbasis = not older and is_bbasis(root)
    kind = "PACE .ace" if older else "PACE B-basis .yaml" if bbasis else "PACE .yace"
    provenance = {"format": kind, "file": file} if file else {}
    try:
        return model_from(yace_tree(root) if bbasis else root, provenance)
    except InputError as error:
        raise ModelFileError(f"{name}: {error}") from error
