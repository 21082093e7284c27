"""Verifying one's own lock in Bazel: one call makes a test.

    load("@hobbs//bazel:defs.bzl", "lock_conformance_test")

    lock_conformance_test(
        name = "my_lock_test",
        header = "my_lock.h",
        type = "my_lock",
        deps = [":my_lock"],
    )

The workspace needs C++20 (`build --cxxopt=-std=c++20` in its .bazelrc) and hobbs_workspace()
from workspace.bzl. bazel/example is one that works.
"""

# Resolved here, so that the label means hobbs in whatever workspace the macro is called.
_HOBBS = Label("//harness:hobbs")

def lock_conformance_test(
        name,
        header,
        type,
        deps = [],
        claims = None,
        path = False,
        seeds = 1,
        shards = None,
        drivers = "*",
        scenarios = "*",
        budget = None,
        size = "medium",
        tags = [],
        **kwargs):
    """A test that runs `hobbs verify` on one lock; `bazel run` of it is a hobbs command.

    A finding fails the test; its replay file is in the test's undeclared outputs, and the line that
    replays it is the last of the log. The budget follows the time limit of `size`. More machines:
    `shards` divides the seeds; `--runs_per_test` moves them on from run to run.

    Args:
      name: of the test; without `_test`, of the lock in reports.
      header: the file that has the lock, in this package (or a path from the workspace's root).
      type: the class template over a Platform, or the class, with its namespace.
      deps: libraries that the header needs; a plain file of this package need not be in any.
      claims: C++ expression of type hobbs::Claims; by default what the type says itself.
      path: whether each worker constructs the lock from a `const char*` path.
      seeds: how many seeds to run, from 1 on.
      shards: over how many processes (and machines) the seeds are divided.
      drivers: which drivers, comma-separated globs.
      scenarios: which scenarios, comma-separated globs.
      budget: time for the whole call ("30s"); by default most of the test's time limit.
      size: of the test, as Bazel has them.
      tags: of the test.
      **kwargs: for the cc_test.
    """
    include = header
    if native.package_name() and "/" not in header:
        include = native.package_name() + "/" + header
    words = ["verify", "--seeds", str(seeds), "--drivers", drivers, "--scenarios", scenarios]
    if budget:
        words += ["--budget", budget]
    lines = [
        '#include "%s"' % include,
        '#include "harness/hobbs.h"',
        "int main(int argc, char** argv) {",
        '  return hobbs::test_main(argc, argv, {hobbs::%s<%s>("%s"%s)}, {%s});' % (
            "path_spec_of" if path else "spec_of",
            type,
            name[:-len("_test")] if name.endswith("_test") else name,
            ", " + claims if claims else "",
            ", ".join(['"%s"' % word for word in words]),
        ),
        "}",
    ]
    native.genrule(
        name = name + "_main",
        outs = [name + "_main.cc"],
        cmd = "cat >$@ <<'hobbs_end'\n%s\nhobbs_end" % "\n".join(lines).replace("$", "$$"),
        tags = tags,
    )
    own_headers = [header] if "/" not in header else []
    native.cc_test(
        name = name,
        size = size,
        srcs = [name + "_main.cc"] + own_headers,
        deps = deps + [_HOBBS],
        shard_count = shards,
        tags = tags,
        **kwargs
    )
