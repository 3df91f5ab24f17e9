#!/usr/bin/env bash
# Makes the files of this folder with the program of commit ee71882, given as the argument: what later versions must
# still read, verify, evaluate and go on with. In a copy of this folder; the images are jobs/data/fashion's first two.
#
#   bash make.sh PROGRAM
set -euo pipefail
program=$1
cd "$(dirname "$0")"
rm -rf stopped.h5* finished.h5 measured.h5
job=(restore --config job.ini)
"$program" degrade --input.data images --problem.operator 'random:0.5 | mean:2' --problem.sigma 0.05 --flow.seed 3 \
  --store.out measured.h5
"$program" "${job[@]}" --store.out finished.h5
"$program" "${job[@]}" --store.out stopped.h5 &
pid=$!
# The first image is done then, the second one is under way.
until "$program" status stopped.h5 2>/dev/null | grep -q '1 done'; do sleep 0.05; done
kill -USR1 $pid
code=0
wait $pid || code=$?
[ $code = 75 ]
ls stopped.h5.checkpoint
grep -m 1 "^flags" /proc/cpuinfo > processor.txt
rm -f .dwgf-weights.json
