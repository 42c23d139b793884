"""Before anything is imported that starts as many threads as there are cores, as numpy does."""

from tests.cores import keep_to_own_share

keep_to_own_share()
