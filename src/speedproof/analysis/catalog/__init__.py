"""The catalog: runs and archives as tables of a database, rebuilt from their files whenever these have changed.

Here live the declarations of its tables and views, the building, the asking, its page in the documentation and its
export. Not here: what is measured or concluded (measures, survey, audit); the catalog is asked, it asserts nothing.
"""

from speedproof.analysis.catalog.build import NAME, build_catalog, current_catalog, is_current
from speedproof.analysis.catalog.declared import TABLES
from speedproof.analysis.catalog.parquet import write_parquet
from speedproof.analysis.catalog.query import Answer, asked
from speedproof.analysis.catalog.views import VIEWS

__all__ = [
    "NAME",
    "TABLES",
    "VIEWS",
    "Answer",
    "asked",
    "build_catalog",
    "current_catalog",
    "is_current",
    "write_parquet",
]
