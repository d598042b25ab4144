"""Model families: `seam` says what one is, `registry` finds them; each of ours is a package of its own in here."""
