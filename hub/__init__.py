"""The hub: signs, publishes and assigns what robots may install. A robot never needs it to move."""
