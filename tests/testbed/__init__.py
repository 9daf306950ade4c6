"""The test bed: real hosts, MySQL, S3 and Docker on one machine, for the tests, the demo and the benchmarks."""
