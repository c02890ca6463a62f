"""The suite: unit and tables (rules), wire (scripted conversations), processes (real ones), browser (Chromium)."""
