#!/usr/bin/env bash
# Installs local-bigquery into a folder: install-bigquery.sh FOLDER. It wants Python 3.13; where the machine has none, the
# folder gets a Debian that has. What starts it is FOLDER/bin/local-bigquery.
set -euo pipefail
folder=$1
requirements=$(dirname "$0")/bigquery-requirements.txt
extensions='from duckdb_extensions import import_extension
for name in ("ducklake", "httpfs", "icu", "spatial"): import_extension(name)'
rm -rf "$folder"
mkdir -p "$folder/bin"
folder=$(realpath "$folder")

python=
for candidate in python3.13 "$HOME"/.pyenv/versions/3.13*/bin/python3.13; do
	if "$candidate" -c 'import venv' 2> /dev/null; then python=$candidate && break; fi
done
if [ -n "$python" ]; then
	"$python" -m venv "$folder/venv"
	"$folder/venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
	# Extensions are looked for in the home.
	mkdir -p "$folder/home"
	HOME=$folder/home "$folder/venv/bin/python" -c "$extensions"
	printf '#!/bin/sh\nHOME=%s/home exec %s/venv/bin/local-bigquery "$@"\n' "$folder" "$folder" > "$folder/bin/local-bigquery"
else
	command -v debootstrap > /dev/null || apt-get install -y debootstrap
	debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates trixie "$folder/debian"
	# The host's certificates are those of the way to PyPI.
	cp -L /etc/ssl/certs/ca-certificates.crt "$folder/debian/etc/ssl/certs/"
	cp /etc/resolv.conf "$folder/debian/etc/" 2> /dev/null || true
	cp "$requirements" "$folder/debian/requirements.txt"
	for settings in /etc/pip.conf "$HOME/.pip/pip.conf" "$HOME/.config/pip/pip.conf"; do
		if [ -f "$settings" ]; then cp "$settings" "$folder/debian/etc/pip.conf"; fi
	done
	chroot "$folder/debian" python3 -m venv /venv
	chroot "$folder/debian" /venv/bin/pip install --quiet --disable-pip-version-check -r /requirements.txt
	chroot "$folder/debian" env HOME=/root /venv/bin/python -c "$extensions"
	printf '#!/bin/sh\nexec chroot %s/debian env HOME=/root /venv/bin/local-bigquery "$@"\n' "$folder" > "$folder/bin/local-bigquery"
fi
chmod +x "$folder/bin/local-bigquery"
