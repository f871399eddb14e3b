"""Download the published files of a data set, and verify them."""

import gzip
import hashlib
import http.client
import urllib.error
import urllib.request
import zlib

from vaejax.errors import UserError

_TIMEOUT = 20.0  # seconds without a byte: many clusters drop packets without an error


def fetch(url: str, checksum: str) -> bytes:
    """Download the file at `url` and return its uncompressed content, whose MD5 or SHA-256 is
    `checksum`. Nothing is written to disk.

    Raises:
      UserError: the server does not answer, or its answer has another checksum.
    """
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            content = response.read()
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if type(error) is urllib.error.URLError else error
        raise UserError(
            f"could not download {url}: {reason}; check the network, or set TFDS_DATA_DIR to a "
            "folder where TensorFlow Datasets has prepared the data set as array_record"
        ) from error
    try:
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        algorithm = "md5" if len(checksum) == 32 else "sha256"
        actual = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    except (OSError, EOFError, zlib.error):
        actual = "a damaged gzip file"
    if actual != checksum:
        raise UserError(
            f"{url} has the wrong checksum: expected {checksum}, got {actual}; the file was not "
            "kept: try again, or check whether a proxy answers in place of the server"
        )
    return content
