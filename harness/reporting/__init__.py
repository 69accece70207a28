"""Reporting: one stored run, and views of it (the frame, the summary, the HTML page), which therefore cannot
disagree.
"""
