"""Mutation tests of what refuses attacks and keeps floors: `make mutate`."""
