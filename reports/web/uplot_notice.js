// uPlot 1.6.32, MIT license, copyright (c) 2022 Leon Sorokin: https://github.com/leeoniya/uPlot
// (the license's text is in reports/web/third_party/uplot/LICENSE). Unchanged:
