#!/usr/bin/env bash
# The headers give a reference without a warning. doxygen_test.sh OUTPUT; exit code 77 where Doxygen is not
# installed.
set -euo pipefail
command -v doxygen >/dev/null || { echo "doxygen is not installed, so nothing was checked"; exit 77; }
rm -rf "$1"
mkdir -p "$1"
DWGF_DOXYGEN_OUTPUT=$1 doxygen tools/Doxyfile >"$1/said" 2>&1 || { cat "$1/said"; exit 1; }
if [ -s "$1/said" ]; then head -n 40 "$1/said"; exit 1; fi
[ "$(find "$1/html" -name '*.html' | wc -l)" -gt 100 ] || { echo "hardly any page was made"; exit 1; }
