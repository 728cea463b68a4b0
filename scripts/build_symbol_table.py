"""
Build the symbol table that ships with dtp_scvi from a local copy of HGNC's gene table.

    python scripts/build_symbol_table.py hgnc_complete_set.txt [OUTPUT.tsv.gz]

The input is HGNC's ``hgnc_complete_set.txt`` or a custom download with previous symbols, alias
symbols, Ensembl gene id, status and locus type. The output is deterministic: the same input gives
the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
from pathlib import Path

from dtp_scvi.data._hgnc import read_hgnc

OUTPUT = Path(__file__).parents[1] / "src/dtp_scvi/data/resources/hgnc_symbols.tsv.gz"


def build(source: Path, output: Path = OUTPUT) -> bytes:
    """Write the compact table to ``output`` and return its bytes."""
    lines = ["symbol\tprevious\talias\tensembl"]
    lines += [
        "\t".join((symbol, "|".join(previous), "|".join(alias), ensembl))
        for symbol, previous, alias, ensembl in read_hgnc(source)
    ]
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    output.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    if not 1 <= len(arguments) <= 2:
        sys.stderr.write(__doc__ or "")
        return 2
    output = Path(arguments[1]) if len(arguments) == 2 else OUTPUT
    content = build(Path(arguments[0]), output)
    digest = hashlib.sha256(content).hexdigest()
    sys.stdout.write(f"{output}: {len(content):,} bytes, sha256 {digest}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
