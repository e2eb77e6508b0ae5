"""The catalog's tables as Parquet files, for whatever else reads them."""

from pathlib import Path

from speedproof.analysis.catalog.build import opened
from speedproof.analysis.catalog.declared import TABLES
from speedproof.errors import InputError, RecordError


def write_parquet(catalog: Path, folder: Path) -> list[Path]:
    """Write each table to FOLDER/<table>.parquet. Raises InputError for a folder that is not empty."""
    import duckdb

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("the folder to write to is not empty", file=folder, hint="name a new one")
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with opened(catalog) as connection:
        for table in TABLES:
            file = folder / f"{table.name}.parquet"
            try:
                connection.table(table.name).write_parquet(str(file))
            except duckdb.IOException as error:
                raise RecordError(f"cannot write: {error}", file=file, hint="free space or mend permissions") from error
            files.append(file)
    return files
