"""What the moderators' desk needs from several rooms at once: who has a stake, what a decision sets in motion, what
stands around a case. Safety itself knows voices, outputs and licences only by reference."""
