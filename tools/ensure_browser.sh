#!/bin/sh
# Install Chromium from the system's packages when the package finds no browser; root, or a user with sudo.
set -eu
python=$1
"$python" -c 'from webgpu_widget.transports._chromium import find_browser; print("browser:", find_browser())' 2>/dev/null && exit 0
if ! command -v apt-get >/dev/null; then
  echo "no Chromium, Chrome or Edge was found, and this system has no apt-get: install one of them" >&2
  exit 1
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
"$python" -c 'from webgpu_widget.transports._chromium import find_browser; print("browser:", find_browser())'
