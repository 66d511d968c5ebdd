#!/bin/sh
# check.sh SPIN CC MODEL FOLDER EXPECTED MACRO...: searches all states of a Promela model with these macros, in a folder
# of its own. EXPECTED is `holds`, or `fails` for a model with a mistake in it that Spin must find. With the macro
# CLAIM=1 the claim is checked too.
set -eu
spin=$1 cc=$2 model=$3 folder=$4 expected=$5
shift 5
mkdir -p "$folder"
cd "$folder"
rm -f pan* "$(basename "$model")".trail
macros= check=-DSAFETY arguments=-m100000
for macro; do
  macros="$macros -D$macro"
  if [ "$macro" = CLAIM=1 ]; then
    check= arguments="$arguments -a"
  fi
done
# shellcheck disable=SC2086  # words of their own
"$spin" -a $macros "$model"
# shellcheck disable=SC2086
"$cc" -O1 -w $check -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c
# shellcheck disable=SC2086
./pan $arguments >pan.log
grep -e '^pan:' -e 'errors:' -e 'states, stored' -e 'Search not completed' -e 'max search depth' pan.log
case $expected in
  holds) grep -q 'errors: 0$' pan.log && ! grep -q -e 'Search not completed' -e 'max search depth' pan.log ;;
  fails) grep -q 'errors: 1$' pan.log ;;
  *) exit 2 ;;
esac
