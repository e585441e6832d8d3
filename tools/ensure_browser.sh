#!/bin/sh
# Install Chromium from the system's packages when the package finds no browser, and a font when there is none; root, or a user with sudo.
set -eu
python=$1

as_root=""
[ "$(id -u)" = 0 ] || as_root=sudo
install() {
  $as_root apt-get update -qq
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

find_browser() {
  "$python" -c 'from webgpu_widget.link.transports._chromium import find_browser; print("browser:", find_browser())'
}

# Chromium ends when a page has a list and there is no font. Debian's chromium only recommends one, and some systems leave that out.
has_font() {
  "$python" -c 'import sys; from webgpu_widget.link.transports._fonts import find_font; sys.exit(sys.platform == "linux" and not find_font())'
}

if ! find_browser 2>/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "no Chromium, Chrome or Edge was found, and this system has no apt-get: install one of them" >&2
    exit 1
  fi
  install chromium
  find_browser
fi
if ! has_font && ! { command -v apt-get >/dev/null && install fonts-dejavu-core; }; then
  echo "no font was found, and none could be installed: Chromium ends when a page has a list or an input field; install one, as DejaVu" >&2
fi
