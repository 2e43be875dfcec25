"""Speed and memory, each figure beside a plain reference path that ran in the same process."""
