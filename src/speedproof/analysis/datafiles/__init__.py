"""The four data files of the published analysis: in its shape, with its values, and what is true beside them.

Here live what naive reading gives of attempts and runs, one module a file, the added objects called `speedproof`, and
the writer. Not here: how a naive value is found in a log (archives), the measures of the added figures (measures).
"""

from speedproof.analysis.datafiles.writing import data_files, write_data_files

__all__ = ["data_files", "write_data_files"]
