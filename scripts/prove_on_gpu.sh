#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: builds the engines of a model package, holds them to ONNX Runtime in FP32, tensor by
# tensor and as poses, and times them beside ONNX Runtime on the CPU. Everything goes to a folder, as text and JSON.
#
# Usage: prove_on_gpu.sh [RUNTIME [MODEL [OUT]]]
#   RUNTIME  tensorrt (default; JetPack, NVIDIA's packages) or tensorrt_rtx (RTX GPUs)
#   MODEL    folder of a model package; default: the embedded one
#   OUT      folder of the results; default: gpu_proof
set -uo pipefail

runtime=${1:-tensorrt}
model=${2:-}
out=${3:-gpu_proof}
localizer=${XVIEW_LOCALIZER:-xview-localizer}
package=()
[[ -n $model ]] && package=(--model "$model")
mkdir -p "$out"
failed=0

step() {
  local name=$1
  shift
  echo "== $name"
  if ! "$@" 2>&1 | tee "$out/$name.txt"; then
    echo "== $name FAILED (see $out/$name.txt)"
    failed=1
  fi
}

step machine bash -c 'uname -a; nvidia-smi || cat /etc/nv_tegra_release || echo "no tool names a GPU"'
step pairs "$localizer" simulate "$out/pairs" --pairs 7 --images-per-town 8 --seed 900100
step calibration_pairs "$localizer" simulate "$out/calibration" --pairs 4 --images-per-town 4 --seed 900150
step calibrate "$localizer" engines calibrate "${package[@]}" --pairs "$out/calibration"
step bench_cpu "$localizer" bench "${package[@]}" --out "$out/cpu.json"
for precision in fp16 int8 fp32; do
  step "build_$precision" "$localizer" engines build "${package[@]}" --runtime "$runtime" --precision "$precision"
  step "check_$precision" "$localizer" engines check "${package[@]}" --runtime "$runtime" --precision "$precision" \
    --pairs "$out/pairs"
  step "bench_$precision" "$localizer" bench "${package[@]}" --engine "$runtime" --precision "$precision" \
    --out "$out/$precision.json" --compare "$out/cpu.json"
done
step engines "$localizer" engines list
[[ $failed == 0 ]] && echo "== all steps passed; results in $out" || echo "== some steps failed; results in $out"
exit "$failed"
