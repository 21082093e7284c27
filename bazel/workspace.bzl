"""What a workspace needs to build hobbs with Debian 12's Bazel (4.2.3) and no network.

Call `hobbs_workspace()` once from a WORKSPACE. Every library comes from a Debian package
(see //bazel/deps); only Bazel's own rule repositories are declared here.
"""

_RULES_CC_DEFS = '''
"""Stub of rules_cc: re-exports the native rules (Debian's rules_cc is too new for Bazel 4.2.3)."""
cc_library = native.cc_library
cc_binary = native.cc_binary
cc_test = native.cc_test
cc_import = native.cc_import
cc_proto_library = native.cc_proto_library
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
objc_library = native.objc_library
objc_import = native.objc_import
fdo_prefetch_hints = native.fdo_prefetch_hints
fdo_profile = native.fdo_profile
'''

def _stub_impl(ctx):
    for path, content in ctx.attr.files.items():
        ctx.file(path, content)

_stub_repository = repository_rule(
    implementation = _stub_impl,
    attrs = {"files": attr.string_dict(mandatory = True)},
    local = True,
)

def hobbs_workspace():
    """Declares the repositories that Bazel 4.2.3 would otherwise try to download."""
    if not native.existing_rule("rules_cc"):
        _stub_repository(
            name = "rules_cc",
            files = {"WORKSPACE": "", "BUILD": "", "cc/BUILD": "", "cc/defs.bzl": _RULES_CC_DEFS},
        )
    if not native.existing_rule("remote_coverage_tools"):
        _stub_repository(
            name = "remote_coverage_tools",
            files = {
                "WORKSPACE": "",
                "BUILD": 'package(default_visibility = ["//visibility:public"])\n' +
                         'filegroup(name = "coverage_report_generator")\n',
            },
        )
    for name, path in {
        "rules_java": "/usr/share/bazel/rules/java",
        "rules_proto": "/usr/share/bazel/rules/proto",
        "platforms": "/usr/share/bazel/tools/platforms",
    }.items():
        if not native.existing_rule(name):
            native.local_repository(name = name, path = path)
