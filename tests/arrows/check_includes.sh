#!/bin/sh
# check_includes.sh ROOT: every #include of the rooms under ROOT obeys the rules of the house:
# - a room includes only its own headers and those of rooms below: graph < scheduler < engine < engine/cpu, engine/cuda
#   < layers < examples;
# - public headers (*/include/**) include no header of a dependency;
# - CUDA's headers and its libraries' are included in engine/cuda alone;
# - nothing in graph/ and scheduler/ includes a header that belongs to hardware, and nothing in graph/ one of oneTBB,
#   whose threads the scheduler plans with.
# Prints each violation and fails where there is one. REQUIRES: paths without spaces.
set -eu
cd "$1"
rooms=
for room in graph scheduler engine layers examples; do
  if [ -d "$room" ]; then rooms="$rooms $room"; fi
done
[ -n "$rooms" ] || { echo "check_includes: no rooms in $1" >&2; exit 2; }

# shellcheck disable=SC2086 # rooms is a list
grep -rnE --include='*.h' --include='*.cpp' --include='*.cu' --include='*.cuh' '^[[:space:]]*#[[:space:]]*include' $rooms |
  awk '
  function room_of(path) {
    if (path ~ /^engine\/(include\/skua\/engine\/)?cpu\//) return "engine/cpu"
    if (path ~ /^engine\/(include\/skua\/engine\/)?cuda\//) return "engine/cuda"
    sub(/\/.*/, "", path)
    return path
  }
  # The path of `name` as seen from `folder`, without "..".
  function resolve(folder, name) {
    while (name ~ /^\.\.?\//) {
      if (name ~ /^\.\.\//) { if (!sub(/\/[^\/]*$/, "", folder)) folder = "" }
      sub(/^\.\.?\//, "", name)
    }
    return folder == "" ? name : folder "/" name
  }
  function violation(rule) { print file ":" line ": " rule ": " text; bad++ }
  BEGIN {
    level["graph"] = 0; level["scheduler"] = 1; level["engine"] = 2; level["engine/cpu"] = 3
    level["engine/cuda"] = 3; level["layers"] = 4; level["examples"] = 5
    threads = "^(tbb|oneapi\\/tbb)([\\/._]|$)"
    cuda = "^(cuda|cudnn|cublas|cublasLt|curand|nccl|nvrtc|nvml|cooperative_groups|cudaTypedefs)([\\/._]|$)"
    hardware = "^(oneapi|cub|thrust|CL|hip|sycl|level_zero)([\\/._]|$)|" cuda "|^(dnnl|omp|cpuid|immintrin|x86intrin|arm_neon)[a-z_]*\\.h"
    dependency = "^(google|nlohmann|fmt|spdlog|CLI|openssl|gtest|gmock|coin)\\/|^(zlib|zconf)\\.h|^Cbc|^Clp|^Coin|\\.pb\\.h$"
  }
  {
    split($0, part, ":"); file = part[1]; line = part[2]
    text = $0; sub(/^[^:]*:[^:]*:[ \t]*/, "", text)
    if (!match(text, /[<"][^>"]*[>"]/)) { violation("unreadable include"); next }
    quoted = substr(text, RSTART, 1) == "\""
    name = substr(text, RSTART + 1, RLENGTH - 2)
    own = room_of(file); folder = file; sub(/\/[^\/]*$/, "", folder)
    checked++

    target = ""
    if (name == "skua/skua.h") target = "layers"
    else if (name ~ /^skua\//) { target = substr(name, 6); target = room_of(target) }
    else if (quoted) { target = room_of(resolve(folder, name)); if (name ~ /^(graph|scheduler|engine|layers|examples|tests)\//) target = room_of(name) }
    if (target != "" && target != own && !((target in level) && level[target] < level[own])) violation("arrow from " own " to " target)

    if (file ~ /(^|\/)include\// && (name ~ hardware || name ~ threads || name ~ dependency)) violation("dependency in a public header")
    else if (own == "graph" && name ~ threads) violation("threads in " own)
    else if ((own == "graph" || own == "scheduler") && name ~ hardware && name !~ threads) violation("hardware in " own)
    else if (own != "engine/cuda" && !quoted && name ~ cuda) violation("CUDA in " own)
  }
  END {
    if (!checked) { print "check_includes: found no include"; exit 2 }
    if (bad) { print bad " of " checked " includes break the rules"; exit 1 }
    print checked " includes obey the rules"
  }'
