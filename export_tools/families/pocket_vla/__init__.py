"""Pocket VLA: a small vision-language-action policy of our own, trained on scripted demonstrations in simulation."""
