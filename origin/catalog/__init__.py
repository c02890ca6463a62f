"""What titles there are and which bytes belong to them.

Words: title, version (published bytes of a title, never changed), rung, asset (one file of a version), state (how far
a version has come), media status (what a title is good for). Imports origin.contract, kit and SQLAlchemy.
Start at service; states is the rule of what may follow what; migrations brings a database up to date.
"""
