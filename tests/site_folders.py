"""Folders of manifests for the page."""

from datetime import date
from pathlib import Path

from builders import existing, inventory, missing, sample, supported
from discover_models import manifests
from discover_models.commands.site import write_site
from discover_models.domain.kernel import Inventory
from discover_models.domain.manifest import from_inventory

TODAY = date(2026, 10, 30)
HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror=alert(1)>&amp;"\'`'


def plain_model(slug: str, *names: str, lacking: str = "") -> Inventory:
    """A model that needs norms which the dataset has, and one kernel that FlashInfer lacks."""
    kernels = [existing(name) for name in names]
    kernels += [missing(lacking)] if lacking else []
    return inventory(*kernels, model_slug=slug, hf_repo_id=f"sample-org/{slug}", summary=slug)


def hostile() -> Inventory:
    """A model all of whose texts try to be something else."""
    return inventory(
        supported(f"gqa{HOSTILE}", notes=(HOSTILE, "\u202egnp.exe\u2028")),
        existing("rmsnorm_h4096", op_type="rmsnorm"),
        model_slug="hostile",
        hf_repo_id=f"evil/{HOSTILE}",
        summary=HOSTILE,
        notes=(HOSTILE,),
    )


def few() -> list[Inventory]:
    return [
        sample(),
        plain_model("alpha", "rmsnorm_h4096", "rmsnorm_h64"),
        plain_model("beta", "rmsnorm_h4096", lacking="moe_new_routing_e8"),
        hostile(),
    ]


def many(count: int) -> list[Inventory]:
    """Models of 30 definitions in 15 families, two thirds of which they share with others."""
    return [
        inventory(
            *(
                (existing, supported, missing)[(n + f) % 3](
                    f"family{f}_h{n + 100 if i else n % 7}", op_type=f"family{f}"
                )
                for f in range(15)
                for i in range(2)
            ),
            model_slug=f"model-{n:03}",
            hf_repo_id=f"org/model-{n:03}",
        )
        for n in range(count)
    ]


def page_of(models: list[Inventory], folder: Path) -> Path:
    """The page of these models, as the command writes it."""
    for item in models:
        path = folder / "manifests" / f"{item.model_slug}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(manifests.dump(from_inventory(item, TODAY)))
    return write_site(folder / "manifests", folder / "site")
