"""What can be set: typed models a process (schema), how files and environment fill them (load), the service
profiles and the demo topology.

Words: settings (a frozen model), override (an environment variable or a flag), profile (a bundle of values for one
kind of service). Only this package reads the environment. Start reading at load.
"""
