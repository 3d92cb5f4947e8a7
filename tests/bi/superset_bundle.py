"""The files of the Superset bundle in docs/bi/superset."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "docs" / "bi" / "superset"


def read(folder: str) -> dict[str, dict[str, Any]]:
    """Return the files below a folder of the bundle by their UUIDs."""
    files = [yaml.safe_load(path.read_text("utf-8")) for path in BUNDLE.glob(f"{folder}/**/*.yaml")]
    return {one["uuid"]: one for one in files}


DATABASES, DATASETS = read("databases"), read("datasets")
CHARTS, DASHBOARDS = read("charts"), read("dashboards")
DATASET = {one["table_name"]: one for one in DATASETS.values()}


def charts_of(dashboard: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the boxes of a dashboard that hold charts, by the UUID of the chart."""
    boxes = [one for one in dashboard["position"].values() if isinstance(one, dict)]
    return {box["meta"]["uuid"]: box["meta"] for box in boxes if box["type"] == "CHART"}
