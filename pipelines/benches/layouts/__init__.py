"""Published layouts of benchmarks, one function each: a folder in, items out."""
