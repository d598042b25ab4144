"""Where bundles lie on a robot: installed ones, slots, engines that were built, proofs that were kept."""
