"""H2: a database that folds names to upper case, in this process, reached with Airflow's JDBC provider."""

from __future__ import annotations

import itertools
import shutil
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.support.services import require

SETTINGS = {
    "AIRFLOW__PROVIDERS_JDBC__ALLOW_DRIVER_PATH_IN_EXTRA": "True",
    "AIRFLOW__PROVIDERS_JDBC__ALLOW_DRIVER_CLASS_IN_EXTRA": "True",
}
"""Environment variables without which Airflow does not take a connection's driver."""

WARNINGS = "ignore:jpype._core:DeprecationWarning"
"""What jaydebeapi brings with each connection: it calls functions that JPype has renamed."""

_JAR = Path("/usr/share/java/h2.jar")
_DRIVER = "org.h2.Driver"
_OPTIONS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # it starts faster, and lives for seconds
    "-Duser.timezone=Europe/Paris",  # what is stored must not depend on it
)
_numbers = itertools.count()


@contextmanager
def h2_database() -> Iterator[dict[str, object]]:
    """A new, empty database, as an Airflow connection's fields.

    It is in memory and of this process alone, which starts Java once: nothing can start it again.
    """
    require("jaydebeapi", find_spec("jaydebeapi"))
    require("Java", shutil.which("java"))
    require("H2", _JAR.exists())
    _start_java()
    # A lock is waited for longer than a pull takes.
    url = f"jdbc:h2:mem:test{next(_numbers)};LOCK_TIMEOUT=20000"
    extra = {"driver_path": str(_JAR), "driver_class": _DRIVER, "placeholder": "?"}
    with closing(_connect(url)):  # it ends with its last connection
        yield {"conn_type": "jdbc", "host": url, "login": "sa", "password": "", "extra": extra}


def _start_java() -> None:
    import jpype
    import jpype.config

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python's compiler, about its patterns
        import jaydebeapi  # noqa: F401

    if jpype.isJVMStarted():
        return
    # A child that this process forks later must not wait for a Java that it does not have.
    jpype.config.onexit = False
    # As jaydebeapi would start it; and Ctrl-C stays Python's.
    jpype.startJVM(*_OPTIONS, classpath=[str(_JAR)], convertStrings=True, interrupt=False)


def _connect(url: str) -> Any:
    import jaydebeapi

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jaydebeapi.connect(_DRIVER, url, ["sa", ""])
