# What every batch script here shares: read by them after their traps are set, never run by itself. Bash.

# The site's profile: DWGF_SITE is a name in slurm/sites, or a path.
dwgf_slurm=$(dirname "${BASH_SOURCE[0]}")
dwgf_site=${DWGF_SITE:-default}
[ -f "$dwgf_site" ] || dwgf_site=$dwgf_slurm/sites/$dwgf_site.sh
# shellcheck source=sites/default.sh
source "$dwgf_site" || { echo "job: no site profile $dwgf_site; see slurm/README.md" >&2; exit 64; }
dwgf_environment
# Since Slurm 22.05 a step does not take this over from the job by itself.
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}

# The prior on every node, read once: sbcast makes no folders.
if [ -n "${DWGF_STAGE:-}" ]; then (
  set -o pipefail
  cd "$DWGF_STAGE" && export dwgf_stage_to \
    && find -L . -type d -print0 | srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --ntasks="$SLURM_JOB_NUM_NODES" --input=all \
      sh -c 'mkdir -p "$dwgf_stage_to" && cd "$dwgf_stage_to" && xargs -0 mkdir -p' \
    && find -L . -type f -print0 | xargs -0 -I{} sbcast --force {} "$dwgf_stage_to/{}"
) || { echo "job: cannot copy $DWGF_STAGE to $dwgf_stage_to of every node" >&2; exit 74; }; fi

# Runs the program in the background, passes on the signals that the batch script has noted in `stop_signal`,
# and returns its code.
run_step() {
  [ -z "${stop_signal:-}" ] || return 75
  "$@" &
  step=$!
  # A signal that came while the step was being started has met no trap that knew it.
  [ -z "$stop_signal" ] || kill -s "$stop_signal" "$step" 2>/dev/null
  # `wait` ends early when a trap runs; bash gives a finished step's code as often as it is asked.
  local seen code
  while true; do
    seen=$signals
    wait "$step"
    code=$?
    [ "$seen" != "$signals" ] || break
  done
  return "$code"
}

# Ends the batch script as the program's code asks for.
finish() {
  local code=$1 restarts=${SLURM_RESTART_COUNT:-0}
  case "$code" in
    75) # Stopped at a step boundary, everything saved. After scancel that is the end; before a time limit it goes on later.
      if [ "$stop_signal" = USR1 ] && [ "$restarts" -lt "${DWGF_MAX_RESTARTS:-1000}" ]; then
        echo "job: stopped with a checkpoint; requeued (restart $((restarts + 1)))" >&2
        scontrol requeue "$SLURM_JOB_ID" && exit 0
      fi ;;
    71) # A rank or a device failed or hung. Another allocation may be sound; three failures are no accident.
      if [ "$restarts" -lt 3 ] && [ -z "$stop_signal" ]; then
        echo "job: a rank or device failed; requeued (restart $((restarts + 1)))" >&2
        scontrol requeue "$SLURM_JOB_ID" && exit 0
      fi ;;
    3) # Finished, but some images failed; their reasons are in the results file.
      [ "${DWGF_FAILED_IMAGES:-stop}" = stop ] || { echo "job: some images failed; going on without them" >&2; exit 0; } ;;
  esac
  exit "$code"
}
