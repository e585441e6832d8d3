#!/bin/sh
# Install Mesa's Vulkan drivers from the system's packages when llvmpipe is not there, and fail without it; root, or a user with sudo.
set -eu

found() {
  ls /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null
}

if ! found >/dev/null && command -v apt-get >/dev/null; then
  as_root=""
  [ "$(id -u)" = 0 ] || as_root=sudo
  $as_root apt-get update -qq
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq mesa-vulkan-drivers >/dev/null
fi
if ! found; then
  echo "Mesa's llvmpipe was not found, on which the tests run what naga compiles: install Mesa's Vulkan drivers (Debian: mesa-vulkan-drivers)" >&2
  exit 1
fi
