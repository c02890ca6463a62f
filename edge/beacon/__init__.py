"""What an edge sees of its viewers and tells control: how long their round trips are (CTL-03).

Words: watch (a worker's part, on the way of every connection: counts and no more), note (what a worker tells its
supervisor), gathered (the supervisor's sums of its workers' notes), observation (what control gets). Everything is
summed by client network and bounded. May import control.contract, control.node, geo, kit and proxy.serve. Start at
watch.
"""
