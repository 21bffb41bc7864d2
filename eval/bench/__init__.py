"""What the machine does in a second: `make bench` prints it and writes `eval/bench/results.json`."""
