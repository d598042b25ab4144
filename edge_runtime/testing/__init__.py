"""What tests, benchmarks and driver authors share: small bundles, a robot with two, a web server that misbehaves."""
