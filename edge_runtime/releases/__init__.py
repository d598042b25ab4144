"""What every side makes of a release's bytes: the robot that installs it, the hub that lets it in, who packs it."""
