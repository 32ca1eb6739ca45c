# shellcheck shell=bash disable=SC2034
# verify NAME FLAGS...: runs spin on jobsched.pml with the flags; sets errors, states, why, secs.
# A search that was not exhaustive (out of time, memory or depth) counts as errors=?.
model=$(cd "$(dirname "$0")" && pwd)/jobsched.pml
scratch=$(mktemp -d); trap 'rm -rf "$scratch"' EXIT
verify() {
	local dir=$scratch/$1 begin=$SECONDS mode=(-DSAFETY) opt=()
	shift
	mkdir "$dir"; pushd "$dir" >/dev/null || exit 1
	if [ "$1" = ends ]; then mode=(-DNP -DNFAIR=4); opt=(-l -f); shift; fi
	if ! spin -a "$@" "$model" >spin.log 2>&1; then cat spin.log; exit 2; fi
	cc "${level:--O1}" -w "${mode[@]}" -DCOLLAPSE -DMEMLIM=6000 -DVECTORSZ=2048 -o pan pan.c || exit 2
	timeout 300 ./pan "${opt[@]}" -m1000000 -n >out 2>&1
	errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' out | head -1)
	states=$(awk '/states, stored/ {print $1; exit}' out)
	why=$(sed -n 's/^pan:1: *//p' out | head -1 | cut -c1-70)
	if grep -q 'max search depth too small\|out of memory\|reached -DMEMLIM' out && [ "$errors" = 0 ]; then errors='?'; fi
	errors=${errors:-?}; states=${states:-?}; secs=$((SECONDS - begin))
	popd >/dev/null || exit 2; rm -rf "$dir"
}
