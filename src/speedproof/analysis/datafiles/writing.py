"""Making and writing the four files."""

from pathlib import Path
from typing import Any

from pydantic_core import to_json

from speedproof.analysis.collection import Collection
from speedproof.analysis.datafiles.beside import Beside
from speedproof.analysis.datafiles.comprehensive import comprehensive_run_analysis
from speedproof.analysis.datafiles.naive import naive_runs
from speedproof.analysis.datafiles.patterns import detailed_pattern_analysis
from speedproof.analysis.datafiles.per_run import per_run_detailed_analysis
from speedproof.analysis.datafiles.run_data import run_analysis_data
from speedproof.errors import InputError
from speedproof.journal.output import write_output


def data_files(collection: Collection, *, legacy: bool) -> dict[str, Any]:
    """File name → its content as a JSON value. With `legacy` in the published shape alone, without what is true."""
    runs, beside = naive_runs(collection), Beside(collection, legacy=legacy)
    return {
        "run_analysis_data.json": run_analysis_data(runs, beside),
        "comprehensive_run_analysis.json": comprehensive_run_analysis(runs, beside),
        "per_run_detailed_analysis.json": per_run_detailed_analysis(runs, beside),
        "detailed_pattern_analysis.json": detailed_pattern_analysis(runs, beside),
    }


def write_data_files(collection: Collection, folder: Path, *, legacy: bool) -> tuple[Path, ...]:
    """Write the four files into `folder`, which is made where it is not there; files of these names are replaced.

    Raises InputError when the folder is a file or cannot be made, and RecordError when a file cannot be written.
    """
    made = data_files(collection, legacy=legacy)
    texts = {name: to_json(value, indent=2, inf_nan_mode="null") for name, value in made.items()}
    hint = "name another folder for --data-dir"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError("the folder for the data files is a file", file=folder, hint=hint) from error
    except OSError as error:
        raise InputError(f"the folder cannot be made: {error.strerror}", file=folder, hint=hint) from error
    for name, text in texts.items():
        write_output(folder / name, text, hint)
    return tuple(folder / name for name in texts)
