"""Commands about a board: send results to one, and run one."""
