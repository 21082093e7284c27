#!/usr/bin/env bash
# Builds bazel/example as what it is, another repository, with a Bazel of its own and no network:
# its healthy lock passes through the program and through the macro, its broken one is caught, and
# the line that the test log ends with catches it again.
#
# Compiling hobbs once more takes minutes on two cores; a disk cache in ~/.bazelrc saves it after
# the first time.
set -eu

repository=$(dirname "$(dirname "$(realpath "$TEST_SRCDIR/$TEST_WORKSPACE/bazel/defs.bzl")")")
workspace=$TEST_TMPDIR/my_locks
cp -rL "$TEST_SRCDIR/$TEST_WORKSPACE/bazel/example" "$workspace"
cd "$workspace"
# Bazel's own environment of this test must not reach the inner one; the user's rc file should.
HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
export HOME
unset TEST_TARGET TEST_TOTAL_SHARDS TEST_SHARD_INDEX TEST_SHARD_STATUS_FILE TEST_TIMEOUT \
  TEST_UNDECLARED_OUTPUTS_DIR XML_OUTPUT_FILE RUNFILES_DIR

die() {
  echo "FAILED: $*" >&2
  exit 1
}

# Batch: the server ends with the command, whoever ends that.
inner_bazel() {
  local command=$1
  shift
  bazel --batch --output_user_root="$TEST_TMPDIR/bazel" "$command" \
    --override_repository=hobbs="$repository" --color=no --curses=no "$@"
}

# Expects: expect CODE WORDS LOG COMMAND...
expect() {
  local wanted=$1 words=$2 log=$3 code=0
  shift 3
  "$@" >"$log" 2>&1 || code=$?
  [ "$code" -eq "$wanted" ] || { tail -40 "$log" >&2; die "$* ended with $code, not $wanted"; }
  grep -qE "$words" "$log" || { tail -40 "$log" >&2; die "$* did not say '$words'"; }
}

inner_bazel build :my_hobbs :healthy_lock_test :broken_lock_test
expect 0 'healthy_lock' program.log bazel-bin/my_hobbs verify --budget 10s
expect 0 'my::|healthy_lock' list.log bazel-bin/my_hobbs list
expect 0 ':healthy_lock_test .*PASSED' healthy.log inner_bazel test :all
expect 3 ':broken_lock_test .*FAILED' broken.log inner_bazel test :broken_lock_test

# The last line of the log is for pasting.
line=$(grep -oE 'unzip -o bazel-testlogs/.* replay [^ ]+' broken.log | tail -1)
[ -n "$line" ] || { tail -60 broken.log >&2; die "the log has no line that replays"; }
file=${line##* }
unzip -o "$(echo "$line" | cut -d' ' -f3)" "$file" >/dev/null
expect 1 'failed ([0-9]+) of \1' replay.log bazel-bin/broken_lock_test replay "$file"
echo "PASSED: $line"
