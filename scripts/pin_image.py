"""Make action.yml run an image by its digest, in place of building the Dockerfile."""

import re
import sys
from pathlib import Path

ACTION = Path(__file__).parents[1] / "action.yml"
BUILT = "  image: Dockerfile\n"


def pinned(action: str, image: str, digest: str) -> str:
    """The text of action.yml with the image; ValueError for anything that is no digest."""
    if not re.fullmatch(r"ghcr\.io/[a-z0-9._-]+/[a-z0-9._-]+", image):
        raise ValueError(f"{image!r} is no image on ghcr.io")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ValueError(f"{digest!r} is no digest")
    if action.count(BUILT) != 1:
        raise ValueError("action.yml does not build the Dockerfile")
    return action.replace(BUILT, f"  image: docker://{image}@{digest}\n")


if __name__ == "__main__":
    try:
        ACTION.write_text(pinned(ACTION.read_text("utf-8"), *sys.argv[1:3]), "utf-8")
    except ValueError as error:
        sys.exit(f"pin_image.py: {error}")
