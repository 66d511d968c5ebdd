# shellcheck shell=bash
# Sourced by ./run and ./test. Messages go to standard error. REQUIRES: root, the folder of the source tree.

say() { printf '== %s\n' "$*" >&2; }
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 2
}

# install_packages LIST...: installs what these lists in scripts/ name and the machine lacks.
install_packages() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null; then
    say "no Debian package manager here: nothing is installed; needed is what scripts/packages*.txt name"
    return
  fi
  for package in $(cd "$root/scripts" && grep --no-filename -v '^#' "$@"); do
    dpkg-query --show --showformat '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
      missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "expected root or sudo to install: ${missing[*]}"
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get --quiet update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes install --no-install-recommends "${missing[@]}"
}

# build PRESET [TARGET]: configures and builds a preset of CMakePresets.json, into build/PRESET.
build() {
  local preset=$1 target=${2:-all} options=()
  command -v ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  say "building $target, preset $preset"
  (cd "$root" && cmake --preset "$preset" --log-level=WARNING "${options[@]}")
  cmake --build "$root/build/$preset" --target "$target" --parallel "$(nproc)"
}
