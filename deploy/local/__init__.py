"""Everything on one machine, with nothing installed by hand: what `make run` starts."""
