"""How code that runs on fibres is compiled: a register more, and no guard words on stacks that have
guard pages; tuned for processors of the last ten years, and running on all. Together 4 to 7 %."""

FIBRE_COPTS = ["-fomit-frame-pointer", "-fno-stack-protector", "-mtune=skylake"]
