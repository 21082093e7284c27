"""Text files as functions of the program, so that it needs no files where it runs."""

def embedded_text(name, function, header, srcs, deps = [], **kwargs):
    """A library with `std::string_view hobbs::FUNCTION()`: the files of `srcs`, one after another.

    Args:
      name: the library; its header is `header`, written by hand.
      function: the function that `header` declares.
      header: path of the header from the workspace's root.
      srcs: the text files, in order.
      deps: the library that has the header.
      **kwargs: for the cc_library.
    """
    native.genrule(
        name = name + "_source",
        srcs = srcs,
        outs = [name + "_embedded.cc"],
        cmd = "\n".join([
            "exec >$@",
            "echo '#include \"%s\"'" % header,
            "echo 'std::string_view hobbs::%s() {'" % function,
            "echo -n 'return R\"hobbs_text('",
            "cat $(SRCS)",
            "echo ')hobbs_text\";'",
            "echo '}'",
        ]),
    )
    native.cc_library(name = name, srcs = [name + "_embedded.cc"], deps = deps, **kwargs)
