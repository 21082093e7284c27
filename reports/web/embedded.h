// What a benchmark page is made of, as text in the program.
#pragma once

#include <string_view>

namespace hobbs {

std::string_view bench_page_style();   // uPlot's style and ours.
std::string_view bench_page_script();  // uPlot (MIT, its notice included) and ours.

}  // namespace hobbs
