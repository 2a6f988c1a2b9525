"""What `fractal doctor` looks at: the machine, the files, the runs, the venue.

Each check returns findings; it changes nothing, and a finding that is not fine names its remedy.
"""
