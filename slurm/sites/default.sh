# What is particular to one cluster, all of it. Copy this file to sites/NAME.sh, edit it, and choose it by DWGF_SITE=NAME (or a path).
# It is read by slurm/submit on the login node and by every job. Bash.

# Options of every sbatch: account, partition, quality of service, constraints.
dwgf_sbatch=()                          # e.g. (--account=abc123 --partition=batch)

# How a step is started. PMIx is what Open MPI 4 and 5 need; a site whose srun has none takes (mpirun).
dwgf_launcher=(srun --mpi=pmix)

# GPUs: what sbatch and the launcher are told. Empty where the job computes on CPUs.
dwgf_sbatch_gpus=()                     # e.g. (--gpus-per-node=4)
# Every rank of a node should see all of its GPUs and takes one of its own: --gpus-per-task=1 hides the others from
# it, and then NCCL finds no path between GPUs of one node (https://github.com/NVIDIA/nccl/issues/1066).
dwgf_launcher_gpus=()                   # e.g. (--gpus-per-node=4 --gpu-bind=none), with --ntasks-per-node=4

# The program: that of the prefix which these scripts are installed under, else from the folder that jobs are submitted in.
case $(realpath "${BASH_SOURCE[0]}") in
  */share/dwgf/slurm/*) dwgf_program=$(realpath "${BASH_SOURCE[0]%/*}/../../../..")/bin/dwgf ;;
  *) dwgf_program=build/dwgf ;;
esac

# DWGF_STAGE=FOLDER has a prior's folder sent to every node's own disk before the step, to this place, for file
# systems that many nodes would crowd; the job then reads it there.
dwgf_stage_to=/dev/shm/dwgf-prior-$(id -un) # memory, or a local disk

# Modules and variables, set in the job before the program starts.
dwgf_environment() {
  # module load gcc openmpi hdf5-parallel
  # export UCX_TLS=rc,sm,self NCCL_SOCKET_IFNAME=hsn0
  :
}
