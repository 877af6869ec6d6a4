"""Find the Large Movie Review Dataset (Maas et al., 2011): in a folder at hand, or at its address."""

from __future__ import annotations

import os
from pathlib import Path

from edge_lstm.errors import DataError, OutputError
from edge_lstm.extras import needs

ARCHIVE, FOLDER = "aclImdb_v1.tar.gz", "aclImdb"
URL = f"https://ai.stanford.edu/~amaas/data/sentiment/{ARCHIVE}"
SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
DATA_VARIABLE = "EDGE_LSTM_DATA"
_BY_HAND = f"download {ARCHIVE} yourself and name its folder in {DATA_VARIABLE}"


def find_imdb(data_dir: Path | None = None, *, show_progress: bool = False) -> Path:
    """Return the archive, or the unpacked folder.

    data_dir, or else the folder that the environment variable EDGE_LSTM_DATA names, must hold the archive
    (any digest: it may have been packed again) or the folder ``aclImdb``. Without either, the archive is
    downloaded once, its digest checked, into the platform's cache folder.

    Raises DataError where it is not there or cannot be downloaded, OutputError where it cannot be kept.
    """
    folder = data_dir or os.environ.get(DATA_VARIABLE)
    if not folder:
        return _download(show_progress=show_progress)
    for path in (Path(folder, ARCHIVE), Path(folder, FOLDER)):
        if path.exists():
            return path
    raise DataError(f"no {ARCHIVE} and no folder {FOLDER} in {folder}; give a folder that holds one of them")


def _download(*, show_progress: bool) -> Path:
    with needs("train", "the download of imdb"):
        import pooch

    pooch.get_logger().setLevel("ERROR")
    cache = pooch.os_cache("edge-lstm")
    try:
        return Path(pooch.retrieve(URL, f"sha256:{SHA256}", ARCHIVE, cache, progressbar=show_progress))
    except ValueError:  # the digest: pooch has removed what it received
        raise DataError(f"what {URL} sent is not the known archive; try again, or {_BY_HAND}") from None
    except PermissionError as error:
        raise OutputError(f"cannot keep the download in {cache} ({error.strerror}); {_BY_HAND}") from None
    except OSError as error:  # requests' errors are OSErrors too, the cause in several layers of text
        cause: BaseException = error
        while cause.__context__ is not None:
            cause = cause.__context__
        reason = " ".join(str(cause).split())[:120] or type(cause).__name__
        raise DataError(f"cannot download {URL} ({reason}); {_BY_HAND}") from None
