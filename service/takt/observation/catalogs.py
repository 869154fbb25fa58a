"""What happens to catalogs, for the log and for the metrics."""

from __future__ import annotations

import structlog

from takt import __version__
from takt.domain.edition import Following
from takt.engine.force import Force
from takt.errors import TaktError
from takt.observation.metrics import Metrics

_log = structlog.stdlib.get_logger("takt.catalog")


class CatalogWitness:
    """Implements `takt.engine.catalogs.Witness`: what happens to catalogs goes to the log and to the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        """Tell `metrics`."""
        self._metrics = metrics

    def turned(self, force: Force) -> None:
        """This replica decides by another catalog from now on."""
        catalog = force.catalog
        features = f"{catalog.spec.layout_fingerprint:016x}"
        self._metrics.in_force(
            version=__version__, catalog=catalog.version, model=force.scorer.version, features=features
        )
        self._metrics.edition("replica", force.edition)
        _log.info("catalog_in_force", edition=force.edition, catalog=catalog.version, model=force.scorer.version)

    def seen(self, following: Following) -> None:
        """The store said which edition is in force."""
        self._metrics.edition("store", following.in_force)

    def unusable(self, number: int, error: TaktError) -> None:
        """An edition cannot be loaded here."""
        _log.error("catalog_unusable", edition=number, exc_info=error)

    def asked(self, outcome: str) -> None:
        """Somebody wanted a catalog applied."""
        self._metrics.applied(outcome)
