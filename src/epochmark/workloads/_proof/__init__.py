"""What shows that training was right: the float64 judge, what it computes, and the verdicts.

The evidence itself (golden losses, tolerances, learning band) lies in each workload's folder.
"""
